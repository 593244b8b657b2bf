"""In real time: a killed gateway, and a PostgreSQL that stalls for ten seconds and for half a minute."""

import asyncio
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from proxy.feature_list import open_store
from tests.databases import Postgres, postgres
from tests.faults.books import books
from tests.faults.streams import stream
from tests.features.jobs.apart import job, new_job, shared
from tests.fixtures import opened
from tests.redis_server import RedisServer
from tests.server import ALONE, Server, running
from tests.waiting import until

pytestmark = [pytest.mark.soak, pytest.mark.clock]

WORDS = "word " * 40
"""About ten seconds of speech in real time."""


database = opened(postgres)


def serving(folder: Path, name: str, url: str, limits: str = "memory") -> AbstractContextManager[Server]:
    (folder / name).mkdir()
    config = ALONE + shared(folder, url, here=True) + f'[limits]\nurl = "{limits}"\n'
    return running(folder / name, config)


def status(server: Server, key: str) -> int:
    body = {"model": "tts-1", "voice": "alloy", "input": "Hi.", "response_format": "pcm"}
    with server.client(key) as client:
        return client.post("/v1/audio/speech", json=body).status_code


def live(url: str, folder: Path, rows: str = "holds WHERE expires") -> int:
    async def read() -> int:
        async with open_store(url, folder) as store:
            now = {"now": await store.now()}
            (row,) = await store.read(f"SELECT count(*) AS live FROM {rows} > :now", now)
            return int(row["live"])

    return asyncio.run(read())


def test_the_account_and_the_job_of_a_killed_gateway_go_on(
    tmp_path: Path, database: Postgres, shared_redis: RedisServer
) -> None:
    url, redis = database.url(), shared_redis.url
    with serving(tmp_path, "a", url, redis) as killed:
        key = killed.mint_key("ada", plan="metered").secret
        made = new_job(killed, WORDS, model="tts-1", voice="tone/slow")
        until(lambda: live(url, tmp_path, "job_steps WHERE lease") == 1)
        with (
            serving(tmp_path, "b", url, redis) as other,
            stream(killed._replace(key=key), "tone/hang-late", WORDS) as cut,
        ):
            cut.read(2_400)
            assert status(other, key) == 429
            killed.process.kill()
            killed.process.wait()
            began = time.monotonic()
            until(lambda: status(other, key) == 200)
            admitted_s = time.monotonic() - began
            until(lambda: job(other._replace(key=killed.key), made)["status"] == "done")
            done_s = time.monotonic() - began
    print(f"admitted again after {admitted_s:.1f} s, the job done after {done_s:.1f} s")
    assert admitted_s < 25
    assert done_s < 30 + 15


@pytest.mark.parametrize(("stalls_s", "expires"), [(10, False), (30, True)])
def test_a_stream_keeps_its_place_over_a_stall(
    tmp_path: Path, database: Postgres, stalls_s: int, expires: bool
) -> None:
    url = database.url()
    with serving(tmp_path, "a", url) as server:
        key = server.mint_key("ada", plan="metered").secret
        with stream(server._replace(key=key), "tone/slow", WORDS * 6) as speech:
            speech.read(48_000)
            with database.frozen():
                time.sleep(stalls_s)
            if expires:
                until(lambda: live(url, tmp_path) == 1, within_s=3.0)
            assert live(url, tmp_path) == 1
            assert status(server, key) == 429
            speech.read(48_000)
        until(lambda: status(server, key) == 200)
    found = books(url, tmp_path)
    assert found.verdict.is_clean
    assert sorted(row.outcome for row in found.rows.values()) == ["finished", "left"]
