"""kill -9 of a real server's worker, of a `voxgate worker` and of its process, while both speak one job."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from proxy.feature_list import open_store
from tests.databases import Postgres
from tests.faults.clusters import workers
from tests.faults.processes import kill
from tests.features.jobs import apart
from tests.features.jobs.job_kills import TAG, expect_books
from tests.features.jobs.job_rig import said, text_of, words_of
from tests.server import ALONE, Server, stop
from tests.waiting import until

VICTIMS = ("all", "worker", "all", "server", "worker", "all") * 3
"""Of a server's worker few: it is given up when it has ended five times in a row."""
STEPS = 240
SLOW = ALONE.replace("[engines.tone]", "[engines.tone]\ndelay_s = 0.5")


@pytest.fixture
def url(shared_postgres: Postgres) -> Iterator[str]:
    with shared_postgres.lent_schema() as schema:
        yield shared_postgres.url(search_path=schema)


def shown(server: Server, id_: str) -> dict[str, Any]:
    # While its worker is away, the server takes no connection.
    with suppress(httpx2.HTTPError):
        found = apart.job(server, id_)
        if "status" in found:
            return found
    return {"status": "away", "steps_done": 0}


class Worker:
    """A `voxgate worker` that comes back."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.start()

    def start(self) -> None:
        self.process, log, metrics = apart.start_worker(self._file)
        apart.wait_for_line(self.process, log)
        self.as_server = Server(self.process, "", "", self._file, self._file.parent / "data", metrics, log)

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        stop(self.process)


def test_a_job_ends_once_whichever_process_is_killed(
    tmp_path: Path, url: str, shared_postgres: Postgres
) -> None:
    text, struck = text_of(STEPS), 0
    schema = url.rpartition("search_path=")[2]
    with apart.serving(tmp_path, url, here=True, config=SLOW) as server:
        server = server._replace(key=server.mint_key("ann", plan="metered").secret)
        id_ = apart.new_job(server, text, tag=TAG)
        worker = Worker(apart.worker_config(tmp_path, SLOW + apart.shared(tmp_path, url)))
        try:
            for victim in VICTIMS:
                before = shown(server, id_)["steps_done"]
                until(lambda: shown(server, id_)["steps_done"] > before)  # noqa: B023 - at once
                if victim == "all":
                    worker.kill()
                else:
                    kill(workers(server if victim == "server" else worker.as_server)[0])
                struck += shown(server, id_)["status"] != "done"
                # The leases of the dead are over.
                shared_postgres.psql(
                    f"UPDATE {schema}.job_steps SET lease = 0, due = asked WHERE state = 'wanted'"
                )
                if victim == "all":
                    worker.start()
            until(lambda: shown(server, id_)["status"] == "done", 180.0)
        finally:
            stop(worker.process)
        assert said(apart.sound(server, id_)) == words_of(STEPS)

    async def check() -> None:
        async with open_store(url, tmp_path) as store:
            await expect_books(store, id_, STEPS, text)

    asyncio.run(check())
    assert struck == len(VICTIMS), "the job ended too soon"
