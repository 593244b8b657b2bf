"""An engine's device and memory, from its section to `voxgate engines`."""

import json
from pathlib import Path

import pytest

from proxy.config.sections import EngineSection
from proxy.engines import registry
from proxy.engines.registry import EngineConfigError
from proxy.hosts.host import sockets_in
from proxy.hosts.host_list import Hosts
from speech_engine.host.booking_messages import BookingQuestion
from tests import server

_LARGE = """
[engines.large]
plugin = "tone"
memory_gb = 4000
"""


def test_a_host_tells_its_peak_and_one_that_does_not_fit_says_why(tmp_path: Path) -> None:
    with server.running(tmp_path, server.TONE + _LARGE) as running:
        rows = {row["name"]: row for row in json.loads(running.cli("engines", "--json").stdout)["data"]}
    assert rows["tone"]["device"] == "cpu"
    assert 0.0 < rows["tone"]["memory_gb"] < 8.0
    assert rows["large"]["state"] == "failed"
    assert "memory_gb: the engine needs 4000 GB, and cpu has" in rows["large"]["reason"]


def test_a_device_that_the_plugin_cannot_use_is_refused_by_name() -> None:
    section = EngineSection("tone", device="cuda:1")
    with pytest.raises(EngineConfigError, match=r"engines\.mine\.device: tone can use cpu, not cuda"):
        registry.load().engine("mine", section, "")


async def test_the_memory_of_a_worker_that_has_ended_is_free_for_the_next(tmp_path: Path) -> None:
    hosts = Hosts((), sockets_in(tmp_path), lambda _state: None)
    needs = BookingQuestion(1, "clone", 6.0, "cuda:0", 8.0, 8.0)
    assert hosts.book(0, needs) is None
    assert hosts.book(1, needs) is not None
    hosts.release_worker(0)
    assert hosts.book(1, needs) is None
