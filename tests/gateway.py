"""A gateway as NixOS would run it: the real Traefik and LiteLLM, told exactly what the machine's units tell them."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import tomli_w

from tests.nix_program import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nix_program import Flakes

PROGRAMS = ROOT / ".gateway" / "bin"
NEED_GATEWAY = "no Traefik and LiteLLM; run `make test-gateway`, or bin/set-up-gateway python3 .gateway (needs PyPI)"
FACTS = """machine: let c = machine.config; in {
  failed = map (a: a.message) (builtins.filter (a: !a.assertion) c.assertions);
  litellm = if c.services.litellm.enable then c.services.litellm.settings else null;
  unit = c.systemd.units."litellm.service".text or "";
  static = c.services.traefik.staticConfigOptions;
  dynamic = c.services.traefik.dynamicConfigOptions;
}"""
CREDENTIALS = "/run/credentials/litellm.service"


@dataclass
class Gateway:
    """Both programs in a folder; ``keys`` are what systemd would hand over, by credential."""

    folder: Path
    facts: dict[str, Any]
    keys: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Return the address of Traefik's entry point."""
        return f"https://{self.facts['static']['entryPoints']['llm']['address']}"

    @property
    def first(self) -> str:
        """Return the name of a client."""
        return next(name for name in self.keys if name.startswith("client-")).removeprefix("client-")

    def start(self) -> None:
        """Start both, and wait until a client gets through."""
        if self.facts["litellm"] is not None:
            self._litellm()
        self._traefik()
        self._wait()

    def restart_litellm(self) -> None:
        """End LiteLLM as systemd does, start it again, and wait until a client gets through."""
        process = self.processes.pop(0)
        process.terminate()
        process.wait(30)
        self._litellm()
        self.processes.insert(0, self.processes.pop())
        self._wait()

    @property
    def spend(self) -> Path:
        """Return the file in which what clouds have cost is kept."""
        return self.folder / "spend.json"

    def _wait(self) -> None:
        until = time.monotonic() + 90
        while time.monotonic() < until:
            for process in self.processes:
                if process.poll() is not None:
                    raise RuntimeError(self.logs())
            try:
                if self.get("/v1/models", self.first).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.3)
        raise RuntimeError(self.logs())

    def _litellm(self) -> None:
        credentials = self.folder / "credentials"
        credentials.mkdir(mode=0o700, exist_ok=True)
        for name, key in self.keys.items():
            (credentials / name).write_text(key + "\n")
        # Where nixpkgs puts the configuration, the module lies beside it in the store.
        module = self.facts["litellm"]["general_settings"]["custom_auth"].split(".")[0]
        # A copy: Python writes its bytecode beside what it runs.
        shutil.copytree(ROOT / "nix" / "programs" / "gateway", self.folder / module, dirs_exist_ok=True)
        config = self.folder / "config.yaml"
        config.write_text(json.dumps(self.facts["litellm"]))  # JSON is YAML
        unit = self.facts["unit"]
        words = shlex.split(re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)[-1].replace("%%", "%"))
        replaced = {
            r"/nix/store/\S+/bin/bash": "bash",
            r"/nix/store/\S+-with-keys\.sh": str(ROOT / "nix" / "programs" / "with-keys.sh"),
            r"/nix/store/\S+/bin/litellm": str(PROGRAMS / "litellm"),
            r"/nix/store/\S+-config\.yaml": str(config),
        }
        for pattern, replacement in replaced.items():
            words = [re.sub(rf"^{pattern}$", replacement, word) for word in words]
        words = [word.replace(CREDENTIALS, str(credentials)) for word in words]
        assert not [word for word in words if "/nix/store" in word or "/run/credentials" in word]
        environment = dict(re.findall(r'^Environment="([A-Z_]+)=(.*)"$', unit, re.MULTILINE))
        # nixpkgs seeds a cache of tokenizers; here LiteLLM's own copy is as good.
        host = {"PATH", "LOCALE_ARCHIVE", "TZDIR", "CUSTOM_TIKTOKEN_CACHE_DIR"}
        kept = {name: environment[name] for name in environment if name not in host}
        kept.update(CREDENTIALS_DIRECTORY=str(credentials), PATH=os.environ["PATH"], HOME=str(self.folder))
        assert "StateDirectory=litellm\n" in unit
        kept["STATE_DIRECTORY"] = str(self.folder)
        kept["LITELLM_UI_PATH"] = str(self.folder / "ui")
        self._run("litellm", words, kept)

    def _traefik(self) -> None:
        write_traefik(self.folder, self.facts, str(self.folder))
        self._run("traefik", [str(PROGRAMS / "traefik"), f"--configfile={self.folder}/static.toml"], dict(os.environ))

    def _run(self, name: str, words: list[str], environment: dict[str, str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                words, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=self.folder, start_new_session=True
            )
        self.processes.append(process)

    def logs(self) -> str:
        """Return the end of what both printed."""
        return "\n".join(
            f"{path.name}:\n{path.read_text(errors='replace')[-3000:]}" for path in sorted(self.folder.glob("*.log"))
        )

    def headers(self, client: str | None, host: str = "llm.test") -> dict[str, str]:
        """Return the headers of a client, None for one without a key."""
        key = {} if client is None else {"Authorization": f"Bearer {self.keys.get(f'client-{client}', client)}"}
        return {"Host": host, **key}

    def get(self, path: str, client: str | None = None, host: str = "llm.test") -> httpx.Response:
        """Ask for a path, as a client."""
        with httpx.Client(verify=False, trust_env=False, timeout=60) as http:  # noqa: S501 - Traefik's own certificate
            return http.get(self.url + path, headers=self.headers(client, host))

    def chat(self, model: str, client: str | None = "ann", tokens: int = 8, more: Any = None) -> httpx.Response:  # noqa: ANN401
        """Ask a question; ``more`` are further fields of the request."""
        body = {
            "model": model,
            "max_tokens": tokens,
            "messages": [{"role": "user", "content": "What is 2+2?"}],
            "temperature": 0,
            **(more or {}),
        }
        with httpx.Client(verify=False, trust_env=False, timeout=60) as http:  # noqa: S501 - Traefik's own certificate
            return http.post(f"{self.url}/v1/chat/completions", headers=self.headers(client), json=body)

    def stop(self) -> None:
        """End both."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


def write_traefik(folder: Path, facts: dict[str, Any], place: str) -> None:
    """Write Traefik's two files as nixpkgs does; ``place`` is the folder as Traefik sees it."""
    (folder / "dynamic.toml").write_text(tomli_w.dumps(facts["dynamic"]))
    static = {**facts["static"], "providers": {"file": {"filename": f"{place}/dynamic.toml"}}}
    (folder / "static.toml").write_text(tomli_w.dumps(static))


def is_there() -> bool:
    """Return whether both programs are."""
    return all(shutil.which(name, path=str(PROGRAMS)) for name in ("traefik", "litellm"))


def evaluate(flakes: Flakes, flake: Path) -> dict[str, Any]:
    """Return what NixOS would tell the programs of machine ``m``."""
    facts: dict[str, Any] = flakes.eval(flake, "nixosConfigurations.m", FACTS)
    assert facts["failed"] == []
    return facts
