"""kill -9 of the worker: the supervisor starts another, which finds the hosts as they were."""

from pathlib import Path

import httpx2
import pytest

from tests.faults.processes import host, kill, usage_rows, worker
from tests.faults.streams import stream
from tests.server import running


def test_a_killed_worker_is_replaced_and_serves_through_the_same_hosts(folder: Path) -> None:
    with running(folder) as server:
        before = server.speech("Before.").headers["x-request-id"]
        victim, speaking = worker(server), host(server, "tone")
        with stream(server, "tone/slow") as cut:
            cut.read(4_800)
            kill(victim)
            with pytest.raises(httpx2.TransportError):
                cut.read_all()
        # The port stays the supervisor's: whoever connects meanwhile waits for the next worker.
        after = server.speech("After.")
        assert after.status_code == 200
        assert worker(server).pid != victim.pid
        assert host(server, "tone").pid == speaking.pid
        assert server.cli("engines").returncode == 0
    rows = usage_rows(server)
    assert rows[before].outcome == rows[after.headers["x-request-id"]].outcome == "finished"
    # A killed process charges nothing.
    assert cut.id not in rows


def test_a_worker_that_keeps_dying_ends_the_server_with_a_status(folder: Path) -> None:
    with running(folder) as server:
        for _ in range(5):
            kill(worker(server))
        assert server.process.wait(20) == 1
    assert "server.worker.failed" in server.log.read_text()
