"""What watches a deployment: the spec's table, its rules, and Prometheus' own verdict on rules and configuration."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from generator import resources
from generator.catalog.metrics import alerts, counters, samples, thresholds
from generator.emit.alarms import features
from generator.emit.data import deployment_data
from generator.emit.monitoring import slowest
from generator.emit.runbook import runbook
from generator.errors import SpecError
from generator.plan.result import Speed
from generator.plan.speed import Estimate
from generator.spec.load import load_spec
from tests.nix_program import ROOT
from tests.prometheus import RECORDED, SPEC, deployment, evaluate, program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.nix_program import Nix

UNIT_TESTS = sorted((ROOT / "tests" / "promtool").glob("*.yaml"))
METRICS = tomllib.loads(resources.release_data("metrics.toml").read_text(encoding="utf-8"))
PANELS = tomllib.loads(resources.release_data("panels.toml").read_text(encoding="utf-8"))["panel"]
TEXT = SPEC.read_text(encoding="utf-8")
SCHEMA = json.loads(resources.schema_path().read_text(encoding="utf-8"))


def problems(path: Path) -> list[str]:
    """Return what is wrong with a spec, without the file's name."""
    with pytest.raises(SpecError) as error:
        load_spec(path)
    return [str(problem).partition(":")[2] for problem in sorted(error.value.problems)]


@pytest.fixture(scope="module")
def rules(nix: Nix) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = evaluate(nix, deployment(), "lib.monitoring.ruleGroups d")
    return groups


def all_rules(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [rule for group in groups for rule in group["rules"]]


# The spec.


def test_the_tests_spec_is_right() -> None:
    load_spec(SPEC)


def test_without_the_table_nothing_is_watched(spec_file: Callable[[str], Path]) -> None:
    spec = load_spec(spec_file(TEXT.partition("[monitoring]")[0]))
    assert spec.deployment.monitoring is None
    assert "monitoring" not in deployment_data(spec)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            'machines = ["aspen1"]\nexpose',
            'machines = ["aspen3"]\nexpose',
            'monitoring.machines[0]: there is no machine "aspen3"; did you mean "aspen2"?',
        ),
        (
            'expose = ["tailscale0"]\nsmu_exporter',
            "smu_exporter",
            (
                "monitoring.machines: no machine that scrapes reaches the node_exporter of aspen2; "
                'add "aspen2", or name an interface: expose = ["tailscale0"]'
            ),
        ),
        (
            'machines = ["aspen1"]\nexpose',
            'machines = ["aspen2"]\nexpose',
            (
                'monitoring.machines: no machine that scrapes reaches service "batch" on aspen1: it listens on '
                "127.0.0.1; "
                'add "aspen1": it then scrapes itself'
            ),
        ),
        (
            "smu_exporter = true",
            "alerts = { kv_cache = 95 }",
            (
                "monitoring.alerts.kv_cache: 95 is outside the range of vllm:kv_cache_usage_perc (share): the alert "
                "would never, or always, fire; write a share of 1: 0.95 for 95 %"
            ),
        ),
        (
            "smu_exporter = true",
            "alerts = { gpu_temperature = 200 }",
            (
                "monitoring.alerts.gpu_temperature: 200 is outside the range of node_hwmon_temp_celsius (degrees "
                "Celsius): the alert would never, or always, fire; write more than 30 and less than 110"
            ),
        ),
        (
            "mmap = false, metrics = true }\n\n[services.small]",
            "mmap = false }\n\n[services.small]",
            "services.spare: llama-server serves no metrics unasked; set llamacpp.metrics = true",
        ),
    ],
)
def test_what_would_leave_something_unwatched_is_refused_with_what_to_do(
    spec_file: Callable[[str], Path], old: str, new: str, expected: str
) -> None:
    assert TEXT.count(old) == 1
    found = problems(spec_file(TEXT.replace(old, new)))
    assert [line.split(": ", 1)[1] for line in found] == [expected]


def test_a_queue_that_the_server_never_lets_grow_so_long_is_refused(spec_file: Callable[[str], Path]) -> None:
    text = TEXT.replace("max_num_seqs = 4 }", "max_num_seqs = 4, max_num_queued_reqs = 3 }").replace(
        'accept = ["slow", "unproven"]\nvllm',
        'accept = ["slow", "unproven"]\nversion = "0.32.0"\ncontainer = { image = "a/b@sha256:'
        + "0" * 64
        + '" }\nvllm',
    )
    assert [line.split(": ", 1)[1] for line in problems(spec_file(text))] == [
        (
            'monitoring.alerts.queued_requests: service "batch" lets no more than 3 requests wait, so this alert would '
            "never fire; set it to 2 or less"
        )
    ]


