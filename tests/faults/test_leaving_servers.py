"""A server with `drain_lag_s` that is told to stop: a load balancer sees it before the port closes."""

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.faults.processes import kill, worker
from tests.server import Server, running, stop
from tests.waiting import until

LAG_S = 2.0
POLLED_S = 0.2
"""Scaled down: in production a balancer asks once a second, and the lag is 5 s."""
CLIENTS = 6


class Balancer:
    """Sends the requests of its clients to a server as long as `/readyz` is 200."""

    def __init__(self, server: Server) -> None:
        self.is_up = True
        self.answered: list[httpx2.Response] = []
        self.failed: list[Exception] = []
        self._server = server
        self._is_over = threading.Event()

    def poll(self) -> None:
        with httpx2.Client() as client:
            while self.is_up and not self._is_over.wait(POLLED_S):
                self.is_up = client.get(f"{self._server.url}/readyz").status_code == 200

    def send(self) -> None:
        body = {"model": "tts-1", "voice": "alloy", "input": "Hi.", "response_format": "pcm"}
        with self._server.client() as client:
            while self.is_up and not self._is_over.is_set():
                try:
                    self.answered.append(client.post("/v1/audio/speech", json=body))
                except httpx2.TransportError as error:
                    self.failed.append(error)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        with ThreadPoolExecutor(CLIENTS + 1) as threads:
            under_way = [threads.submit(self.poll), *(threads.submit(self.send) for _ in range(CLIENTS))]
            try:
                yield
            finally:
                self._is_over.set()
        for each in under_way:
            each.result()


def test_a_load_balancer_that_polls_sends_no_request_to_a_closed_port(folder: Path) -> None:
    """A second signal ends the wait, and a worker that starts meanwhile is not ready."""
    with running(folder, environ={"VOXGATE_SERVER__DRAIN_LAG_S": "60"}) as server:
        _expect_a_balancer_to_leave_in_time(server)
        first = worker(server)
        kill(first)
        until(lambda: worker(server).pid != first.pid)
        ready = httpx2.get(f"{server.url}/readyz", timeout=30.0)
        assert (ready.status_code, ready.json()["reasons"]) == (
            503,
            ["draining: the server is shutting down"],
        )
        assert stop(server.process, signal.SIGINT) == 0
    assert "server.drain.complete" in server.log.read_text()


@pytest.mark.soak
@pytest.mark.clock
def test_the_wait_for_a_load_balancer_comes_to_an_end(folder: Path) -> None:
    with running(folder, environ={"VOXGATE_SERVER__DRAIN_LAG_S": str(LAG_S)}) as server:
        _expect_a_balancer_to_leave_in_time(server)
        assert stop(server.process) == 0


def _expect_a_balancer_to_leave_in_time(server: Server) -> None:
    balancer = Balancer(server)
    with balancer.at_work():
        until(lambda: len(balancer.answered) >= 2 * CLIENTS)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: not balancer.is_up)
        # The port is still open, also for requests that the balancer had sent a moment before.
        late = server.speech("Late.")
    assert (late.status_code, late.headers["connection"]) == (200, "close")
    assert balancer.failed == []
    assert {answer.status_code for answer in balancer.answered} == {200}
    assert "connection" not in balancer.answered[0].headers
