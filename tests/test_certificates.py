"""A gateway's certificate, and who tells when it expires: the real Traefik, told what NixOS tells it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests import gateway
from tests.conftest import write_flake
from tests.llama import free_port
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.nix_program import Flakes

HOST = "m.tail1234.ts.net"
SOCKET = "/run/tailscale/tailscaled.sock"
SPEC = f"""
clan.name = "home"
machines.m.hardware = {{ accelerator = "cpu", memory_mib = 16384 }}
models.g = {{ repository = "a/b", revision = "{"0" * 40}", format = "gguf", file = "a.gguf" }}
monitoring.machines = ["m"]
[services.chat]
engine = "llamacpp"
gpu = false
machines = ["m"]
model = "g"
api_key = true
expose = ["gateway"]
llamacpp = {{ metrics = true }}
[gateways.front]
machine = "m"
host = "{HOST}"
port = PORT
metrics_port = METRICS
tls = TLS
"""
FACTS = """machine: let c = machine.config; in {
  failed = map (a: a.message) (builtins.filter (a: !a.assertion) c.assertions);
  static = c.services.traefik.staticConfigOptions;
  dynamic = c.services.traefik.dynamicConfigOptions;
  ages = c.systemd.units."llm-ages.service".text;
  jobs = map (job: job.job_name) c.services.prometheus.scrapeConfigs;
  alerts = builtins.concatMap (group: map (rule: rule.alert or "") group.rules)
    (builtins.fromJSON c.llmflake.monitoring.ruleFile).groups;
}"""


@dataclass
class Ports:
    """Where Traefik listens, and where it exports its metrics."""

    entry: int
    metrics: int


def evaluate(flakes: Flakes, folder: Path, ports: Ports, tls: str) -> dict[str, Any]:
    text = SPEC.replace("PORT", str(ports.entry)).replace("METRICS", str(ports.metrics)).replace("TLS", tls)
    (folder / "spec.toml").write_text(text)
    flake = write_flake(folder / "spec.toml", folder / "flake")
    facts: dict[str, Any] = flakes.eval(flake, "nixosConfigurations.m", FACTS)
    assert facts["failed"] == []
    return facts


@pytest.fixture(scope="module")
def ports() -> Ports:
    return Ports(free_port(), free_port())


@pytest.fixture(scope="module")
def resolved(flakes: Flakes, ports: Ports, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Evaluate a gateway whose certificate is the tailnet's."""
    return evaluate(flakes, tmp_path_factory.mktemp("resolved"), ports, '{ resolver = "tailscale" }')


@pytest.fixture(scope="module")
def from_file(flakes: Flakes, ports: Ports, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    tls = '{ certificate = "/run/secrets/tls.pem", key = "/run/secrets/tls.key" }'
    return evaluate(flakes, tmp_path_factory.mktemp("file"), ports, tls)


def test_a_certificate_from_a_file_is_read_on_its_machine(from_file: dict[str, Any]) -> None:
    assert "certificate-front:/run/secrets/tls.pem" in from_file["ages"]
    assert re.search(r'ExecStart=.* "certificate" "front"', from_file["ages"])
    assert "LlmCertificateExpires" in from_file["alerts"]
    assert "traefik" not in from_file["jobs"]
    assert "metrics" not in from_file["static"]


def test_a_resolvers_certificate_is_traefiks_to_tell(resolved: dict[str, Any]) -> None:
    assert '"certificate"' not in resolved["ages"]
    assert "LlmCertificateExpires" in resolved["alerts"]
    assert "traefik" in resolved["jobs"]


def test_where_nobody_tells_there_is_no_alert(flakes: Flakes, ports: Ports, tmp_path: Path) -> None:
    """Traefik's own certificate is made anew with every start."""
    facts = evaluate(flakes, tmp_path, ports, "{ }")
    assert "LlmCertificateExpires" not in facts["alerts"]
    assert "LlmKeyOld" in facts["alerts"]
    assert '"key" "chat"' in facts["ages"]


def pair(folder: Path, days: int) -> str:
    """Return a certificate for the host and its key, in PEM as tailscaled hands them over: the key first."""
    files = ("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"))
    subject = ("-days", str(days), "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, *subject], check=True, capture_output=True
    )
    return (folder / "key.pem").read_text() + (folder / "cert.pem").read_text()