@pytest.mark.parametrize(
    ("interface", "said"),
    [
        ("foo7", 'aspen1 is not known to have a network interface "foo7"'),
        ("lo", 'aspen1 is not known to have a network interface "lo"'),
        ("enp1s0", "node_exporter asks for no key, and enp1s0 of aspen1 is no private interface"),
    ],
)
def test_node_exporter_is_exposed_on_private_interfaces_alone(
    spec_file: Callable[[str], Path], interface: str, said: str
) -> None:
    text = re.sub(r"(?m)^expose = .*$", "", TEXT.partition("[monitoring]")[2].partition("\n[")[0])
    whole = TEXT.replace(TEXT.partition("[monitoring]")[2].partition("\n[")[0], f'{text}\nexpose = ["{interface}"]\n')
    assert [line.split(": ", 1)[1].partition("; ")[0] for line in problems(spec_file(whole))] == [
        f"monitoring.expose[0]: {said}"
    ]


def test_the_smu_exporter_without_a_strix_halo_is_refused(spec_file: Callable[[str], Path]) -> None:
    text = (
        (ROOT / "examples" / "nvidia.toml")
        .read_text(encoding="utf-8")
        .replace('flash_attn = "on" }', 'flash_attn = "on", metrics = true }')
    )
    found = problems(spec_file(f'{text}\n[monitoring]\nmachines = ["tower"]\nsmu_exporter = true\n'))
    assert [line.split(": ", 1)[1] for line in found] == [
        "monitoring.smu_exporter: no machine has a Strix Halo, whose tables these are; leave it out"
    ]


def test_the_schemas_thresholds_are_those_of_the_data() -> None:
    entries = SCHEMA["properties"]["monitoring"]["properties"]["alerts"]["properties"]
    assert {name: entry["default"] for name, entry in entries.items()} == {
        name: known.default for name, known in thresholds().items()
    }
    assert all(known.above < known.default < known.below for known in thresholds().values())


def test_the_floor_is_the_slower_of_what_the_plan_allows_rounded_down() -> None:
    shallow, deep = Estimate(50.0, 44.49, 55.0), Estimate(40.0, 33.39, 45.0)
    speed = Speed(4096, 512, shallow, deep, None, None, None, "c", 0.1)
    assert slowest(speed) == 33.3
    assert slowest(Speed(4096, 512, shallow, None, None, None, None, "c", 0.1)) == 44.4


def test_without_an_estimate_there_is_no_floor_and_no_alert_of_it(nix: Nix) -> None:
    assert slowest(None) is None
    assert slowest(Speed(0, 512, None, None, None, None, None, None, None)) is None
    groups = evaluate(nix, deployment(floors={}), "lib.monitoring.ruleGroups d")
    assert "LlmSlow" not in {rule.get("alert") for rule in all_rules(groups)}


# The runbook.


def test_every_alert_has_its_section_in_the_runbook(rules: list[dict[str, Any]]) -> None:
    text = runbook(load_spec(SPEC))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = [heading.lower().replace(" ", "-") for heading in headings]
    for rule in all_rules(rules):
        if "alert" in rule:
            file, _, anchor = rule["annotations"]["runbook"].partition("#")
            assert file == "RUNBOOK.md"
            assert anchors.count(anchor) == 1, anchor


def test_the_runbook_has_no_section_of_an_alert_that_cannot_be(rules: list[dict[str, Any]]) -> None:
    text = runbook(load_spec(SPEC))
    sections = set(re.findall(r"^### (Llm\w+)$", text, re.MULTILINE))
    assert sections == {rule["alert"] for rule in all_rules(rules) if "alert" in rule}
    vllm_only = runbook(load_spec(ROOT / "examples" / "aspen1-llamacpp.toml"))
    assert "### Llm" not in vllm_only


def section(alert: str) -> str:
    return runbook(load_spec(SPEC)).partition(f"### {alert}\n")[2].partition("\n### ")[0]


def test_who_looks_why_a_server_is_down_sees_what_its_start_waits_for() -> None:
    text = section("LlmDown")
    assert "systemctl status vllm llm-model-" in text
    assert re.search(r"journalctl -n 100 -u vllm -u llm-model-\S+ -u llm-image-vllm$", text, re.MULTILINE)
    assert re.search(r"reset-failed vllm llm-model-\S+ llm-image-vllm; systemctl start --no-block vllm'", text)


