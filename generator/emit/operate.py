"""The runbook's chapters on operating: keys and rolling back, with a deployment's own values."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from generator.spec.service import GATEWAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from generator.spec.gateway import Gateway
    from generator.spec.model import Machine
    from generator.spec.service import Service


def block(*commands: str) -> list[str]:
    """Return commands as they are to be typed, each on a line; nothing where there are none."""
    return ["```console", *(f"$ {command}" for command in commands), "```", ""] if commands else []


def key_generator(name: str) -> str:
    """Return the clan vars generator of a service's key; nix/lib/keys.nix names it the same way."""
    return f"llm-key-{name}"


def key_header(service: Service) -> str:
    """Return the start of a pipe that hands curl a service's key: on its standard input, where nobody sees it."""
    return f"sed 's/^/Authorization: Bearer /' {_key_file(service)} | "


def verify(machine: Machine, services: tuple[Service, ...], login: str) -> Iterator[str]:
    """Yield how everything is verified at once, with the keys that services ask for: none in a file, none in sight."""
    words = ["llmflake", "verify", "SPEC", machine.name]
    asking = [service for service in services if service.api_key or service.health.key_file]
    read = {service.name: _read_key(machine, service, login) for service in asking}
    if len(read) == 1:
        ((name, command),) = read.items()
        yield from block(f"{command} | {shlex.join([*words, '--soak', '1h', '--key-file', f'{name}=-'])}")
    else:
        given = [f" --key-file {shlex.quote(name)}=<({command})" for name, command in read.items()]
        yield from block(shlex.join([*words, "--soak", "1h"]) + "".join(given))
    if read:
        local = [word for service in asking for word in ("--key-file", f"{service.name}={_key_file(service)}")]
        yield from ("On the machine itself, as root, the keys are there already:", "")
        yield from block(shlex.join([*words, "--local", "--soak", "1h", *local]))


def _read_key(machine: Machine, service: Service, login: str) -> str:
    """Return the command that prints a service's key."""
    if service.api_key:
        return shlex.join(["clan", "vars", "get", machine.name, f"{key_generator(service.name)}/api-key"])
    return f"{login} {shlex.quote(shlex.join(['cat', _key_file(service)]))}"


def _key_file(service: Service) -> str:
    """Return the file on the machine that holds a service's key."""
    file = None if service.api_key else service.health.key_file
    return file or f"/run/credentials/{service.unit}.service/api-key"


def keys(machine: Machine, services: tuple[Service, ...], front: Gateway | None) -> Iterator[str]:
    """Yield how the keys of services and of a gateway's clients are read and changed, nothing where there is none."""
    names = [key_generator(service.name) for service in services if service.api_key]
    if front is not None and front.clients:
        names += [key_generator(f"{front.name}.{client}") for client in front.clients]
    if not names:
        return
    yield from ("### Keys", "")
    yield from (
        "clan makes them and keeps them encrypted in this repository. To read one, for somebody who shall have it:",
        "",
    )
    yield from block(*(shlex.join(["clan", "vars", "get", machine.name, f"{name}/api-key"]) for name in names))
    yield from ("To replace one; its service restarts, and the old key ends with it:", "")
    update = shlex.join(["clan", "machines", "update", machine.name])
    yield from block(
        *(
            f"{shlex.join(['clan', 'vars', 'generate', machine.name, '--generator', name, '--regenerate'])} && {update}"
            for name in names
        )
    )


def gateway(gateway: Gateway, machine: Machine, services: tuple[Service, ...]) -> Iterator[str]:
    """Yield how clients reach a gateway; ``services`` are those behind it."""
    scheme, standard = ("https", 443) if gateway.tls.enable else ("http", 80)
    url = f"{scheme}://{gateway.host}{'' if gateway.port == standard else f':{gateway.port}'}"
    alone = len(services) == 1 and services[0].api_key and not gateway.clients and not gateway.clouds
    name = services[0].name if alone else f"{gateway.name}.{(gateway.clients or ('everybody',))[0]}"
    yield from (f"### Gateway `{gateway.name}`", "")
    served = ", ".join(f"`{service.name}`" for service in services)
    limits = f"more than {gateway.queue} requests at once, or {gateway.requests_at_once} of one key"
    yield from (
        f"Clients use {url}/v1 and a key, and ask for {served}, or for a model by its name;",
        f"{limits}, are told 429.",
    )
    if not alone:
        yield "The header `x-litellm-model-id` of an answer says who gave it."
    yield ""
    for service in services:
        if service.fallback:
            yield from (f"Where `{service.name}` fails before its first byte: {', then '.join(service.fallback)}.", "")
    if gateway.clouds:
        yield from ("A cloud's key is asked for, and kept by clan:", "")
        names_of_clouds = [key_generator(f"{gateway.name}.{cloud.name}") for cloud in gateway.clouds]
        yield from block(
            *(
                shlex.join(["clan", "vars", "generate", machine.name, "--generator", name, "--regenerate"])
                for name in names_of_clouds
            )
        )
    # Traefik's own certificate is signed by nobody. What another Traefik shows is for it to say, and to be verified.
    unsigned = gateway.proxy == "own" and gateway.tls.enable and not (gateway.tls.certificate or gateway.tls.resolver)
    certificate = ("--insecure",) if unsigned else ()
    ask = shlex.join(["curl", "--silent", *certificate, "--header", "@-", f"{url}/v1/models"])
    read = shlex.join(["clan", "vars", "get", machine.name, f"{key_generator(name)}/api-key"])
    yield from ("It names what it serves:", "")
    yield from block(f"{read} | sed 's/^/Authorization: Bearer /' | {ask}")


