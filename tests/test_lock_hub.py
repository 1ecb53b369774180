"""The hub's client against a server on loopback: commits, files and their hashes, and everything that goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from generator.errors import LockError
from generator.lock.hub import Hub
from generator.lock.limits import Limits
from generator.spec.pins import FilePin
from tests.loopback import TOKEN, HubServer, Reply, Repository, git_hash, sha256

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMIT = "a" * 40
WEIGHTS, CONFIG = b"weights" * 1000, b'{"model_type": "gpt_oss"}'
FILES = {
    ".gitattributes": b"*.safetensors filter=lfs",
    "README.md": b"for people",
    "config.json": CONFIG,
    "model.safetensors": WEIGHTS,
    "original/model.safetensors": b"again",
    "metal/model.bin": b"and again",
}


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path_factory.mktemp("no") / "token"))


@pytest.fixture
def server() -> Iterator[HubServer]:
    repository = Repository(COMMIT, dict(FILES), frozenset({"model.safetensors"}), refs=("main", "v1"))
    found = HubServer(
        o__m=repository,
        o__private=Repository(COMMIT, {"config.json": CONFIG}, private=True),
        o__gated=Repository(COMMIT, {"config.json": CONFIG}, gated=True),
    )
    with found.running():
        yield found


def hub(server: HubServer, seconds: float = 20.0) -> Hub:
    return Hub(Limits(seconds), server.url)


def pins(server: HubServer, seconds: float = 20.0) -> list[FilePin]:
    client = hub(server, seconds)
    return [client.pin("o/m", COMMIT, file) for file in client.files("o/m", COMMIT, (), ("original/*", "metal/*"))]


@pytest.mark.parametrize("revision", ["main", "v1", COMMIT])
def test_a_branch_a_tag_and_a_commit_are_the_commit_that_they_name(server: HubServer, revision: str) -> None:
    assert hub(server).commit("o/m", revision) == COMMIT


def test_every_file_that_is_needed_has_its_size_and_hash(server: HubServer) -> None:
    assert pins(server) == [
        FilePin("config.json", len(CONFIG), sha256(CONFIG)),
        FilePin("model.safetensors", len(WEIGHTS), sha256(WEIGHTS)),
    ]


def test_large_files_are_not_downloaded(server: HubServer) -> None:
    pins(server)
    assert [asked.path for asked in server.asked if "model.safetensors" in asked.path or "/cdn/" in asked.path] == []


def test_include_selects(server: HubServer) -> None:
    assert [file.path for file in hub(server).files("o/m", COMMIT, ("*.json",), ())] == ["config.json"]


def test_patterns_that_leave_nothing_are_refused(server: HubServer) -> None:
    with pytest.raises(LockError, match="include and exclude leave no file of commit"):
        hub(server).files("o/m", COMMIT, ("*.gguf",), ())


def test_an_unknown_repository_is_told_with_where_a_token_would_go(server: HubServer) -> None:
    with pytest.raises(LockError, match=r"o/nothing: .*no such repository, or it is private; .*set HF_TOKEN"):
        hub(server).commit("o/nothing", "main")


def test_an_unknown_revision_is_told(server: HubServer) -> None:
    with pytest.raises(LockError, match='there is no branch, tag or commit "v9"'):
        hub(server).commit("o/m", "v9")


def test_a_private_repository_opens_with_a_token_from_the_environment(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LockError, match="private"):
        hub(server).commit("o/private", "main")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert hub(server).commit("o/private", "main") == COMMIT


def test_a_private_repository_opens_with_a_token_from_a_file(
    server: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text(TOKEN, encoding="utf-8")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(path))
    assert hub(server).commit("o/private", "main") == COMMIT


def test_a_wrong_token_is_never_shown(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_" + "w" * 34)
    with pytest.raises(LockError, match="does not show it to this token") as caught:
        hub(server).commit("o/private", "main")
    assert "w" * 34 not in str(caught.value)


def test_terms_that_nobody_accepted_are_told(server: HubServer) -> None:
    with pytest.raises(LockError, match="for those who accepted its terms; accept them"):
        hub(server).commit("o/gated", "main")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_be_over_soon_is_tried_again(server: HubServer, status: int) -> None:
    server.faults["/revision/"] = [Reply(status, headers={"Retry-After": "0"})]
    assert hub(server).commit("o/m", "main") == COMMIT
    assert len([asked for asked in server.asked if "/revision/" in asked.path]) == 2


def test_as_long_as_the_server_says_is_waited(server: HubServer) -> None:
    server.faults["/revision/"] = [Reply(429, headers={"Retry-After": "3600"})]
    with pytest.raises(LockError, match="no good answer within 5 s: the hub answered 429"):
        hub(server, 5.0).commit("o/m", "main")


def test_a_host_that_stays_away_is_given_up() -> None:
    client = Hub(Limits(0.5), "http://127.0.0.1:9")
    with pytest.raises(LockError, match=r"http://127\.0\.0\.1:9: no good answer within 0\.5 s: .*--timeout"):
        client.commit("o/m", "main")


def test_a_body_that_was_cut_short_is_fetched_again(server: HubServer) -> None:
    server.faults["/resolve/"] = [Reply(200, CONFIG, cut=5)]
    assert FilePin("config.json", len(CONFIG), sha256(CONFIG)) in pins(server)


def test_a_file_that_is_not_the_listed_one_is_refused_with_both_hashes(server: HubServer) -> None:
    wrong = CONFIG.replace(b"gpt", b"tpg")
    server.faults["/resolve/"] = [Reply(200, wrong)]
    with pytest.raises(LockError, match=rf"{git_hash(wrong)}, and the hub lists {git_hash(CONFIG)}"):
        pins(server)
