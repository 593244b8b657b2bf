"""Two engines that do not fit into one card together: the second waits, says for whom, and takes its turn."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults import plugin_folders
from tests.faults.plugin_folders import install
from tests.faults.processes import host, kill, state, worker
from tests.server import ALONE, Server, running
from tests.tables import soak
from tests.waiting import until

pytestmark = pytest.mark.slow

_FRONT = """
from plugins.tone.plugin import ToneSettings
from speech_engine import Hosted, Plugin

def voxgate_register():
    hosted = Hosted("cardtone_worker", devices=("cuda",))
    return (Plugin(kind="engine", name="cardtone", settings=ToneSettings, create=hosted),)
"""

_WORKER = """
from plugins.tone.plugin import ToneSettings
from plugins.tone.worker import create
from speech_engine import Plugin

def voxgate_register():
    return (Plugin(kind="engine", name="cardtone", settings=ToneSettings, create=create),)
"""

_TORCH = """
from types import SimpleNamespace

GB = 1024**3

class version:
    hip = None

class cuda:
    is_available = staticmethod(lambda: True)
    device_count = staticmethod(lambda: 1)
    max_memory_reserved = staticmethod(lambda index: GB // 2)
    get_device_properties = staticmethod(lambda index: SimpleNamespace(uuid="none"))
    mem_get_info = staticmethod(lambda index: (8 * GB, 8 * GB))
"""


def install_card(folder: Path) -> dict[str, str]:
    """Install it in a new folder. Return the environment in which a server and its hosts find it."""
    folder.mkdir()
    install(folder, "cardtone", _FRONT)
    (folder / "cardtone_worker.py").write_text(_WORKER)
    (folder / "torch.py").write_text(_TORCH)
    return plugin_folders.environ(folder)


def section(name: str, memory_gb: float, more: str = "") -> str:
    return f'[engines.{name}]\nplugin = "cardtone"\nmemory_gb = {memory_gb}\n{more}\n'


_SERVER = '[server]\ndefault_model = "tts-1"\n[models]\n"tts-1" = ["first/standard", "second/standard"]\n'
CONFIG = _SERVER + section("first", 5.0) + section("second", 4.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with running(folder, CONFIG, environ=install_card(folder / "plugins")) as started:
        yield started


def has(server: Server, engine: str, wanted: str) -> None:
    until(lambda: state(server, engine)["state"] == wanted)


@pytest.fixture
def first_alone(server: Server) -> None:
    """The first is ready, and the second waits for it."""
    for name in ("first", "second"):
        server.cli("engines", "unload", name, "--now", check=False)
    for name, wanted in (("first", "ready"), ("second", "waiting")):
        server.cli("engines", "load", name)
        has(server, name, wanted)


def unload(server: Server) -> None:
    server.cli("engines", "unload", "first")


def restart(server: Server) -> None:
    server.cli("engines", "restart", "first")


def kill_it(server: Server) -> None:
    kill(host(server, "first"))


def crash(server: Server) -> None:
    assert server.speech("Over.", model="first/standard", voice="first/crash").status_code == 503


@pytest.mark.parametrize("end", [unload, kill_it, *soak(restart, crash)])
@pytest.mark.usefixtures("first_alone")
def test_what_ends_gives_its_memory_to_the_one_that_waits(
    server: Server, end: Callable[[Server], None]
) -> None:
    assert state(server, "second")["reason"] == "waits for 4.0 GB of cuda:0: first holds 5.0 of 8.0 GB"
    end(server)
    has(server, "second", "ready")
    assert server.speech("Mine.", model="second/standard", voice="second/tone").status_code == 200
    has(server, "first", "unloaded" if end is unload else "waiting")
    if end is not unload:
        says = "waits for 5.0 GB of cuda:0: second holds 4.0 of 8.0 GB"
        assert state(server, "first")["reason"] == says
    assert server.cli("ledger", "verify").stdout.startswith("The books agree")


@pytest.mark.usefixtures("first_alone")
def test_requests_go_past_an_engine_that_waits(server: Server) -> None:
    refused = server.speech("Nobody.", model="second/standard", voice="second/tone")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "engine_unavailable")
    assert refused.headers["retry-after"] == "15"
    with server.client() as client:
        degraded = client.get("/readyz").json()["degraded"]
    assert {"engine": "second", "state": "waiting", "reason": "waiting: see voxgate engines"} in degraded
    assert "waiting" in server.cli("engines").stdout


@pytest.mark.usefixtures("first_alone")
def test_an_operator_may_end_and_wake_what_waits(server: Server) -> None:
    server.cli("engines", "load", "second")  # it tries again, and waits again
    has(server, "second", "waiting")
    server.cli("engines", "restart", "second")
    has(server, "second", "waiting")
    server.cli("engines", "unload", "second")
    assert state(server, "second")["state"] == "unloaded"
    server.cli("engines", "unload", "first")
    server.cli("engines", "load", "second")
    has(server, "second", "ready")


IDLE = "idle_unload_s = 1\n"


def test_an_idle_engine_makes_room_and_a_request_loads_it_again(tmp_path: Path) -> None:
    environ = install_card(tmp_path / "plugins")
    config = _SERVER + section("first", 5.0, IDLE) + section("second", 4.0)
    with running(tmp_path, config, environ=environ) as server:
        for name in ("first", "second"):
            server.cli("engines", "unload", name, check=False)
        for name, wanted in (("second", "ready"), ("first", "waiting")):
            server.cli("engines", "load", name)
            has(server, name, wanted)
        server.cli("engines", "restart", "second")  # so it waits for the first, until that has been idle
        has(server, "second", "ready")
        assert state(server, "first")["reason"] == "idle; the next request loads it"
        # Its memory is taken meanwhile. Once it is free, what a request asked for is there.
        assert server.speech("Mine.", model="first/standard", voice="first/tone").status_code == 503
        has(server, "first", "waiting")
        server.cli("engines", "unload", "second")
        assert server.speech("Mine.", model="first/standard", voice="first/tone").status_code == 200


def test_an_engine_that_loads_on_demand_counts_as_ready(tmp_path: Path) -> None:
    config = ALONE.replace("[engines.tone]\n", "[engines.tone]\n" + IDLE)
    with running(tmp_path, config) as server:
        has(server, "tone", "unloaded")
        with server.client() as client:
            assert client.get("/readyz").json() == {"status": "ready", "reasons": [], "degraded": []}
        kill(worker(server))  # the next one never met a host of it
        until(lambda: server.speech("Again.").status_code == 200)
        with server.client() as client:
            assert "tone/standard" in [each["id"] for each in client.get("/v1/models").json()["data"]]
        has(server, "tone", "unloaded")
        server.cli("engines", "unload", "tone")
        assert state(server, "tone")["reason"] == ""
        assert server.speech("Nobody.").status_code == 503
        assert state(server, "tone")["state"] == "unloaded"
        with server.client() as client:
            assert client.get("/readyz").status_code == 503
