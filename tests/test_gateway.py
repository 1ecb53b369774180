"""The gateway, run for real: Traefik and LiteLLM as the machine's units start them, three llama-servers behind."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from tests import gateway, llama
from tests.conftest import write_flake
from tests.gateway import Gateway
from tests.llama import LlamaServer
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.nix_program import Flakes

ENGINES = {"batch": 47001, "chat": 47002, "backup": 47003}
CLIENTS = ["ann", "bob", "cat", "dan"]
ANSWERED = "x-litellm-model-id"


def key(name: str) -> str:
    return (name + "-").ljust(64, "0")


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, LlamaServer]]:
    """Real engines that ask for keys, on the ports of the spec; a test that ends one starts it again."""
    found = llama.required()
    folder = tmp_path_factory.mktemp("engines")
    running = {}
    for name, port in ENGINES.items():
        (folder / name).write_text(key(name) + "\n")
        running[name] = LlamaServer(*found, ("--api-key-file", str(folder / name)), port)
        running[name].start()
    yield running
    for engine in running.values():
        engine.stop()


@pytest.fixture(scope="module")
def front(
    flakes: Flakes, engines: dict[str, LlamaServer], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    assert engines
    if not gateway.is_there():
        pytest.skip(gateway.NEED_GATEWAY)
    flake = write_flake(ROOT / "tests" / "data" / "gateway.toml", tmp_path_factory.mktemp("flake"))
    credentials = [f"client-{name}" for name in CLIENTS] + ["backend-batch", "backend-chat", "cloud-backup"]
    running = Gateway(
        tmp_path_factory.mktemp("gateway"),
        gateway.evaluate(flakes, flake),
        {name: key(name.partition("-")[2]) for name in credentials},
    )
    try:
        running.start()
        yield running
    finally:
        running.stop()


def until_it_answers(front: Gateway, name: str) -> None:
    """Wait until a service that was started again is asked again: LiteLLM leaves it alone for a while."""
    until = time.monotonic() + 40
    while front.chat(name, "dan", 1).headers.get(ANSWERED) != f"{name}.m":
        assert time.monotonic() < until, front.logs()
        time.sleep(1)


def computed(engine: LlamaServer, name: str) -> float:
    """Return how many prompts an engine has worked on, in tokens."""
    got = httpx.get(f"{engine.url}/metrics", headers={"Authorization": f"Bearer {key(name)}"}, trust_env=False)
    (line,) = [line for line in got.text.splitlines() if line.startswith("llamacpp:tokens_predicted_total ")]
    return float(line.split()[1])


@contextmanager
def stopped(front: Gateway, engines: dict[str, LlamaServer], *names: str) -> Iterator[None]:
    """End engines, and start them again afterwards."""
    for name in names:
        engines[name].stop()
    try:
        yield
    finally:
        for name in names:
            engines[name].start()
        for name in names:
            until_it_answers(front, name)


def test_a_client_gets_an_answer_and_sees_who_gave_it(front: Gateway) -> None:
    done = front.chat("batch")
    assert done.status_code == 200, done.text
    assert done.json()["choices"][0]["message"]["content"]
    assert done.headers[ANSWERED] == "batch.m"


def test_a_service_goes_by_its_models_name_too_and_the_first_in_line_answers(front: Gateway) -> None:
    assert front.chat("smollm2").headers[ANSWERED] == "batch.m"
    assert front.chat("chat").headers[ANSWERED] == "chat.m"
    names = {entry["id"] for entry in front.get("/v1/models", "ann").json()["data"]}
    assert {"batch", "chat", "smollm2"} <= names


@pytest.mark.parametrize("client", [None, "nobody", "client-ann"])
def test_nobody_gets_in_without_a_key(front: Gateway, client: str | None) -> None:
    assert front.chat("batch", client).status_code == 401
    assert front.get("/v1/models", client).status_code == 401


@pytest.mark.parametrize("name", ["batch", "chat"])
def test_an_engines_own_key_is_no_key_of_the_gateway(front: Gateway, name: str) -> None:
    assert front.chat("batch", key(name)).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/health", "/metrics", "/invocations", "/docs", "/openapi.json", "/ui", "/key/generate", "/config/yaml"),
        *(
            "/health/readiness",
            "/v1/../metrics",
            "/v1/model/info",
            "/batch/metrics",
            "/batch/invocations",
            "/chat/health",
        ),
    ],
)
def test_nothing_but_openais_protocol_is_reached(front: Gateway, path: str) -> None:
    assert front.get(path, "bob").status_code == 404


def test_another_host_is_not_served(front: Gateway) -> None:
    assert front.get("/v1/models", "bob", host="other.test").status_code == 404


def test_a_path_that_the_spec_opens_needs_no_key(front: Gateway) -> None:
    done = front.get("/batch/health")
    assert (done.status_code, done.json()) == (200, {"status": "ok"})


def test_a_stream_arrives_in_pieces(front: Gateway) -> None:
    pieces = list(stream(front, "batch", 12))
    assert len(pieces) > 3
    assert "".join(pieces)


def stream(front: Gateway, model: str, tokens: int, client: str = "ann") -> Iterator[str]:
    """Yield the pieces of an answer; raise ValueError where an error ends it."""
    body = {
        "model": model,
        "stream": True,
        "max_tokens": tokens,
        "messages": [{"role": "user", "content": "Count from 1 to 500."}],
    }
    with (
        httpx.Client(verify=False, trust_env=False, timeout=60) as http,  # noqa: S501 - Traefik's own certificate
        http.stream("POST", f"{front.url}/v1/chat/completions", headers=front.headers(client), json=body) as answer,
    ):
        answer.raise_for_status()
        for line in answer.iter_lines():
            data = line.removeprefix("data: ")
            if line.startswith("data: ") and data != "[DONE]":
                event = json.loads(data)
                if "error" in event:
                    raise ValueError(event["error"])
                for choice in event["choices"]:
                    if choice["delta"].get("content"):
                        yield choice["delta"]["content"]


def test_where_the_first_engine_is_down_the_next_one_answers(front: Gateway, engines: dict[str, LlamaServer]) -> None:
    with stopped(front, engines, "batch"):
        for name in ("batch", "smollm2"):
            done = front.chat(name)
            assert done.status_code == 200, done.text
            assert done.headers[ANSWERED] == "chat.m"
        assert "".join(stream(front, "batch", 8))


def test_where_an_engine_hangs_the_next_one_begins_in_time(front: Gateway, engines: dict[str, LlamaServer]) -> None:
    engines["batch"].hang()
    try:
        started = time.monotonic()
        assert "".join(stream(front, "batch", 8))
        assert time.monotonic() - started < 12
    finally:
        engines["batch"].stop()
        engines["batch"].start()
    until_it_answers(front, "batch")


def test_an_answer_that_has_begun_is_not_continued_by_another_engine(
    front: Gateway, engines: dict[str, LlamaServer]
) -> None:
    before = computed(engines["chat"], "chat")
    answer = stream(front, "batch", 1500)
    begun = [next(answer) for _ in range(4)]
    process = engines["batch"].process
    assert process is not None
    process.kill()
    killed = time.monotonic()
    try:
        with pytest.raises((ValueError, httpx.HTTPError)):
            begun += list(answer)
        assert time.monotonic() - killed < 12
        assert computed(engines["chat"], "chat") == before
    finally:
        engines["batch"].stop()
        engines["batch"].start()
    until_it_answers(front, "batch")


@pytest.mark.parametrize("model", ["backup", "backup.openai", "batch.m", "nothing", 7])
def test_only_services_and_their_models_are_asked_for(front: Gateway, model: str) -> None:
    """Not a cloud by itself, and not a deployment, whose budget LiteLLM would not look at."""
    done = front.chat(model, "cat")
    assert done.status_code == 404, done.text
    assert "no such model" in done.text


@pytest.mark.parametrize("name", ["fallbacks", "context_window_fallbacks", "content_policy_fallbacks"])
def test_a_client_does_not_say_who_answers(front: Gateway, name: str) -> None:
    done = front.chat("batch", "cat", more={name: ["backup"]})
    assert done.status_code == 400, done.text


def test_a_key_has_so_many_requests_at_once_and_leaves_the_others_theirs(front: Gateway) -> None:
    with ThreadPoolExecutor() as pool:
        busy = [pool.submit(front.chat, "batch", "ann", 300) for _ in range(6)]
        time.sleep(0.5)
        other = front.chat("batch", "bob", 1)
        codes = Counter(done.result().status_code for done in busy)
    assert codes == {200: 3, 429: 3}
    assert other.status_code == 200


def test_the_queue_is_bounded(front: Gateway) -> None:
    clients = [client for client in CLIENTS for _ in range(2)]
    with ThreadPoolExecutor(len(clients)) as pool:
        asked = [pool.submit(front.chat, "batch", client, 300) for client in clients]
        codes = Counter(done.result().status_code for done in asked)
    assert codes == {200: 4, 429: 4}


def test_when_an_engine_dies_under_load_every_client_is_answered(
    front: Gateway, engines: dict[str, LlamaServer]
) -> None:
    """Four clients, each with six requests in a row; the first engine is killed while it computes."""
    answers: list[httpx.Response] = []

    def ask(client: str) -> None:
        answers.extend(front.chat("batch", client, 60) for _ in range(6))

    process = engines["batch"].process
    assert process is not None
    started = time.monotonic()
    with ThreadPoolExecutor(len(CLIENTS)) as pool:
        working = [pool.submit(ask, client) for client in CLIENTS]
        while len(answers) < 6:
            time.sleep(0.05)
        process.kill()
        for done in working:
            done.result()
    took = time.monotonic() - started
    engines["batch"].stop()
    engines["batch"].start()
    by = Counter(answer.headers.get(ANSWERED, answer.text) for answer in answers)
    assert set(by) == {"batch.m", "chat.m"}
    assert by.total() == 24
    assert by["batch.m"] >= 6
    assert by["chat.m"] >= 6
    assert took < 60
    until_it_answers(front, "batch")


def test_the_cloud_answers_last_and_says_so_until_its_budget_is_spent(
    front: Gateway, engines: dict[str, LlamaServer]
) -> None:
    with stopped(front, engines, "batch", "chat"):
        done = front.chat("batch", "bob")
        assert done.status_code == 200, done.text
        assert done.headers[ANSWERED] == "backup.openai"
        until = time.monotonic() + 20
        while (refused := front.chat("batch", "bob")).status_code == 200 and time.monotonic() < until:
            time.sleep(1)
        assert refused.status_code == 429
        spent = computed(engines["backup"], "backup")
        assert front.chat("batch", "bob").status_code == 429
        assert computed(engines["backup"], "backup") == spent


def test_what_was_spent_stays_spent_when_litellm_starts_again(front: Gateway, engines: dict[str, LlamaServer]) -> None:
    """The test before this one has spent the budget."""
    (since, spent) = json.loads(front.spend.read_text())["backup.openai"]
    assert time.time() - since < 600
    assert spent >= 0.5
    front.restart_litellm()
    with stopped(front, engines, "batch", "chat"):
        before = computed(engines["backup"], "backup")
        assert front.chat("batch", "dan").status_code == 429
        assert computed(engines["backup"], "backup") == before


def test_a_record_that_cannot_be_read_counts_as_spent(front: Gateway, engines: dict[str, LlamaServer]) -> None:
    front.spend.write_text("[")
    front.restart_litellm()
    with stopped(front, engines, "batch", "chat"):
        assert front.chat("batch", "dan").status_code == 429
    assert "every budget counts as spent; remove it to begin anew" in (front.folder / "litellm.log").read_text()


def test_when_the_period_is_over_the_cloud_answers_again(front: Gateway, engines: dict[str, LlamaServer]) -> None:
    front.spend.write_text(json.dumps({"backup.openai": [time.time() - 86401, 100.0]}))
    front.restart_litellm()
    with stopped(front, engines, "batch", "chat"):
        done = front.chat("batch", "dan")
        assert (done.status_code, done.headers.get(ANSWERED)) == (200, "backup.openai"), done.text
        until = time.monotonic() + 10
        while json.loads(front.spend.read_text())["backup.openai"][1] >= 100 and time.monotonic() < until:
            time.sleep(0.2)
    since, spent = json.loads(front.spend.read_text())["backup.openai"]
    assert time.time() - since < 60
    assert 0.5 <= spent < 100


def test_a_record_that_breaks_while_litellm_runs_is_not_begun_anew(
    front: Gateway, engines: dict[str, LlamaServer]
) -> None:
    record, log = front.spend.read_text(), front.folder / "litellm.log"
    front.spend.write_text(json.dumps({"backup.openai": [time.time() - 86401, 100.0]}))
    front.restart_litellm()
    assert ANSWERED in front.chat("batch", "dan").headers  # it has read the record
    told = log.read_text().count("cannot be read")
    front.spend.write_text("[")
    try:
        with stopped(front, engines, "batch", "chat"):
            assert front.chat("batch", "dan").status_code == 200
        until = time.monotonic() + 10
        while log.read_text().count("cannot be read") == told and time.monotonic() < until:
            time.sleep(0.2)
        assert log.read_text().count("cannot be read") > told
        assert front.spend.read_text() == "["
    finally:
        front.spend.write_text(record)


def test_a_key_has_so_many_requests_a_minute(front: Gateway) -> None:
    codes = Counter(front.get("/v1/models", "cat").status_code for _ in range(80))
    assert codes.keys() == {200, 429}
    assert codes[200] <= 75
    assert front.get("/v1/models", "bob").status_code == 200


ALONE = """
clan.name = "home"
machines.m = { hardware = "strix-halo-128" }
models.g = { repository = "a/b", revision = "COMMIT", format = "gguf", file = "a.gguf", served_name = "smollm2" }
services.chat = { engine = "llamacpp", machines = ["m"], model = "g", port = 47002, %s }
gateways.front = { machine = "m", host = "llm.test", port = 47444 }
""".replace("COMMIT", "0" * 40).replace("%s", 'api_key = true, expose = ["gateway"]')


@pytest.fixture(scope="module")
def alone(
    flakes: Flakes, engines: dict[str, LlamaServer], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """Traefik in front of one engine, without LiteLLM."""
    assert engines
    if not gateway.is_there():
        pytest.skip(gateway.NEED_GATEWAY)
    folder = tmp_path_factory.mktemp("alone")
    (folder / "spec.toml").write_text(ALONE)
    facts = gateway.evaluate(flakes, write_flake(folder / "spec.toml", folder / "flake"))
    running = Gateway(folder, facts, {"client-everybody": key("chat")})
    try:
        running.start()
        yield running
    finally:
        running.stop()


def test_one_engine_stands_behind_traefik_alone(alone: Gateway) -> None:
    assert alone.facts["litellm"] is None
    done = alone.chat("smollm2", "everybody")
    assert done.status_code == 200, done.text
    assert done.json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("client", [None, "nobody"])
def test_the_one_engine_says_whose_key_is_right_and_names_no_model_to_others(
    alone: Gateway, client: str | None
) -> None:
    """By itself llama-server names its models to everybody."""
    assert alone.chat("smollm2", client).status_code == 401
    assert alone.get("/v1/models", client).status_code == 401


@pytest.mark.parametrize("path", ["/", "/props", "/slots", "/metrics", "/health", "/completion", "/tokenize"])
def test_nothing_else_of_the_one_engine_is_reached(alone: Gateway, path: str) -> None:
    assert alone.get(path, "everybody").status_code == 404
