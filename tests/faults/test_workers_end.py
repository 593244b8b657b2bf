"""How several workers end: one given up while the others serve, all of them, and a drain under streams."""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack

import httpx2
import pytest

from tests.databases import Postgres
from tests.faults.clusters import metric, workers
from tests.faults.processes import kill
from tests.faults.streams import stream
from tests.redis_server import RedisServer
from tests.server import ALONE, Server, running, stop
from tests.waiting import until

pytestmark = pytest.mark.slow

WORKERS = 2
CRASHES = 5
TEXT = "Each of these is heard to its end."
_CONFIG = ALONE.replace("[server]", f"[server]\nworkers = {WORKERS}\ndrain_s = 20").replace(
    "[engines.tone]", "[engines.tone]\nslots = 16"
)


@pytest.fixture
def server(
    tmp_path_factory: pytest.TempPathFactory, shared_postgres: Postgres, shared_redis: RedisServer
) -> Iterator[Server]:
    environ = {
        "VOXGATE_STORAGE__URL": shared_postgres.url(search_path=shared_postgres.new_schema()),
        "VOXGATE_LIMITS__URL": shared_redis.url,
    }
    with running(tmp_path_factory.mktemp("server"), _CONFIG, environ=environ) as started:
        yield started


def _crash(server: Server, number: int, times: int) -> None:
    for _ in range(times):
        until(lambda: number in workers(server))
        kill(workers(server)[number])


def _events(server: Server, event: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def test_a_worker_given_up_is_reported_and_the_others_serve_until_they_fail_too(server: Server) -> None:
    _crash(server, 1, CRASHES)
    until(lambda: bool(_events(server, "server.worker.failed")))
    (line,) = _events(server, "server.worker.failed")
    assert (line["worker"], line["level"]) == (1, "error")
    assert [server.speech("Still here.").status_code for _ in range(4)] == [200] * 4
    assert (metric(server, "voxgate_workers_ready"), metric(server, "voxgate_workers")) == (1, WORKERS)
    ready = httpx2.get(f"{server.url}/readyz")
    (degraded,) = ready.json()["degraded"]
    assert (ready.status_code, degraded["worker"], degraded["state"]) == (200, 1, "failed")
    before = workers(server)[0]
    kill(before)
    until(lambda: workers(server).get(0, before).pid != before.pid)
    until(lambda: metric(server, "voxgate_workers_ready") == 1)
    assert httpx2.get(f"{server.url}/readyz").json()["degraded"][0]["worker"] == 1
    _crash(server, 0, CRASHES - 1)
    assert server.process.wait(20) == 1


def test_a_drain_lets_every_worker_finish_its_streams(server: Server) -> None:
    with ExitStack() as stack:
        streams = [stack.enter_context(stream(server, "tone/slow", TEXT)) for _ in range(8)]
        for each in streams:
            each.read(2_400)
        server.process.send_signal(signal.SIGTERM)
        for each in streams:
            each.read_all()
        assert stop(server.process) == 0
    assert len({each.heard for each in streams}) == 1
    assert len(_events(server, "worker.stop.complete")) == WORKERS
    answered = [line for line in _events(server, "request.finished") if line["status"] == 200]
    assert all(line["complete"] for line in answered)
    assert len(answered) == len(streams)
