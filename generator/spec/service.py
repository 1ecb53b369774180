"""Services of a deployment: what the spec says of one, defaults filled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from generator.spec import health

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - behind a firewall that opens by interface
GATEWAY = "gateway"
PORTS = {"vllm": 8000, "llamacpp": 8080, "ollama": 11434, "openai-compatible": 8000}
RUNTIMES = {"vllm": "container", "llamacpp": "native", "ollama": "native", "openai-compatible": "container"}
_UNITS = {"vllm": "vllm", "llamacpp": "llama-cpp", "ollama": "ollama"}


@dataclass(frozen=True, slots=True)
class Container:
    """How a service's container is run; None where the engine's own holds."""

    runtime: str
    image: str | None
    command: tuple[str, ...] | None
    port: int | None


@dataclass(frozen=True, slots=True)
class Expect:
    """What a service must do at least: tokens a second for one user, seconds to the first token of so long a prompt."""

    decode_tokens_s: float
    first_token_s: float
    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class Service:
    """An inference server; ``flags`` are the fields of its engine's table, by their names in the spec."""

    name: str
    engine: str
    runtime: str
    machines: tuple[str, ...]
    tags: tuple[str, ...]
    model: str | None
    models: tuple[str, ...]
    host: str
    port: int
    expose: tuple[str, ...]
    api_key: bool
    fallback: tuple[str, ...]
    open_paths: tuple[str, ...]
    start_on_boot: bool
    gpu: bool
    container: Container
    version: str | None
    package: str
    source: str | None
    unit: str
    conflicts: tuple[str, ...]
    rollback_ollama: tuple[str, ...]
    expect: Expect
    accept: tuple[str, ...]
    extra_args: tuple[str, ...]
    allow_unknown_flags: bool
    extra_env: dict[str, str]
    flags: dict[str, Any]
    health: health.Health
    other_tables: tuple[str, ...]  # tables of engines that this service does not have

    @property
    def interfaces(self) -> tuple[str, ...]:
        """Return the network interfaces on which the service itself is reached."""
        return tuple(name for name in self.expose if name != GATEWAY)


def _rolled_back(data: dict[str, Any]) -> dict[str, Any]:
    """Return a service as Ollama serves it for good: one line of the spec changed, and the rest waits for its engine.

    Like the specialisation (nix/lib/rollback.nix), it is reached on loopback and through the gateway alone.
    """
    models = [*data.get("models", ()), *data["rollback"]["ollama"]]
    expose = [name for name in data.get("expose", ()) if name == GATEWAY]
    return {**{key: data[key] for key in _OLLAMA_KEEPS if key in data}, "models": models, "expose": expose}


_OLLAMA_KEEPS = (
    *("engine", "machines", "tags", "port", "start_on_boot", "gpu", "conflicts", "expect", "accept", "fallback"),
)


def build_service(name: str, data: dict[str, Any]) -> Service:
    """Build a service from data that satisfies the schema."""
    if data["engine"] == "ollama" and "rollback" in data:
        data = _rolled_back(data)
    engine = data["engine"]
    container = data.get("container", {})
    command = container.get("command")
    expect = data.get("expect", {})
    expose = tuple(data.get("expose", ()))
    return Service(
        name=name,
        engine=engine,
        runtime=data.get("runtime", RUNTIMES[engine]),
        machines=tuple(data.get("machines", ())),
        tags=tuple(data.get("tags", ())),
        model=data.get("model"),
        models=tuple(data.get("models", ())),
        host=data.get("host", EVERYWHERE if set(expose) - {GATEWAY} else LOOPBACK),
        port=data.get("port", PORTS[engine]),
        expose=expose,
        api_key=data.get("api_key", False),
        fallback=tuple(data.get("fallback", ())),
        open_paths=tuple(data.get("open_paths", ())),
        start_on_boot=data.get("start_on_boot", True),
        gpu=data.get("gpu", True),
        container=Container(
            container.get("runtime", "podman"),
            container.get("image"),
            None if command is None else tuple(command),
            container.get("port"),
        ),
        version=data.get("version"),
        package=data.get("package", "nixpkgs"),
        source=data.get("source"),
        unit=data.get("unit", _UNITS.get(engine, name)),
        conflicts=tuple(data.get("conflicts", ())),
        rollback_ollama=tuple(data.get("rollback", {}).get("ollama", ())),
        expect=Expect(
            expect.get("decode_tokens_s", 10.0), expect.get("first_token_s", 5.0), expect.get("prompt_tokens", 512)
        ),
        accept=tuple(data.get("accept", ())),
        extra_args=tuple(data.get("extra_args", ())),
        allow_unknown_flags=data.get("allow_unknown_flags", False),
        extra_env=dict(sorted(data.get("extra_env", {}).items())),
        flags=dict(sorted(data.get(engine, {}).items())),
        health=health.build(data.get("health", {}), engine),
        other_tables=tuple(table for table in ("vllm", "llamacpp") if table in data and table != engine),
    )
