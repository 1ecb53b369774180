"""A gateway for deployment.json: what stands behind it, and where it listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from generator.emit.values import some
from generator.spec.address import asked_at, bracketed
from generator.spec.gateway import certificate_metrics
from generator.spec.service import GATEWAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.spec.gateway import Cloud, Gateway
    from generator.spec.load import Spec
    from generator.spec.model import Machine
    from generator.spec.service import Service


def gateway_data(spec: Spec, gateway: Gateway) -> dict[str, Any]:
    """Return a gateway as JSON values, by the names of the Nix options (nix/services/llm/gateway-options.nix)."""
    monitoring = spec.deployment.monitoring
    measured = certificate_metrics(gateway, () if monitoring is None else monitoring.machines)
    tls = {"enable": gateway.tls.enable, "certificate": gateway.tls.certificate, "key": gateway.tls.key}
    return {
        "machine": gateway.machine,
        "settings": {
            "name": gateway.name,
            "host": gateway.host,
            "port": gateway.port,
            "interfaces": list(gateway.expose),
            "proxy": gateway.proxy,
            "entryPoints": list(gateway.entry_points),
            "tls": some({**tls, "resolver": gateway.tls.resolver}),
            "litellmPort": gateway.litellm_port,
            **({"metricsPort": gateway.metrics_port} if measured else {}),
            "clients": list(gateway.clients),
            "limits": {
                "requestsPerMinute": gateway.requests_per_minute,
                "requestsAtOnce": gateway.requests_at_once,
                "queue": gateway.queue,
            },
            "timeouts": {"firstTokenSeconds": gateway.first_token_s, "totalSeconds": gateway.total_s},
            "backends": list(_backends(spec, gateway)),
            "clouds": [_cloud(cloud) for cloud in gateway.clouds],
        },
    }


def _backends(spec: Spec, gateway: Gateway) -> Iterator[dict[str, Any]]:
    clouds = {cloud.name for cloud in gateway.clouds}
    services = {name for name, service in spec.deployment.services.items() if GATEWAY in service.expose}
    for service in spec.deployment.services.values():
        if service.name not in services:
            continue
        machines = spec.placement.machines_of[service.name]
        for machine in machines:
            yield {
                "name": service.name if len(machines) == 1 else f"{service.name}.{machine.name}",
                "id": f"{service.name}.{machine.name}",
                "service": service.name,
                "engine": service.engine,
                "url": _url(service, machine, gateway),
                "port": service.port,
                "models": list(_models(spec, service)),
                "keyed": service.api_key,
                "fallback": [name for name in service.fallback if name in services | clouds],
                "openPaths": list(service.open_paths),
            }


def _url(service: Service, machine: Machine, gateway: Gateway) -> str:
    if machine.name != gateway.machine:
        return f"http://{machine.name}:{service.port}"
    return f"http://{bracketed(asked_at(service.host), service.port)}"


def _models(spec: Spec, service: Service) -> tuple[str, ...]:
    model = spec.deployment.models.get(service.model or "")
    return (model.served_name or model.repository,) if model else service.models or (service.name,)


def _cloud(cloud: Cloud) -> dict[str, Any]:
    return some(
        {
            "name": cloud.name,
            "provider": cloud.provider,
            "model": cloud.model,
            "url": cloud.url,
            "budgetUsd": cloud.budget_usd,
            "budgetPeriod": cloud.budget_period,
            "inputUsdPerMillion": cloud.input_usd_per_million,
            "outputUsdPerMillion": cloud.output_usd_per_million,
        }
    )
