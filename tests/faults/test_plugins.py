"""Plugins that break disable themselves alone, and every place an operator looks at says why."""

import json
from typing import Any

import httpx2
import pytest

from tests.faults.odd_plugins import BROKEN, Checked, Odd
from tests.replies import json_of
from tests.server import Server

REASONS = {
    "no_import": ("import", "RuntimeError: this needs a newer soundbox"),
    "exits": ("import", "SystemExit: this machine has no soundbox"),
    "no_register": ("register", "LookupError: there is no model folder"),
    "nonsense": ("answer", "must give a tuple of Plugin, not str"),
    "nothing": ("answer", "gives None"),
    "misspelt": ("register", "voxgate_regster"),
}
"""Of two plugins that give the same engine, either may be the one that is refused."""


@pytest.fixture
def server(odd: Odd) -> Server:
    return odd.server


def _assert_all_named(faults: dict[str, tuple[str, str]]) -> None:
    for name, (stage, part) in REASONS.items():
        found_stage, reason = faults[f"v_{name}"]
        assert found_stage == stage
        assert part in reason
    assert "another plugin already gives the engine 'tone'" in faults["v_second_tone"][1]
    assert len(faults) == len(BROKEN)


def test_the_others_serve(server: Server) -> None:
    assert server.speech("Nothing wrong here.").status_code == 200
    assert server.speech("Nor here.", model="espeak/standard").status_code == 200


def test_readyz_names_each_as_degraded_and_stays_ready(server: Server) -> None:
    degraded: list[dict[str, Any]] = json_of(httpx2.get(f"{server.url}/readyz"))["degraded"]
    _assert_all_named(
        {each["plugin"]: (each["stage"], each["reason"]) for each in degraded if "plugin" in each}
    )


def test_engines_names_each(server: Server) -> None:
    listed = json.loads(server.cli("engines", "--json").stdout)
    states = {each["name"]: each["state"] for each in listed["data"]}
    failed = dict.fromkeys(("gong", "bell", "missing", "misset"), "failed")
    assert states == {"tone": "ready", "espeak": "ready", **failed}
    _assert_all_named({each["plugin"]: (each["stage"], each["reason"]) for each in listed["faults"]})


def test_check_names_each_and_fails(checked: Checked) -> None:
    assert checked.status == 1
    findings = [each for each in checked.findings if each["check"] == "plugin"]
    assert all(each["state"] == "wrong" for each in findings)
    notes = [(each["name"], each["found"].removeprefix("failed at ").partition(": ")) for each in findings]
    _assert_all_named({name: (stage, reason) for name, (stage, _, reason) in notes})


def test_a_configured_engine_of_a_broken_plugin_says_what_broke(server: Server) -> None:
    degraded = {each.get("engine"): each for each in httpx2.get(f"{server.url}/readyz").json()["degraded"]}
    assert degraded["gong"]["state"] == "failed"
    assert degraded["gong"]["reason"] == "failed: see voxgate engines"
    listed = json.loads(server.cli("engines", "--json").stdout)["data"]
    assert "newer soundbox" in {each["name"]: each["reason"] for each in listed}["gong"]
    refused = server.speech("Served?", model="gong/standard", voice="tone/tone")
    assert refused.status_code == 503
    assert "soundbox" not in refused.text
