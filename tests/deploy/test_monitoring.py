"""deploy/grafana and deploy/prometheus: each metric and label in them is on the page of a real server."""

import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.clients import environments
from tests.docs.found import commands
from tests.examples.test_configs import fake
from tests.programs import present
from tests.server import ALONE, Server, running
from tests.tables import each_row
from tests.waiting import until

pytestmark = pytest.mark.slow

DEPLOY = Path(__file__).parents[2] / "deploy"
_ADDED = {"job", "instance"}
"""Prometheus writes these on all it reads."""
_OF_CARDS = {"engine": {"xtts"}, "process": {"0"}}
"""Only hosts with a card report its memory."""
_KEY = {"WRONG": "wrong"}

_CONFIG = """
[engines.priced]
plugin = "openai"
base_url = "{url}/v1"
models = ["tts-1"]
budget_usd_day = 1
[engines.priced.costs]
"*" = {{ usd = 0.00003, per = "character" }}
[engines.refused]
plugin = "openai"
base_url = "{url}/v1"
api_key = "env:WRONG"
models = ["tts-1"]
[engines.xtts]
plugin = "tone"
[engines.remote]
plugin = "tone"
cluster = "gpu"
[clusters.gpu]
"""
_PARSE = "import json, sys, promql_parser; [promql_parser.parse(each) for each in json.load(sys.stdin)]"
_METRIC = re.compile(r"\b(voxgate_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r"(\w+)=(~?)\"([^\"]*)\"")
_GROUPING = re.compile(r"\b(?:by|on) \(([^)]*)\)")
_SHOWN = re.compile(r"\{\{ ?(?:\$labels\.)?(\w+) ?\}\}")

Served = dict[str, dict[str, set[str]]]
"""The values of each label of each name of a sample."""


class Expression(NamedTuple):
    """What a panel or an alert computes, and the texts that show labels of its results."""

    where: str
    text: str
    shown: str

    @property
    def metrics(self) -> list[tuple[str, str]]:
        """Each name with its matchers."""
        return _METRIC.findall(self.text)


def dashboard() -> Any:
    return json.loads((DEPLOY / "grafana" / "voxgate.json").read_text())


def rules() -> list[dict[str, Any]]:
    loaded = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def expressions() -> list[Expression]:
    panels = [
        Expression(f"{panel['title']}, {target['refId']}", target["expr"], target["legendFormat"])
        for panel in dashboard()["panels"]
        for target in panel["targets"]
    ]
    [trigger] = yaml.safe_load((DEPLOY / "kustomize/hosts/autoscaling.yaml").read_text())["spec"]["triggers"]
    return [
        *panels,
        *(Expression(rule["alert"], rule["expr"], rule["annotations"]["summary"]) for rule in rules()),
        Expression("KEDA", trigger["metadata"]["query"], ""),
    ]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The page of a server to which everything has happened that is counted."""
    folder = tmp_path_factory.mktemp("monitored")
    with fake("openai") as url, running(folder, ALONE + _CONFIG.format(url=url), environ=_KEY) as server:
        _use(server)
        yield until(lambda: _all_of(server))


def _use(server: Server) -> None:
    with server.client(server.mint_key("bots", plan="basic").secret) as client:

        def ask(path: str = "/v1/audio/speech", **more: object) -> int:
            body = {"model": "tts-1", "voice": "alloy", "input": "Hello.", "cache": True, **more}
            return client.post(path, json=body).status_code

        assert (ask(), ask()) == (200, 200)
        assert ask("/v1/jobs") == 202
        assert ask(model="priced/tts-1", voice="priced/alloy") == 200
        assert ask(voice="nobody") == 400
        assert ask("/" + "x" * 40_000) == 431
        assert (ask(voice="tone/fail"), ask(model="refused/tts-1", voice="refused/alloy")) == (503, 503)


def _all_of(server: Server) -> Served:
    """The page, or nothing until it has the last of all: the job is done."""
    found: Served = defaultdict(lambda: defaultdict(set))
    for family in text_string_to_metric_families(httpx2.get(server.metrics).text):
        for sample in family.samples:
            for label, value in sample.labels.items():
                found[sample.name][label].add(value)
            _ = found[sample.name]
    found["voxgate_device_memory_used_bytes"] = _OF_CARDS
    return found if "voxgate_job_steps_total" in found else {}


@each_row("expression", expressions(), ids=lambda expression: expression.where)
def test_each_metric_and_label_is_served(served: Served, expression: Expression) -> None:
    labels = {*_ADDED}
    for name, matchers in expression.metrics:
        assert name in served
        labels |= served[name].keys()
        for label, pattern, value in _MATCHER.findall(matchers):
            values = served[name][label] if label not in _ADDED else {"voxgate"}
            if not value.startswith("$"):
                assert any(re.fullmatch(value if pattern else re.escape(value), each) for each in values)
    grouped = {label for group in _GROUPING.findall(expression.text) for label in group.split(", ")}
    assert grouped <= labels
    assert set(_SHOWN.findall(expression.shown)) <= (grouped or labels)


def _parsed(texts: list[str]) -> bool:
    command = [str(present(lambda: environments.python("kubernetes"))), "-c", _PARSE]
    return not subprocess.run(command, input=json.dumps(texts), text=True, check=False).returncode


def test_prometheus_reads_each_expression() -> None:
    assert _parsed([re.sub(r"\$__rate_interval", "5m", each.text) for each in expressions()])
    assert not _parsed(["sum by (engine"])


def test_each_panel_says_what_it_shows() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] and panel["description"] for panel in panels)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)


def test_each_alert_names_its_weight_and_commands_that_exist() -> None:
    known = {re.split(r" (?![a-z])", each.usage)[0] for each in commands()}
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        named = re.findall(r"`(voxgate(?: [a-z]+)+)", rule["annotations"]["action"])
        assert set(named) <= known, rule["alert"]