def test_a_silent_watchdog_is_started_by_a_command_and_none_is_named_where_none_is() -> None:
    watched = re.findall(r"systemctl restart (\S+)$", section("LlmWatchdogSilent"), re.MULTILINE)
    assert watched == [
        f"{service.unit}-watchdog"
        for services in load_spec(SPEC).placement.services_on.values()
        for service in services
        if service.health.watchdog
    ]


# The rules, by the real promtool.


def test_promtool_accepts_the_rules(rules: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text(json.dumps({"groups": rules}), encoding="utf-8")
    done = subprocess.run(
        [program("promtool"), "check", "rules", str(tmp_path / "rules.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(all_rules(rules))} rules found" in done.stdout


def unit_tests(groups: list[dict[str, Any]], file: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a file of unit tests against rules."""
    (folder / "rules.json").write_text(json.dumps({"groups": groups}), encoding="utf-8")
    shutil.copy(file, folder)
    return subprocess.run(
        [program("promtool"), "test", "rules", str(folder / file.name)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("file", UNIT_TESTS, ids=[file.stem for file in UNIT_TESTS])
def test_the_rules_pass_their_unit_tests(rules: list[dict[str, Any]], file: Path, tmp_path: Path) -> None:
    done = unit_tests(rules, file, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_unit_tests_see_a_threshold_that_is_never_reached(nix: Nix, tmp_path: Path) -> None:
    """A wrong rule fails them: they are not there for show."""
    wrong = {**deployment()["monitoring"]["alerts"], "kv_cache": 0.999}
    groups = evaluate(nix, deployment(alerts=wrong), "lib.monitoring.ruleGroups d")
    tests = yaml.safe_load((ROOT / "tests" / "promtool" / "alerts.yaml").read_text(encoding="utf-8"))
    of_cache = [test for test in tests["tests"] if "cache" in test["name"]]
    few = tmp_path / "few" / "few.yaml"
    few.parent.mkdir()
    few.write_text(yaml.safe_dump({**tests, "tests": of_cache}), encoding="utf-8")
    done = unit_tests(groups, few, tmp_path)
    assert done.returncode != 0
    assert "LlmKvCacheFull" in done.stdout + done.stderr


def test_every_alert_has_a_unit_test_in_which_it_fires_and_one_in_which_it_does_not(
    rules: list[dict[str, Any]],
) -> None:
    fires: set[str] = set()
    silent: set[str] = set()
    for file in UNIT_TESTS:
        for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]:
            for point in test.get("alert_rule_test", ()):
                (fires if point["exp_alerts"] else silent).add(point["alertname"])
    names = {rule["alert"] for rule in all_rules(rules) if "alert" in rule}
    assert names == {alert.name for alert in alerts()}, "the tests' spec has every feature"
    assert fires == names
    assert silent == names


def test_every_recording_rule_has_a_unit_test(rules: list[dict[str, Any]]) -> None:
    asked = " ".join(
        point["expr"]
        for file in UNIT_TESTS
        for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]
        for point in test.get("promql_expr_test", ())
    )
    for rule in all_rules(rules):
        if "record" in rule:
            assert re.search(rf"(?<![\w:]){rule['record']}(?![\w:])", asked), rule["record"]


def test_promtool_accepts_the_configuration(nix: Nix, tmp_path: Path) -> None:
    configs = evaluate(nix, deployment(), 'lib.scrape.configs d "aspen1"')
    assert [config["job_name"] for config in configs] == [
        *("vllm", "llamacpp", "llamacpp-chat-aspen2", "traefik", "llm-node")
    ]
    assert configs[0]["static_configs"][0]["targets"] == ["127.0.0.1:8000"]
    check_config({"scrape_configs": configs}, tmp_path)


def check_config(config: dict[str, Any], folder: Path) -> None:
    """Let promtool read a configuration."""
    (folder / "prometheus.json").write_text(json.dumps(config), encoding="utf-8")
    command = [program("promtool"), "check", "config", "--syntax-only", str(folder / "prometheus.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_key_for_metrics_is_a_credential_and_its_job_still_bears_the_engines_name(nix: Nix, tmp_path: Path) -> None:
    data = deployment()
    data["services"]["spare"]["settings"]["apiKey"] = True
    configs = evaluate(nix, data, 'lib.scrape.configs d "aspen1"')
    locked, of_another_machine = (config for config in configs if "authorization" in config)
    assert of_another_machine["authorization"]["credentials_file"].endswith("/llm-key-chat")
    assert locked["authorization"]["credentials_file"] == "/run/credentials/prometheus.service/llm-key-spare"
    assert locked["relabel_configs"] == [{"target_label": "job", "replacement": "llamacpp"}]
    assert evaluate(nix, data, 'lib.scrape.keys d "aspen1"') == ["chat", "spare"]
    check_config({"scrape_configs": configs}, tmp_path)


def test_a_machine_with_a_gateway_alone_is_watched_too(spec_file: Callable[[str], Path]) -> None:
    text = TEXT.replace('[gateways.front]\nmachine = "aspen1"', '[gateways.front]\nmachine = "front"')
    text = text.replace('tls = { resolver = "tailscale" }\n', "").replace(
        "[machines.aspen2]",
        '[machines.front]\nhardware = { accelerator = "cpu", memory_mib = 8192 }\n\n[machines.aspen2]',
    )
    text = text.replace(
        'expose = ["gateway"]\nmodel', 'host = "0.0.0.0"\nexpose = ["gateway", "tailscale0"]\napi_key = true\nmodel'
    )
    assert "node_exporter of front" not in str(load_spec(spec_file(text)))
    unreached = text.replace('machines = ["aspen1"]\nexpose = ["tailscale0"]\n', 'machines = ["aspen1", "aspen2"]\n')
    assert problems(spec_file(unreached)) == [
        (
            "74:12: monitoring.machines: no machine that scrapes reaches the node_exporter of front; "
            'add "front", or name an interface: expose = ["tailscale0"]'
        )
    ]


CHANGES = {
    "as it is": ("", ""),
    "a certificate of a file": ('{ resolver = "tailscale" }', '{ certificate = "/tls.pem", key = "/tls.key" }'),
    "Traefik's own certificate": ('tls = { resolver = "tailscale" }\n', ""),
    "another machine scrapes": ('[monitoring]\nmachines = ["aspen1"]', '[monitoring]\nmachines = ["aspen2", "aspen1"]'),
    "no gateway": (TEXT[TEXT.index("[gateways") : TEXT.index("[monitoring")], ""),
    "no keys": ("api_key = true", "accept = []"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_runbook_has_the_alerts_that_prometheus_has(
    change: str, spec_file: Callable[[str], Path], nix: Nix
) -> None:
    """Both know what a deployment has: Python for the runbook, Nix for the rules."""
    text = TEXT.replace(*CHANGES[change])
    if change in {"no gateway", "no keys"}:
        text = text.replace('expose = ["gateway"]\n', "").replace('expose = ["tailscale0"]\napi_key', "api_key")
    if change == "no keys":
        text = text.replace(TEXT[TEXT.index("[gateways") : TEXT.index("[monitoring")], "")
        text = text.replace('expose = ["tailscale0"]\naccept', "accept").replace('host = "0.0.0.0"\n', "")
        text = text.replace('machines = ["aspen1"]\nexpose', 'machines = ["aspen1", "aspen2"]\nexpose')
    spec = load_spec(spec_file(text))
    assert sorted(features(spec)) == sorted(evaluate(nix, deployment_data(spec), "lib.monitoring.features d"))


# The catalogue of metrics.


def names_in(expression: str) -> set[str]:
    """Return the metrics that an expression names."""
    return set(
        re.findall(r"(?<![\w:])(?:vllm:|llamacpp:|llm:|node_|llm_|llmflake_|amd_smu_|traefik_)[\w:]+", expression)
    )


def test_rules_and_panels_use_nothing_that_the_catalogue_does_not_have(rules: list[dict[str, Any]]) -> None:
    known = {rule["record"] for rule in all_rules(rules) if "record" in rule}
    for entry in METRICS.values():
        for metric in entry["metrics"] if isinstance(entry, dict) and "metrics" in entry else ():
            known |= {metric["name"]}
            if metric["kind"] == "histogram":
                known |= {f"{metric['name']}_{part}" for part in ("bucket", "sum", "count")}
    used = set().union(*(names_in(rule["expr"]) for rule in all_rules(rules)))
    used |= set().union(*(names_in(query["expr"]) for panel in PANELS for query in panel["queries"]))
    # A pattern of a label, and no metric.
    assert used - {"llm-node"} <= known, used - known


@pytest.mark.parametrize("engine", ["vllm", "llamacpp"])
def test_verify_looks_for_every_metric_of_an_engine_that_a_rule_or_a_panel_names(
    engine: str, rules: list[dict[str, Any]]
) -> None:
    expressions = [rule["expr"] for rule in all_rules(rules)]
    expressions += [query["expr"] for panel in PANELS for query in panel["queries"]]
    used = {name for name in set().union(*map(names_in, expressions)) if name.startswith(f"{engine}:")}
    assert used
    assert used <= set(samples(engine)), used - set(samples(engine))


def test_every_engine_with_counters_has_its_metrics_in_the_catalogue() -> None:
    assert set(counters()) == {"vllm", "llamacpp"}
    assert all(name.startswith(f"{engine}:") for engine in counters() for name in samples(engine))


def test_the_catalogue_has_nothing_that_nobody_uses(rules: list[dict[str, Any]]) -> None:
    used = set().union(*(names_in(rule["expr"]) for rule in all_rules(rules)))
    used |= set().union(*(names_in(query["expr"]) for panel in PANELS for query in panel["queries"]))
    for entry in METRICS.values():
        for metric in entry["metrics"] if isinstance(entry, dict) and "metrics" in entry else ():
            assert any(name == metric["name"] or name.startswith(f"{metric['name']}_") for name in used), metric


def test_vllms_metrics_are_those_that_a_running_one_exported() -> None:
    exported = dict(re.findall(r"^# TYPE (\S+) (\S+)$", RECORDED.read_text(encoding="utf-8"), re.MULTILINE))
    for metric in METRICS["vllm"]["metrics"]:
        assert exported[metric["name"]] == metric["kind"]


def test_the_plans_metrics_live_on(rules: list[dict[str, Any]]) -> None:
    plan = (ROOT / "docs" / "plan.md").read_text(encoding="utf-8").partition("### Key Metrics to Watch")[2]
    asked = re.findall(r"^- `(\w+)`", plan.partition("---")[0], re.MULTILINE)
    assert len(asked) == 5
    assert set(asked) <= {rule.get("record") for rule in all_rules(rules)}


# The dashboards.


@pytest.fixture(scope="module")
def dashboard(nix: Nix) -> dict[str, Any]:
    found: dict[str, Any] = evaluate(nix, deployment(), '(lib.dashboard.all d)."llm.json"')
    return found


def as_grafana_reads(dashboard: dict[str, Any]) -> dict[str, Any]:
    """Return a dashboard read and written again by Grafana's own types, which drop what they do not know."""
    pytest.importorskip("grafana_foundation_sdk", reason="no grafana-foundation-sdk; pip install it from PyPI")
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()
    again: dict[str, Any] = json.loads(JSONEncoder().encode(Dashboard.from_json(copy.deepcopy(dashboard))))
    return again


def covered(ours: Any, theirs: Any) -> bool:  # noqa: ANN401 - JSON
    """Return whether all that is in one JSON value is in another, which may say more."""
    if isinstance(ours, dict):
        return isinstance(theirs, dict) and all(
            name in theirs and covered(value, theirs[name]) for name, value in ours.items()
        )
    if isinstance(ours, list):
        return isinstance(theirs, list) and len(ours) == len(theirs) and all(map(covered, ours, theirs))
    return bool(ours == theirs)


def test_grafanas_own_types_know_all_that_is_in_the_dashboard(dashboard: dict[str, Any]) -> None:
    assert covered(dashboard, as_grafana_reads(dashboard))


def test_grafanas_own_types_do_not_know_a_misspelt_key(dashboard: dict[str, Any]) -> None:
    wrong = copy.deepcopy(dashboard)
    wrong["panels"][1]["gridPosition"] = wrong["panels"][1].pop("gridPos")
    assert not covered(wrong, as_grafana_reads(wrong))


def test_every_panel_and_every_query_asks_the_variable_for_its_datasource(dashboard: dict[str, Any]) -> None:
    wanted = {"type": "prometheus", "uid": "${datasource}"}
    drawn = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len(drawn) == len(PANELS)
    assert all(part["datasource"] == wanted for panel in drawn for part in (panel, *panel["targets"]))
    assert dashboard["templating"]["list"][0] | {"label": ""} == {
        "name": "datasource",
        "label": "",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
        "includeAll": False,
        "multi": False,
    }


def test_panels_have_numbers_of_their_own_and_do_not_overlap(dashboard: dict[str, Any]) -> None:
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    for panel in panels:
        letters = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(letters)) == len(letters)


def test_a_deployment_gets_only_panels_of_what_it_has(nix: Nix) -> None:
    data = deployment_data(load_spec(ROOT / "examples" / "aspen1.toml"))
    rows = {panel["row"] for panel in evaluate(nix, data, "lib.dashboard.panels d")}
    assert rows == {"Service", "vLLM", "GPU", "Machine"}
