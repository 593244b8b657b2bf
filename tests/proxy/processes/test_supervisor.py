"""What the supervisor decides before it starts anybody, and that it can be stopped while it starts."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.config.sections import Config, EngineSection
from proxy.engines import registry
from proxy.file_store import data_folder
from proxy.hosts.supervisor import hosted_specs
from proxy.processes import supervisor
from tests.server import ALONE, TONE, VOXGATE, stop
from tests.tables import soak
from tests.waiting import until

pytestmark = pytest.mark.slow


def test_only_engines_that_are_hosted_and_well_configured_get_hosts() -> None:
    engines = {
        "tone": EngineSection("tone", processes=2),
        "inside": EngineSection("tone", hosted=False),
        "wrong": EngineSection("tone", settings={"slots": 0}),
        "unknown": EngineSection("nobody"),
    }
    specs = hosted_specs(Config(engines=engines), registry.load())
    assert [(spec.name, spec.module, spec.section.processes) for spec in specs] == [
        ("tone", "plugins.tone.worker", 2)
    ]


def test_a_server_runs_where_its_data_folder_is_held(tmp_path: Path) -> None:
    config = Config(data=str(tmp_path / "data"))
    assert not supervisor.is_running(config)
    assert not (tmp_path / "data").exists()
    with data_folder.lock_data_folder(tmp_path / "data"):
        assert supervisor.is_running(config)
    assert not supervisor.is_running(config)


def _has_begun(log: str) -> bool:
    return "child.state.starting" in log


def _has_one_ready(log: str) -> bool:
    return "child.state.ready" in log


def _has_all_begun(log: str) -> bool:
    return log.count("child.state.starting") == 3


@pytest.mark.parametrize(
    ("has_come_to", "number"),
    [(_has_all_begun, signal.SIGINT), *soak((_has_begun, signal.SIGTERM), (_has_one_ready, signal.SIGTERM))],
)
def test_a_server_told_to_stop_while_it_starts_stops(
    tmp_path: Path, has_come_to: Callable[[str], bool], number: signal.Signals
) -> None:
    file, log = tmp_path / "config.toml", tmp_path / "server.log"
    file.write_text(TONE)
    env = {**os.environ, "VOXGATE_CONFIG": str(file), "VOXGATE_SERVER__METRICS": ""}
    with log.open("ab") as stderr:
        command = [str(VOXGATE), "serve", "--port", "0"]
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=stderr)
    until(lambda: has_come_to(log.read_text()))
    assert stop(process, number) == 0
    assert "server.drain.complete" in log.read_text()
    assert not (tmp_path / "data" / "run").is_symlink()


_HOSTS_FAIL = """
from proxy.__main__ import main
from proxy.engines.hosts.host_list import Hosts

async def run(hosts):
    raise OverflowError("no such host")

Hosts.run = run
main()
"""


def test_a_server_whose_hosts_have_failed_ends_with_their_error(tmp_path: Path) -> None:
    """Else it would answer for ever, without an engine of its own."""
    file = tmp_path / "config.toml"
    file.write_text(ALONE)
    env = {**os.environ, "VOXGATE_CONFIG": str(file), "VOXGATE_SERVER__METRICS": ""}
    command = [sys.executable, "-c", _HOSTS_FAIL, "serve", "--port", "0"]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "no such host" in ended.stderr
    assert not (tmp_path / "data" / "run").is_symlink()


def test_a_server_that_cannot_start_ends_with_one_plain_line(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[server]\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "voxgate.db").write_text("no database at all, but a text of its own " * 100)
    env = {**os.environ, "VOXGATE_CONFIG": str(file), "VOXGATE_SERVER__METRICS": ""}
    command = [str(VOXGATE), "serve", "--port", "0"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60.0)
    *log, last = done.stderr.splitlines()
    assert done.returncode == 1
    assert last.startswith("voxgate could not start: ")
    assert "not a database" in last
    assert "StorageFailed" not in last
    assert last.endswith("; voxgate doctor says more")
    assert log
    assert all(line.startswith("{") for line in log)
