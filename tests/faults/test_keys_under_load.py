"""The CLI beside a saturated server: no command fails, no request fails, and a revoked key is soon dead."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.faults.processes import usage_rows
from tests.server import VOXGATE, Server, running, stop
from tests.tables import soak
from tests.waiting import until

pytestmark = pytest.mark.slow

LOADERS = 3
DEAD_S = 5.0
_STOP_POINTS = str(Path(__file__).parent / "stop_points")


class _Load:
    """Clients that ask again and again; `answers` counts them by status."""

    def __init__(self, server: Server) -> None:
        self.answers: dict[int, int] = {}
        self.ids: list[str] = []
        self._server = server
        self._over = threading.Event()
        self._counting = threading.Lock()

    @contextmanager
    def going(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask) for _ in range(LOADERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _ask(self) -> None:
        body = {"model": "tts-1", "voice": "alloy", "input": "Hi.", "response_format": "pcm"}
        with self._server.client() as client:
            while not self._over.is_set():
                answer = client.post("/v1/audio/speech", json=body)
                with self._counting:
                    self.answers[answer.status_code] = self.answers.get(answer.status_code, 0) + 1
                    self.ids.append(answer.headers["x-request-id"])


def _life_of_a_key(server: Server, number: int) -> tuple[str, str]:
    made = server.cli("keys", "create", "--account", "dev", "--name", f"k{number}", "--json")
    key = json.loads(made.stdout)
    revoked = server.cli("keys", "revoke", key["id"], "--json")
    assert json.loads(revoked.stdout)["revoked"] is not None
    return key["id"], key["key"]


def expect_keys_to_come_and_go(server: Server, keys: int) -> None:
    """Make and revoke so many keys by the command line, while a stopped command holds its connection."""
    load = _Load(server)
    with load.going():
        lives = [_life_of_a_key(server, number) for number in range(keys)]
        revoked = time.monotonic()
        with _stopped_command(server):
            # It holds a socket, never the database: the server's writes go on.
            before = sum(load.answers.values())
            until(lambda: sum(load.answers.values()) > before + LOADERS)
    assert len({id_ for id_, _ in lives}) == keys
    assert set(load.answers) == {200}
    # What is asked later than `DEAD_S` after the revocation is refused, however slow this machine is.
    secret = lives[-1][1]
    with httpx2.Client(base_url=server.url, headers={"authorization": f"Bearer {secret}"}) as client:
        asked = time.monotonic()
        while client.get("/v1/models").status_code != 401:
            assert asked - revoked < DEAD_S
            asked = time.monotonic()
    stop(server.process)
    rows = usage_rows(server)
    assert {rows[id_].outcome for id_ in load.ids} == {"finished"}


@contextmanager
def _stopped_command(server: Server) -> Iterator[None]:
    """One that has connected to the server, and stands still; it ends well when it may go on."""
    environ = {**os.environ, "VOXGATE_CONFIG": str(server.config), "PYTHONPATH": _STOP_POINTS}
    with subprocess.Popen([VOXGATE, "keys", "list"], env=environ, stdout=subprocess.DEVNULL) as command:
        stopped = psutil.Process(command.pid)
        until(lambda: stopped.status() == psutil.STATUS_STOPPED)
        try:
            yield
        finally:
            command.send_signal(signal.SIGCONT)
        assert command.wait(30.0) == 0


@pytest.mark.parametrize("keys", [1, *soak(50)])
def test_keys_come_and_go_beside_a_saturated_server(folder: Path, keys: int) -> None:
    with running(folder) as server:
        expect_keys_to_come_and_go(server, keys)
