"""The CLI beside a saturated server: no command fails, no request fails, and a revoked key is soon dead."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.faults.processes import until, usage_rows
from tests.server import TONE, VOXGATE, Server, running

KEYS = 50
AT_ONCE = 2
LOADERS = 3
DEAD_S = 5.0


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


def test_keys_come_and_go_beside_a_saturated_server(folder: Path) -> None:
    with running(folder, TONE) as server:
        load = _Load(server)
        with load.going(), ThreadPoolExecutor(AT_ONCE) as commands:
            lives = list(commands.map(lambda number: _life_of_a_key(server, number), range(KEYS)))
            # A stopped command holds a socket, never the database: the server's writes go on.
            stopped = subprocess.Popen(
                [VOXGATE, "keys", "list"],
                env={**os.environ, "VOXGATE_CONFIG": str(server.config)},
                stdout=subprocess.DEVNULL,
            )
            _stop_in_the_middle(stopped)
            before = sum(load.answers.values())
            until(lambda: sum(load.answers.values()) > before + LOADERS, within_s=10.0)
            stopped.send_signal(signal.SIGCONT)
            assert stopped.wait(30.0) == 0
        assert len({id_ for id_, _ in lives}) == KEYS
        assert set(load.answers) == {200}
        _expect_dead(server, lives[-1][1])
    rows = usage_rows(server)
    assert {rows[id_].outcome for id_ in load.ids} == {"finished"}


def _stop_in_the_middle(command: subprocess.Popen[bytes]) -> None:
    """Once it has read its configuration and is on its way: a moment after it has begun to run."""
    time.sleep(0.3)
    command.send_signal(signal.SIGSTOP)


def _expect_dead(server: Server, secret: str) -> None:
    with httpx2.Client(base_url=server.url, headers={"authorization": f"Bearer {secret}"}) as client:
        until(lambda: client.get("/v1/models").status_code == 401, within_s=DEAD_S)
