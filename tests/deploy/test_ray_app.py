"""deploy/ray without Ray: how many hosts there should be, and hosts that are owned. Ray is in tests/soak."""

import os
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tests.server import VOXGATE
from tests.tables import each_row
from tests.waiting import until

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[2] / "deploy" / "ray"


@pytest.fixture
def host_load(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return import_module("host_load")


@pytest.fixture
def host_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """What starts hosts, with a configuration for them."""
    host = '[host]\ngateways = ["http://127.0.0.1:1"]\napi_key = "env:VOXGATE_HOST_KEY"\n'
    text = f'[server]\ndata = "{tmp_path}/data"\n{host}[engines.tone]\nslots = 8\n'
    (tmp_path / "config.toml").write_text(text)
    monkeypatch.setenv("VOXGATE_HOST_KEY", "vg-1")
    monkeypatch.setenv("VOXGATE_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("PATH", str(VOXGATE.parent), prepend=os.pathsep)
    monkeypatch.syspath_prepend(str(FOLDER))
    return import_module("host_process")


@each_row(
    ("jobs", "slots", "wanted"),
    [
        (None, None, 5),  # nothing has been told: as it is
        ([3], [0], 5),  # no engine is ready: as it is
        ([0], [8], 0),  # Serve makes `min_replicas` of it
        ([5], [8], 1),
        ([6], [8], 2),
        ([5.6], [8], 1),
        ([14, 14], [20, 20], 2),
        ([14, 15], [20, 20], 3),
        ([4, 4, 4], [8, 8, 8], 3),
        ([8, 0], [8, 0], 2),  # a second one starts
        ([30], [4], 11),
    ],
)
def test_hosts_are_as_many_as_have_their_jobs_at_seven_tenths(
    host_load: ModuleType, jobs: list[float] | None, slots: list[float] | None, wanted: int
) -> None:
    figures = jobs and slots and {"jobs": dict(enumerate(jobs)), "slots": dict(enumerate(slots))}
    context = SimpleNamespace(target_num_replicas=5, aggregated_metrics=figures)
    assert host_load.by_load(context) == (wanted, {})


def test_the_figures_are_those_of_all_processes(host_load: ModuleType) -> None:
    page = """# TYPE voxgate_host_jobs gauge
voxgate_host_jobs{engine="tone",process="0"} 3.0
voxgate_host_jobs{engine="tone",process="1"} 2.0
voxgate_host_slots{engine="tone",process="0"} 8.0
voxgate_host_slots{engine="tone",process="1"} 8.0
voxgate_host_waiting_seconds{engine="tone",process="1"} 9.0
"""
    assert host_load.figures_of(page) == {"jobs": 5.0, "slots": 16.0}
    assert host_load.figures_of("") == {"jobs": 0.0, "slots": 0.0}


def test_two_hosts_of_a_machine_share_its_models_and_end_by_request(host_process: ModuleType) -> None:
    hosts = [host_process.RayHost("tone", 20.0) for _ in range(2)]
    for host in hosts:
        host.wait_until_ready()
        host.check()
        until(lambda host=host: host.figures() == {"jobs": 0.0, "slots": 8.0})  # type: ignore[misc]
    assert [host.end() for host in hosts] == [0, 0]
    with pytest.raises(RuntimeError, match="voxgate host ended with status 0"):
        hosts[0].check()


def test_a_host_that_cannot_start_says_so(host_process: ModuleType) -> None:
    host = host_process.RayHost("another", 20.0)
    with pytest.raises(RuntimeError, match="voxgate host ended with status 1"):
        host.wait_until_ready()
    host.end()


def test_a_host_has_neither_the_token_nor_the_modules_of_ray(host_process: ModuleType) -> None:
    environ = {"RAY_AUTH_TOKEN": "secret", "PYTHONPATH": "/ray", "PATH": "/bin", "CUDA_VISIBLE_DEVICES": "3"}
    found = host_process.environ_for_host(environ, 7101, 30.0)
    assert found.keys() & {"RAY_AUTH_TOKEN", "PYTHONPATH"} == set()
    assert (found["CUDA_VISIBLE_DEVICES"], found["VOXGATE_SERVER__DRAIN_S"]) == ("3", "30.0")
