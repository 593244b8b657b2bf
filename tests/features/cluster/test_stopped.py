"""A server that is stopped while another one erases: it does not speak the voice afterwards."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.databases import Postgres
from tests.features.cluster.gateways import gateways, new_voice
from tests.redis_server import RedisServer
from tests.replies import json_of
from tests.server import ALONE, Server
from tests.tables import soak
from tests.waiting import until

SPOKEN = {"model": "tone", "input": "In my voice.", "response_format": "pcm"}


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """No process of it runs, and the kernel takes what is sent to it."""
    root = psutil.Process(server.process.pid)
    processes = [root, *root.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


@pytest.mark.slow
@pytest.mark.clock
@pytest.mark.parametrize("stops_s", [3, *soak(10)])
def test_an_erasure_is_complete_only_when_the_stopped_server_has_forgotten_the_voice(
    stops_s: int, tmp_path: Path, shared_postgres: Postgres, shared_redis: RedisServer
) -> None:
    url = shared_postgres.url(search_path=shared_postgres.new_schema())
    with gateways(tmp_path, url, shared_redis.url, config=ALONE) as pair:
        a, b = pair.servers
        with a.client() as at_a, a._replace(url=b.url).client() as at_b, ThreadPoolExecutor(2) as threads:
            voice = new_voice(at_a)
            asked = {**SPOKEN, "voice": voice}
            assert at_b.post("/v1/audio/speech", json=asked).status_code == 200

            def receipt() -> dict[str, Any]:
                return json_of(at_a.get(f"/v1/audio/voices/erasures/{voice}"))

            with stopped(b):
                deleting = threads.submit(at_a.delete, f"/v1/audio/voices/{voice}")
                time.sleep(stops_s)
                assert "workers" in receipt()["pending"]
                late = threads.submit(at_b.post, "/v1/audio/speech", json=asked)
            assert json_of(late.result(), 400)["error"]["code"] == "voice_not_found"
            json_of(deleting.result())
            until(lambda: receipt()["pending"] == [])
            assert at_b.post("/v1/audio/speech", json=asked).status_code == 400
