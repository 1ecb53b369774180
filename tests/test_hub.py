"""The hub's metadata, asked of a server on this machine that speaks as the hub does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import save

from generator.errors import ShapeError
from generator.shapes.files import FileBytes
from generator.shapes.hub import read_repository
from generator.shapes.safetensors import INDEX
from tests.configurations import CONFIGURATIONS, llama
from tests.hub_server import COMMIT, Hub, serving
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "hf_thistokenisneverprinted"  # noqa: S105 - of no account
CONFIG = json.dumps(llama(2, 8, (4, 2), 16, vocab_size=100)).encode()


def weights(**shapes: tuple[int, ...]) -> bytes:
    return save({name.replace("__", "."): np.zeros(shape, np.float16) for name, shape in shapes.items()})


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Serve a small model in two files, with copies and another format beside; nothing of the user's is used."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    names = {"model.embed_tokens.weight": "model-1.safetensors", "lm_head.weight": "model-2.safetensors"}
    files = {
        "README.md": b"words",
        "config.json": CONFIG,
        INDEX: json.dumps({"metadata": {"total_size": 3200}, "weight_map": names}).encode(),
        "model-1.safetensors": weights(model__embed_tokens__weight=(100, 8)),
        "model-2.safetensors": weights(lm_head__weight=(100, 8)),
        "consolidated.safetensors": weights(output__weight=(100, 8)),
        "original/model.safetensors": weights(output__weight=(100, 8)),
    }
    with serving(Hub(files)) as found:
        yield found


def read(hub: Hub, **more: Any) -> Any:  # noqa: ANN401
    return read_repository("some/model", endpoint=hub.url, **more)


def refusal(hub: Hub, name: str = "some/model", **more: Any) -> str:  # noqa: ANN401
    with pytest.raises(ShapeError) as caught:
        read_repository(name, endpoint=hub.url, **more)
    (problem,) = caught.value.problems
    assert problem.hint
    assert TOKEN not in str(problem)
    return str(problem).replace(hub.url, "HUB")


def test_a_repository_gives_the_shape_and_the_bytes_of_what_an_engine_reads(hub: Hub) -> None:
    found = read(hub)
    assert found.shape.layers == 2
    assert found.bytes == FileBytes(3200, 1600, 1600, 0, 0)
    assert found.files == ("model-1.safetensors", "model-2.safetensors")


def test_only_headers_of_weights_are_asked_for(hub: Hub) -> None:
    hub.files["model-2.safetensors"] = weights(lm_head__weight=(1_000_000, 8))
    read(hub)
    asked = [headers["range"] for _, path, headers in hub.requests if path.endswith("model-2.safetensors")]
    assert asked == ["bytes=0-100000"]
    assert hub.sent < 200_000


def test_files_are_read_at_the_commit_that_the_revision_stands_for(hub: Hub) -> None:
    read(hub, revision="v1.0")
    assert "/revision/v1.0" in hub.requests[0][1]
    assert all(f"/resolve/{COMMIT}/" in path for _, path, _ in hub.requests[1:])


def test_the_librarys_token_is_sent(hub: Hub) -> None:
    read(hub)
    assert {headers["authorization"] for _, _, headers in hub.requests} == {f"Bearer {TOKEN}"}


def test_nothing_stays_behind(hub: Hub, tmp_path: Path) -> None:
    read(hub)
    assert list(tmp_path.iterdir()) == []


def test_without_an_index_all_files_but_copies_are_the_model(hub: Hub) -> None:
    del hub.files[INDEX]
    assert read(hub).files == ("model-1.safetensors", "model-2.safetensors")


def test_include_and_exclude_choose_among_files(hub: Hub) -> None:
    del hub.files[INDEX]
    assert read(hub, include=["*.safetensors", "*.md"], exclude=["model-2*"]).files == ("model-1.safetensors",)


def test_a_model_in_one_consolidated_file_is_read(hub: Hub) -> None:
    hub.files = {name: data for name, data in hub.files.items() if name in {"config.json", "consolidated.safetensors"}}
    assert read(hub).bytes == FileBytes(1600, 1600, 0, 0, 0)


def test_modelopts_file_says_the_format(hub: Hub) -> None:
    hub.files["hf_quant_config.json"] = b'{"quantization": {"quant_algo": "NVFP4"}}'
    assert read(hub).shape.native_format == "nvfp4"


def test_a_gguf_file_gives_its_size_and_the_shape_of_the_configuration_beside_it(hub: Hub) -> None:
    hub.files = {"config.json": CONFIG, "a-Q4_K_M.gguf": bytes(70), "a-Q8_0.gguf": bytes(90), "mmproj-F16.gguf": b"1"}
    found = read(hub, include=["*Q4_K_M*"])
    assert (found.bytes, found.files) == (FileBytes(70), ("a-Q4_K_M.gguf",))
    assert found.shape.layers == 2
    assert found.shape.native_format is None


def test_a_split_gguf_file_is_one_model(hub: Hub) -> None:
    hub.files = {f"Q8_0/a-0000{number}-of-00002.gguf": bytes(number) for number in (1, 2)}
    found = read(hub)
    assert (found.shape, found.bytes) == (None, FileBytes(3))


def test_a_missing_part_is_named(hub: Hub) -> None:
    hub.files = {"a-00002-of-00002.gguf": b"1"}
    assert "names files that are not there: a-00001-of-00002.gguf" in refusal(hub)


def test_several_gguf_models_need_to_be_chosen_among(hub: Hub) -> None:
    hub.files = {"a-Q4_K_M.gguf": b"1", "a-Q8_0.gguf": b"1"}
    message = 'HUB/some/model: holds 2 models: a-Q4_K_M.gguf, a-Q8_0.gguf; name one with include, as "*Q4_K_M*"'
    assert refusal(hub) == message


def test_sizes_that_the_hub_does_not_say_are_not_guessed(hub: Hub) -> None:
    hub.files, hub.sizes = {"a.gguf": b"1"}, False
    assert "does not say how large its files are" in refusal(hub)


def test_a_repository_without_weights_is_refused(hub: Hub) -> None:
    hub.files = {"README.md": b"words"}
    assert "holds neither safetensors nor GGUF files that match; check include and exclude" in refusal(hub)
    hub.files = {"config.json": CONFIG, "unet/a.safetensors": b"1"}
    assert "holds no weights that an engine would read" in refusal(hub)


def test_a_repository_without_a_configuration_is_refused(hub: Hub) -> None:
    del hub.files["config.json"]
    assert "has no config.json" in refusal(hub)


def test_an_index_that_names_missing_files_is_refused(hub: Hub) -> None:
    del hub.files["model-2.safetensors"]
    assert f"{INDEX}: names files that are not there: model-2.safetensors" in refusal(hub)


def test_an_unknown_architecture_is_said_with_its_place(hub: Hub) -> None:
    hub.files["config.json"] = json.dumps(CONFIGURATIONS["openai/gpt-oss-20b"] | {"architectures": ["New"]}).encode()
    assert 'HUB/some/model/config.json: architectures: the shape of "New" is not known' in refusal(hub)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe"])
def test_a_configuration_that_is_no_json_is_said_with_its_place(hub: Hub, data: bytes) -> None:
    hub.files["config.json"] = data
    assert "HUB/some/model/config.json: is no JSON" in refusal(hub)


def test_a_header_that_is_none_is_refused(hub: Hub) -> None:
    hub.files["model-2.safetensors"] = b"\x02" + bytes(7) + b"{]"
    assert "gives an answer that is not understood" in refusal(hub)


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (404, {"X-Error-Code": "RepoNotFound"}, "is not known, or private; check the name; for a private one hf auth"),
        (401, {"X-Error-Code": "RepoNotFound"}, "is not known, or private"),
        (404, {"X-Error-Code": "RevisionNotFound"}, "has no such revision; check the revision"),
        (403, {"X-Error-Code": "GatedRepo"}, "is gated; accept its terms on its page, then hf auth login"),
        (404, {}, "is not there (404); check the name and the revision"),
        (403, {}, "refuses this token (403); hf auth login"),
        (429, {}, "had too many requests (429); wait a few minutes, or hf auth login"),
        (500, {}, "answers 500; try again later, or give the model's files"),
    ],
)
def test_a_refusal_of_the_hub_says_what_to_do(hub: Hub, status: int, headers: dict[str, str], message: str) -> None:
    hub.fault = (status, headers, b'{"error": "x"}')
    assert f"HUB/some/model: {message}" in refusal(hub)


def test_files_that_may_not_be_read_say_that_the_repository_is_gated(hub: Hub) -> None:
    hub.file_fault = (403, {"X-Error-Code": "GatedRepo"}, b"")
    assert "is gated" in refusal(hub)


@pytest.mark.parametrize("data", [b"<html>", b"[]", b"{}", b"null", b'{"id": 3, "siblings": 7}', b"\xff"])
def test_an_answer_of_another_form_is_refused(hub: Hub, data: bytes) -> None:
    hub.fault = (200, {"Content-Type": "application/json"}, data)
    assert "HUB/some/model: " in refusal(hub)


def test_a_hub_that_does_not_answer_in_time_is_refused(hub: Hub) -> None:
    hub.delay = 1.0
    assert "cannot be reached (ReadTimeout); check the network and HF_ENDPOINT" in refusal(hub, timeout=0.1)


def test_a_hub_that_is_not_there_is_refused() -> None:
    with serving(Hub()) as gone:
        pass
    assert "cannot be reached (ConnectError)" in refusal(gone)


def test_a_name_that_is_none_is_refused(hub: Hub) -> None:
    assert "HUB/a/b/c: is no name of a repository; write owner/name" in refusal(hub, "a/b/c")


def test_the_librarys_environment_is_heeded(hub: Hub) -> None:
    """HF_ENDPOINT and HF_HUB_OFFLINE are read when the library is imported, so another process asks."""
    program = "from generator.shapes.hub import read_repository as read; print(read('some/model').bytes.total)"
    environment = {**os.environ, "HF_ENDPOINT": hub.url}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("3200\n", "")
    environment["HF_HUB_OFFLINE"] = "1"
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (
        f"{hub.url}/some/model: is not asked: HF_HUB_OFFLINE is set; unset it, or give the model's files" in done.stderr
    )
