"""A plugin lists packages and nobody has built its environment: it alone is down, and says what to run."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

import httpx2
import pytest

from tests.faults.plugin_folders import environ, install
from tests.replies import json_of
from tests.server import TONE, VOXGATE, Server, running
from tests.tables import each_row

FRONT = """
import msgspec
from speech_engine import Hosted, Plugin

class Settings(msgspec.Struct):
    pass

def voxgate_register():
    hosted = Hosted("v_bell", packages=("bell>=1",))
    return (Plugin(kind="engine", name="bell", settings=Settings, create=hosted),)
"""
REASON = "run: voxgate env build bell"


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("plugins")
    install(folder, "v_bell", FRONT)
    return {**environ(folder), "XDG_CACHE_HOME": str(folder / "cache")}


@pytest.fixture(scope="module")
def server(plugins: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(
        tmp_path_factory.mktemp("server"), TONE + "[engines.bell]\nprocesses = 2\n", environ=plugins
    ) as started:
        yield started


def _voxgate(server: Server, plugins: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **plugins, "VOXGATE_CONFIG": str(server.config)}
    return subprocess.run([VOXGATE, *command], env=env, capture_output=True, text=True, timeout=60)


def test_the_others_serve_and_its_own_requests_fail_at_once(server: Server) -> None:
    assert server.speech("Nothing wrong here.").status_code == 200
    refused = server.speech("Here?", model="bell/standard", voice="bell/any")
    assert refused.status_code == 503


def test_readyz_and_engines_say_what_to_run(server: Server, plugins: dict[str, str]) -> None:
    (degraded,) = json_of(httpx2.get(f"{server.url}/readyz"))["degraded"]
    assert degraded == {"engine": "bell", "state": "failed", "reason": "failed: see voxgate engines"}
    rows = json.loads(_voxgate(server, plugins, "engines", "--json").stdout)["data"]
    assert {row["name"]: (row["state"], row["reason"]) for row in rows}["bell"] == ("failed", REASON)


def test_check_says_what_to_run_and_fails(server: Server, plugins: dict[str, str]) -> None:
    done = _voxgate(server, plugins, "check", "--json")
    assert done.returncode == 1
    (bad,) = (finding for finding in json.loads(done.stdout)["data"] if finding["state"] == "wrong")
    assert (bad["check"], bad["name"], bad["found"]) == ("engine", "bell", REASON)


@each_row(
    ("command", "says"),
    [
        (("build", "tone"), "tone lists no packages of its own"),
        (
            ("build", "toon"),
            "no plugin called 'toon' is installed. The plugins with packages are: "
            "f5tts, kokoro, piper, pocket, rvc, bell, xtts, resemblyzer, audioseal.",
        ),
        (("build", "bell", "--torch", "cpu"), "--torch cpu: name the index that has it"),
        (("remove", "bell"), "this installation has no environment of 'bell'"),
    ],
)
def test_an_env_command_that_cannot_be_done_is_one_line_and_a_status(
    server: Server, plugins: dict[str, str], command: tuple[str, ...], says: str
) -> None:
    done = _voxgate(server, plugins, "env", *command)
    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
