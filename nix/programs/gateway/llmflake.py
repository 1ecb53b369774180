# Managed by llmflake: the static tier, copied unchanged into every generated flake.
"""What LiteLLM asks of llmflake: whose a key is, what it may ask for, and that one engine ends what it began."""

from __future__ import annotations

import hmac
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from fastapi import HTTPException
from litellm.exceptions import MidStreamFallbackError
from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper
from litellm.proxy._types import UserAPIKeyAuth

if TYPE_CHECKING:
    from fastapi import Request

_CLIENT = "client-"
_BAD_REQUEST, _UNAUTHORISED, _NOT_FOUND = 400, 401, 404
# LiteLLM would take these from a request: who answers is not for a client to say.
_STEERING = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "specific_deployment")


def _clients() -> dict[str, bytes]:
    """Return the keys of clients by name, as systemd handed them over."""
    folder = Path(os.environ["CREDENTIALS_DIRECTORY"])
    keys = {path.name.removeprefix(_CLIENT): path.read_bytes().strip() for path in folder.glob(f"{_CLIENT}*")}
    return {name: key for name, key in keys.items() if key}


def _served() -> set[str]:
    """Return the names that clients may ask for: services and their models, neither clouds nor single deployments."""
    from litellm.proxy.proxy_server import llm_router  # set when LiteLLM has read its configuration

    if llm_router is None:
        return set()
    groups = {entry["model_name"] for entry in llm_router.model_list if not entry["model_info"].get("fallback_only")}
    return groups | set(llm_router.model_group_alias or {})


async def _check_body(request: Request) -> None:
    """Raise HTTPException where a request asks for what is not served, or says who shall answer."""
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError:
        return  # LiteLLM says so better
    if not isinstance(body, dict):
        return
    for name in _STEERING:
        if name in body:
            raise HTTPException(_BAD_REQUEST, f"{name} is not for a client to say; leave it out")
    if "model" in body and body["model"] not in _served():
        raise HTTPException(_NOT_FOUND, "there is no such model here; GET /v1/models names them")


async def authenticate(request: Request, api_key: str) -> UserAPIKeyAuth:
    """Return whose key it is.

    Raises HTTPException: 401 where it is nobody's, else what `_check_body` says. A key is in no database or message.
    """
    given = api_key.encode()
    names = [name for name, key in _clients().items() if hmac.compare_digest(key, given)]
    if not names:
        raise HTTPException(_UNAUTHORISED, "this key is nobody's; send the header 'Authorization: Bearer <key>'")
    await _check_body(request)
    return UserAPIKeyAuth(api_key=names[0], key_alias=names[0], user_id=names[0])


_handle_stream_error = CustomStreamWrapper._handle_stream_fallback_error  # noqa: SLF001 - there is no other door


def _before_the_first_byte_alone(wrapper: CustomStreamWrapper, error: Exception) -> NoReturn:
    """Let the next engine answer only where the client has seen nothing yet.

    LiteLLM would ask it to go on where the first one stopped: half an answer of one model, half of another.
    """
    try:
        _handle_stream_error(wrapper, error)
    except MidStreamFallbackError as failed:
        if failed.is_pre_first_chunk:
            raise
        raise failed.original_exception from error


CustomStreamWrapper._handle_stream_fallback_error = _before_the_first_byte_alone  # noqa: SLF001
