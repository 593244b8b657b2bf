"""Plugins that break disable themselves alone, and every place an operator looks at says why."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.faults.plugin_folders import IDLE, environ, install
from tests.replies import json_of
from tests.server import TONE, VOXGATE, Server, running

BROKEN = {
    "no_import": "raise RuntimeError('this needs a newer soundbox')",
    "exits": "import sys\nsys.exit('this machine has no soundbox')",
    "no_register": "def voxgate_register():\n    raise LookupError('there is no model folder')",
    "nonsense": "def voxgate_register():\n    return 'an engine'",
    "nothing": "def voxgate_register():\n    pass",
    "misspelt": "def voxgate_regster():\n    return ()",
    "second_tone": IDLE
    + "def voxgate_register():\n"
    + "    return (Plugin(kind='engine', name='tone', settings=Settings, create=create),)",
}

REASONS = {
    "no_import": ("import", "RuntimeError: this needs a newer soundbox"),
    "exits": ("import", "SystemExit: this machine has no soundbox"),
    "no_register": ("register", "LookupError: there is no model folder"),
    "nonsense": ("answer", "must give a tuple of Plugin, not str"),
    "nothing": ("answer", "gives None"),
    "misspelt": ("register", "voxgate_regster"),
}
"""Of two plugins that give the same engine, either may be the one that is refused."""


CONFIG = TONE + "[engines.bell]\nplugin = 'v_no_import'\n"


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("plugins")
    for name, module in BROKEN.items():
        # After `tone` in the order in which they are asked, so that the shipped one is the first.
        install(folder, f"v_{name}", module)
    return environ(folder)


@pytest.fixture(scope="module")
def server(plugins: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("server"), CONFIG, environ=plugins) as started:
        yield started


def _voxgate(server: Server, plugins: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **plugins, "VOXGATE_CONFIG": str(server.config)}
    return subprocess.run([VOXGATE, *command], env=env, capture_output=True, text=True, timeout=60)


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
    assert states == {"tone": "ready", "espeak": "ready", "bell": "failed"}
    _assert_all_named({each["plugin"]: (each["stage"], each["reason"]) for each in listed["faults"]})


def test_check_names_each_and_fails(server: Server, plugins: dict[str, str]) -> None:
    done = _voxgate(server, plugins, "check", "--json")
    assert done.returncode == 1
    findings = [each for each in json.loads(done.stdout)["data"] if each["check"] == "plugin"]
    assert all(each["state"] == "wrong" for each in findings)
    notes = [(each["name"], each["found"].removeprefix("failed at ").partition(": ")) for each in findings]
    _assert_all_named({name: (stage, reason) for name, (stage, _, reason) in notes})


def test_a_configured_engine_of_a_broken_plugin_says_what_broke(server: Server) -> None:
    degraded = {each.get("engine"): each for each in httpx2.get(f"{server.url}/readyz").json()["degraded"]}
    assert degraded["bell"]["state"] == "failed"
    assert degraded["bell"]["reason"] == "failed: see voxgate engines"
    listed = json.loads(server.cli("engines", "--json").stdout)["data"]
    assert "newer soundbox" in {each["name"]: each["reason"] for each in listed}["bell"]
    refused = server.speech("Served?", model="bell/standard", voice="tone/tone")
    assert refused.status_code == 503
    assert "soundbox" not in refused.text