def rollback(
    services: tuple[Service, ...], login: str, back: Iterable[str], elsewhere: tuple[str, ...]
) -> Iterator[str]:
    """Yield the four ways back, the nearest first: each is one command.

    ``back`` is the one to the configuration before; ``elsewhere`` are other machines that watch this one.
    """
    yield from ("### 4. Roll back", "")
    if services:
        yield from ("1. Stop the service:", "")
        yield from block(*(f"{login} systemctl stop {service.unit}" for service in services))
        yield from _to_ollama(services, login, elsewhere)
    yield from ("3. Go back to the configuration before, and deploy it:", "")
    yield from back
    yield from ("4. Boot the generation before; where the machine does not come up, choose it in its boot menu:", "")
    yield from block(f"{login} 'nixos-rebuild boot --rollback && reboot'")
    if services:
        yield from _kept(services, login)


def _kept(services: tuple[Service, ...], login: str) -> Iterator[str]:
    """Yield what stays for the way back, and how to be rid of it."""
    yield from ("### 5. What stays for that", "")
    yield from (
        "Where every criterion passed, `llmflake verify` has the machine record this state as the accepted one",
        "(`/var/lib/llmflake/accepted.json`). Its model files, its images and the system itself stay until another",
        "state is accepted, so going back to it, however many deployments later, downloads nothing:",
        "",
    )
    accepted = "/nix/var/nix/gcroots/llmflake-accepted"
    # The profile is what the next boot takes; switching alone does not change it.
    profile = "nix-env --profile /nix/var/nix/profiles/system"
    back = f'{profile} --set "$(readlink --canonicalize-existing {accepted})"'
    yield from block(f"{login} {shlex.quote(f'{back} && {accepted}/bin/switch-to-configuration switch')}")
    yield from (
        "What is used neither by that nor by a system that runs or may be booted, is listed, and removed when you say",
        "so; what llmflake did not bring is never touched. A generation in the boot menu keeps its models until",
        "`nix-collect-garbage` removes it:",
        "",
    )
    yield from block(f"{login} llmflake-kept", f"{login} llmflake-kept --remove")
    if any(service.engine == "ollama" or service.rollback_ollama for service in services):
        yield from ("Ollama's models are its own: `ollama list` and `ollama rm` are for those.", "")


def _to_ollama(services: tuple[Service, ...], login: str, elsewhere: tuple[str, ...]) -> Iterator[str]:
    ollama = next((service.name for service in services if service.engine == "ollama"), None)
    if ollama is not None:
        yield from (
            f"2. There is no Ollama to go back to: `{ollama}` is Ollama already, which is one a machine. For another",
            "of its models, name it in `models`; generate, deploy.",
            "",
        )
        return
    rolled = next((service for service in services if service.rollback_ollama), None)
    if rolled is None:
        yield from (
            '2. Serve with Ollama instead: set `engine = "ollama"` and `models` in the spec, generate, deploy. With',
            "`rollback.ollama` in the spec, the machine would be ready for it.",
            "",
        )
        return
    models = ", ".join(f"`{name}`" for name in rolled.rollback_ollama)
    reached = "the machine itself and its gateway" if GATEWAY in rolled.expose else "the machine itself"
    yield from (
        f"2. Serve with Ollama instead of `{rolled.name}`: {models} on port {rolled.port}, to {reached}.",
        "Ollama downloads them at the first switch: do it once in good times. It is also an entry of the boot menu,",
        "`ollama`:",
        "",
    )
    switch = "bin/switch-to-configuration switch"
    yield from block(f"{login} /run/current-system/specialisation/ollama/{switch}")
    if elsewhere:
        names = " and ".join(elsewhere)
        yield from (f"Prometheus on {names} does not know of it, and goes on to call `{rolled.name}` down.", "")
    yield from (f"And back to `{rolled.name}`:", "")
    yield from block(f"{login} /nix/var/nix/profiles/system/{switch}")
    yield from (
        f'For good: set `engine = "ollama"` in `services.{rolled.name}`, and nothing else; generate, deploy.',
        "",
    )
