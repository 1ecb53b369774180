"""The registry's client against a server on loopback: digests, platforms, tokens, and everything that goes wrong."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from generator.errors import LockError
from generator.lock.limits import Limits
from generator.lock.registry import Registries
from tests.loopback import RegistryServer, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "someone/vllm"


@pytest.fixture(autouse=True)
def no_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=[False, True], ids=["open", "with a token"])
def server(request: pytest.FixtureRequest) -> Iterator[RegistryServer]:
    found = RegistryServer(NAME, token=request.param)
    found.add_index("v1", found.add_image(b"one"), found.add_image(b"two", "arm64"))
    found.add_index("v2", found.add_image(b"three"))
    found.add_index("v3", found.add_image(b"four"))
    with found.running():
        yield found


def digest(server: RegistryServer, tag: str, *architectures: str, seconds: float = 20.0) -> str:
    return Registries(Limits(seconds)).digest(f"{server.host}/{NAME}:{tag}", architectures)


def test_a_tag_of_several_platforms_is_the_digest_of_their_list(server: RegistryServer) -> None:
    assert digest(server, "v1", "amd64", "arm64") == server.tags["v1"]


def test_a_tag_of_one_image_is_its_digest(server: RegistryServer) -> None:
    server.tags["single"] = server.add_image(b"single")["digest"]
    assert digest(server, "single", "amd64") == server.tags["single"]


def test_an_image_that_a_machine_cannot_run_is_refused(server: RegistryServer) -> None:
    with pytest.raises(LockError, match="has no image for linux/arm64; it has amd64"):
        digest(server, "v2", "amd64", "arm64")


def test_a_digest_that_is_not_the_bodys_is_refused_with_both(server: RegistryServer) -> None:
    body = server.blobs[server.tags["v1"]][1]
    said = "sha256:" + "0" * 64
    reply = Reply(200, body, {"Content-Type": "application/json", "Docker-Content-Digest": said})
    server.faults["/manifests/"] = [reply]
    with pytest.raises(LockError, match=f"its digest is {said}, and it is {server.tags['v1']}"):
        digest(server, "v1")


def test_an_unknown_tag_is_told(server: RegistryServer) -> None:
    with pytest.raises(LockError, match=r"someone/vllm:v9: the registry has no such image; correct its name and tag"):
        digest(server, "v9")


@pytest.mark.parametrize("status", [429, 502])
def test_what_may_be_over_soon_is_tried_again(server: RegistryServer, status: int) -> None:
    server.faults["/manifests/"] = [Reply(status, headers={"Retry-After": "0"})]
    assert digest(server, "v1") == server.tags["v1"]


def test_a_body_that_was_cut_short_is_fetched_again(server: RegistryServer) -> None:
    media_type, body = server.blobs[server.tags["v1"]]
    server.faults["/manifests/"] = [Reply(200, body, {"Content-Type": media_type}, cut=20)]
    assert digest(server, "v1") == server.tags["v1"]


def test_all_pages_of_tags_are_read(server: RegistryServer) -> None:
    assert Registries(Limits(20.0)).tags(f"{server.host}/{NAME}:v1") == ("v1", "v2", "v3")


def test_a_registry_that_stays_away_is_given_up() -> None:
    with pytest.raises(LockError, match=r"127\.0\.0\.1:9: no good answer within 0\.5 s"):
        Registries(Limits(0.5)).digest("127.0.0.1:9/a/b:c", ())


def test_what_is_no_registry_is_told() -> None:
    server = RegistryServer(NAME)
    server.faults["/v2/"] = [Reply(200, b"<html>")]
    with server.running(), pytest.raises(LockError, match="the registry's answer is not JSON"):
        digest(server, "v1", "amd64")


def test_a_private_image_opens_with_the_login_that_podman_keeps(tmp_path: Path) -> None:
    login = base64.b64encode(b"me:secret").decode()
    server = RegistryServer(NAME, token=True, login=login)
    server.add_index("v1", server.add_image(b"one"))
    with server.running():
        with pytest.raises(LockError, match=r"no such image, or it is private; .*podman login"):
            digest(server, "v1")
        folder = tmp_path / ".config" / "containers"
        folder.mkdir(parents=True)
        (folder / "auth.json").write_text(json.dumps({"auths": {server.host: {"auth": login}}}), encoding="utf-8")
        assert digest(server, "v1") == server.tags["v1"]


def test_a_login_goes_to_no_token_server_in_the_clear() -> None:
    server = RegistryServer(NAME)
    challenge = 'Bearer realm="http://elsewhere.example/token",service="x"'
    server.faults["/manifests/"] = [Reply(401, b"{}", {"WWW-Authenticate": challenge})]
    with server.running(), pytest.raises(LockError, match="asks for a login that is not safe"):
        digest(server, "v1")
