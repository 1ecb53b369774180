"""A gateway as frozen dataclasses: what the spec says of it, defaults filled, references still names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cloud:
    """A model of a provider: US dollars for a million tokens, and US dollars that may be spent in a period ("1d")."""

    name: str
    provider: str
    model: str
    url: str | None
    budget_usd: float
    budget_period: str
    input_usd_per_million: float
    output_usd_per_million: float


@dataclass(frozen=True, slots=True)
class Tls:
    """How clients speak TLS: with files on the machine, by Traefik's resolver, or with Traefik's own certificate."""

    enable: bool
    certificate: str | None
    key: str | None
    resolver: str | None


@dataclass(frozen=True, slots=True)
class Gateway:
    """One address for several services: ``expose`` are interfaces, ``first_token_s`` and ``total_s`` seconds."""

    name: str
    machine: str
    host: str
    port: int
    expose: tuple[str, ...]
    proxy: str
    entry_points: tuple[str, ...]
    tls: Tls
    clients: tuple[str, ...]
    requests_per_minute: int
    requests_at_once: int
    queue: int
    first_token_s: int
    total_s: int
    litellm_port: int
    metrics_port: int
    clouds: tuple[Cloud, ...]


def certificate_metrics(gateway: Gateway, scrapers: tuple[str, ...]) -> bool:
    """Return whether Traefik is to tell when its certificate expires: no file does, and its machine scrapes itself."""
    ours = gateway.proxy == "own" and gateway.tls.enable and gateway.tls.resolver is not None
    return ours and gateway.machine in scrapers


def build_gateway(name: str, data: dict[str, Any]) -> Gateway:
    """Build a gateway from data that satisfies the schema."""
    tls = data.get("tls", {})
    proxy = data.get("proxy", "own")
    return Gateway(
        name=name,
        machine=data["machine"],
        host=data["host"],
        port=data.get("port", 443),
        expose=tuple(data.get("expose", ())),
        proxy=proxy,
        entry_points=tuple(data.get("entry_points", ("llm",) if proxy == "own" else ("websecure",))),
        tls=Tls(tls.get("enable", True), tls.get("certificate"), tls.get("key"), tls.get("resolver")),
        clients=tuple(data.get("clients", ())),
        requests_per_minute=data.get("requests_per_minute", 60),
        requests_at_once=data.get("requests_at_once", 4),
        queue=data.get("queue", 32),
        first_token_s=data.get("first_token_s", 120),
        total_s=data.get("total_s", 600),
        litellm_port=data.get("litellm_port", 4000),
        metrics_port=data.get("metrics_port", 8899),
        clouds=tuple(_cloud(cloud, entry) for cloud, entry in sorted(data.get("clouds", {}).items())),
    )


def _cloud(name: str, data: dict[str, Any]) -> Cloud:
    return Cloud(
        name=name,
        provider=data["provider"],
        model=data["model"],
        url=data.get("url"),
        budget_usd=data["budget_usd"],
        budget_period=data.get("budget_period", "1d"),
        input_usd_per_million=data["input_usd_per_million"],
        output_usd_per_million=data["output_usd_per_million"],
    )