class Running:
    """A Traefik in a mount namespace of its own, in which a tailscaled may answer."""

    def __init__(self, folder: Path, facts: dict[str, Any], ports: Ports, daemon: str) -> None:
        self.folder, self.ports = folder, ports
        gateway.write_traefik(folder, facts, str(folder))
        traefik = f"exec {gateway.PROGRAMS}/traefik --configfile={folder}/static.toml"
        enter = f"mount -t tmpfs none /run && mkdir /run/tailscale && {daemon} {traefik}"
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", enter],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def metrics(self) -> str:
        """Return Traefik's metrics, once it is there."""
        until = time.monotonic() + 20
        while True:
            try:
                return httpx.get(f"http://127.0.0.1:{self.ports.metrics}/metrics", trust_env=False).text
            except httpx.TransportError:
                assert time.monotonic() < until, self.log()
                time.sleep(0.1)

    def log(self) -> str:
        return re.sub(r"\x1b\[\d*m", "", (self.folder / "log").read_text())

    def errors(self) -> list[str]:
        return [line for line in self.log().splitlines() if " ERR " in line or " FTL " in line]

    def until(self, text: str) -> None:
        """Wait until the log says something."""
        until = time.monotonic() + 20
        while text not in self.log():
            assert time.monotonic() < until, self.log()
            time.sleep(0.1)

    def stop(self) -> None:
        """End all of it, and wait until its port is free. unshare heeds no polite wish."""
        self.process.kill()
        self.process.wait(15)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.ports.entry)) != 0:
                    return
            time.sleep(0.1)


def start(folder: Path, facts: dict[str, Any], ports: Ports, daemon: str = "") -> Running:
    if not gateway.is_there():
        pytest.skip(gateway.NEED_GATEWAY)
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("a tailscaled has its socket in /run, which is replaced for the test; run the tests as root")
    return Running(folder, facts, ports, daemon)


@pytest.fixture
def alone(resolved: dict[str, Any], ports: Ports, tmp_path: Path) -> Iterator[Running]:
    running = start(tmp_path, resolved, ports)
    yield running
    running.stop()


@pytest.fixture
def in_tailnet(resolved: dict[str, Any], ports: Ports, tmp_path: Path) -> Iterator[Running]:
    (tmp_path / "pair.pem").write_text(pair(tmp_path, days=9))
    daemon = f"{{ PYTHONPATH={ROOT} {sys.executable} -m tests.test_certificates {tmp_path}/pair.pem & }} && sleep 1 &&"
    running = start(tmp_path, resolved, ports, daemon)
    yield running
    running.stop()


def test_traefik_takes_the_configuration_and_asks_tailscaled(alone: Running) -> None:
    alone.metrics()
    alone.until("Unable to fetch certificate")
    (error,) = alone.errors()
    assert f'Unable to fetch certificate for domain "{HOST}"' in error
    assert "/var/run/tailscale/tailscaled.sock: connect: no such file or directory" in error
    with httpx.Client(verify=False, trust_env=False) as http:  # noqa: S501 - Traefik's own certificate
        answer = http.get(f"https://127.0.0.1:{alone.ports.entry}/v1/models", headers={"Host": HOST})
    assert answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR, "its router is there, and the engine is not"


def test_the_tailnets_certificate_is_served_and_traefik_tells_when_it_expires(in_tailnet: Running) -> None:
    in_tailnet.until("asked for /localapi/v0/cert/")
    until = time.monotonic() + 10
    pattern = rf'^traefik_tls_certs_not_after{{cn="{HOST}",.*}} (\S+)$'
    while (found := re.search(pattern, in_tailnet.metrics(), re.MULTILINE)) is None:
        assert time.monotonic() < until, in_tailnet.log()
        time.sleep(0.2)
    assert in_tailnet.errors() == []
    days = (float(found[1]) - time.time()) / 86400
    assert days == pytest.approx(9, abs=0.1)
    trusting = ssl.create_default_context(cafile=str(in_tailnet.folder / "cert.pem"))
    with httpx.Client(verify=trusting, trust_env=False) as http:
        answer = http.get(
            f"https://127.0.0.1:{in_tailnet.ports.entry}/v1/models",
            headers={"Host": HOST},
            extensions={"sni_hostname": HOST},
        )
    assert answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR


def tailscaled(path: Path) -> None:
    """Answer as tailscaled's local API does, for as long as the namespace lives."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sys.stdout.write(f"asked for {self.path}\n")
            sys.stdout.flush()
            body = path.read_bytes() if self.path == f"/localapi/v0/cert/{HOST}?type=pair" else b""
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing more."""

    socketserver.ThreadingUnixStreamServer(SOCKET, Handler).serve_forever()


if __name__ == "__main__":
    tailscaled(Path(sys.argv[1]))
