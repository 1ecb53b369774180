"""Arguments that a person adds by hand: each flag once, and only flags that the engine's release has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from generator.catalog.load import aliases, version_key, vllm_flag_changes, vllm_flag_lists
from generator.spec.paths import quoted, shortened
from generator.spec.rules.engines import release_of
from generator.spec.rules.finding import Finding, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.catalog.load import FlagList
    from generator.spec.rules.finding import Context
    from generator.spec.service import Service

_FLAG = re.compile(r"(--?[A-Za-z][^=\s]*)(=.*)?", re.DOTALL)
# What the service sets by itself, and by which field.
_OWNED = {
    "vllm": {"--model": "model", "--host": "host", "--port": "port", "--served-model-name": "served_name of the model"},
    "llamacpp": {"--model": "model", "--host": "host", "--port": "port", "--alias": "served_name of the model"},
    "ollama": {},
    "openai-compatible": {},
}
_KEY_FLAGS = frozenset({"--api-key", "--hf-token"})


def flag_of_field(name: str) -> str:
    """Return the flag that a field stands for: ``max_model_len`` is ``--max-model-len``."""
    return "--" + name.replace("_", "-")


def flag_of_argument(argument: str, engine: str) -> str | None:
    """Return the canonical flag that an argument names, or None for a value. vLLM takes underscores for dashes."""
    match = _FLAG.fullmatch(argument)
    if match is None:
        return None
    flag = match[1].replace("_", "-").partition(".")[0]
    return aliases().get(engine, {}).get(flag, flag)


def check(context: Context) -> Iterator[Finding]:
    """Yield flags that are given twice, that would show a key, or that the release does not have."""
    for service in context.deployment.services.values():
        machines = context.placement.machines_of[service.name]
        release = release_of(service, machines[0] if machines else None)
        yield from _by_hand(service)
        if service.engine == "vllm" and not service.allow_unknown_flags:
            yield from _unknown(service, release)


def _by_hand(service: Service) -> Iterator[Finding]:
    fields = {flag_of_field(name): name for name in service.flags if name != "backend"}
    for index, argument in enumerate(service.extra_args):
        where = ("services", service.name, "extra_args", index)
        flag = flag_of_argument(argument, service.engine)
        positive = flag.replace("--no-", "--", 1) if flag else flag
        if flag is None or positive is None:
            continue
        if flag in _KEY_FLAGS:
            yield Finding(where, f"{flag} would show the key to everybody on the machine", "leave it out")
        elif flag in _OWNED[service.engine]:
            yield Finding(where, f"{flag} is set by {_OWNED[service.engine][flag]}", "leave it out here")
        elif positive in fields:
            yield Finding(where, f"{flag} is given twice: by the field {fields[positive]} and here", "keep one of them")
    if service.engine == "ollama" and service.extra_args:
        yield Finding(
            ("services", service.name, "extra_args"), "ollama serve takes no arguments", "use extra_env", key=True
        )


def _nearest(release: str | None) -> FlagList:
    """Return the list of a release, else of the nearest one (the newest when the release is not known)."""
    lists = vllm_flag_lists()
    if release is None:
        return lists[-1]
    older = [entry for entry in lists if version_key(entry.release) <= version_key(release)]
    return older[-1] if older else lists[0]


def _unknown(service: Service, release: str | None) -> Iterator[Finding]:
    known = _nearest(release)
    named = (
        f"vLLM {known.release}"
        if release in {None, known.release}
        else f"vLLM {release} (by the list of {known.release})"
    )
    lacking = {
        change.flag: change
        for change in vllm_flag_changes()
        if release is not None and version_key(release) <= version_key(change.absent)
    }
    for path, flag in _flags(service):
        if flag in lacking:
            change = lacking[flag]
            yield Finding(
                path,
                f"vLLM {release} has no {flag}: it is in {change.since} and later",
                "leave it out, or use a later release",
            )
        elif not isinstance(path[-1], int) and flag not in vllm_flag_lists()[-1].flags:
            continue  # no field at all, which the schema has told
        elif flag.startswith("--") and flag not in known.flags:
            yield Finding(
                path,
                f"{named} has no {shortened(flag)}",
                suggestion(flag, _close(flag, known), "leave it out")
                + "; if your release has it, set allow_unknown_flags = true",
            )
        elif isinstance(path[-1], int):
            yield from _value(service, path[-1], known)


def _close(flag: str, known: FlagList) -> list[str]:
    """Return the flags worth suggesting: without one that is near, two hundred names would help nobody."""
    import difflib  # only a wrong spec needs it

    return difflib.get_close_matches(flag, known.flags, n=1)


def _flags(service: Service) -> Iterator[tuple[tuple[str | int, ...], str]]:
    here = ("services", service.name)
    for name in service.flags:
        yield (*here, "vllm", name), flag_of_field(name)
    for index, argument in enumerate(service.extra_args):
        flag = flag_of_argument(argument, service.engine)
        if flag is not None and flag not in _KEY_FLAGS and flag not in _OWNED["vllm"]:
            yield (*here, "extra_args", index), flag


def _value(service: Service, index: int, known: FlagList) -> Iterator[Finding]:
    """Yield a flag without its value, and a value that the flag does not take."""
    argument = service.extra_args[index]
    flag = flag_of_argument(argument, "vllm")
    choices = known.flags.get(flag or "")
    if flag is None or choices is None or "." in argument.partition("=")[0]:
        return
    where = ("services", service.name, "extra_args", index)
    _, equals, value = argument.partition("=")
    if not choices.takes_value:
        if equals:
            yield Finding(where, f"{flag} takes no value", f'write "{flag}" alone')
        return
    if not equals:
        following = service.extra_args[index + 1 : index + 2]
        if not following or flag_of_argument(following[0], "vllm") in known.flags:
            yield Finding(where, f"{flag} needs a value", "put the value behind it, as the next argument")
            return
        value = following[0]
    if choices.choices and value not in choices.choices:
        yield Finding(where, f"{flag} does not take {quoted(value)}", suggestion(value, choices.choices, ""))
