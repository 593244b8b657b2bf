"""The things of an account are its own over two workers too, each with what it remembers."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.faults.clusters import WORKERS, Cluster
from tests.proxy.api import access_rules, access_world
from tests.proxy.api.access_world import AccessWorld
from tests.server import Server

pytestmark = pytest.mark.slow


@pytest.fixture
def server(cluster: Cluster) -> Server:
    return cluster.server


@pytest.fixture
async def world(server: Server) -> AsyncIterator[AccessWorld]:
    async def administer(method: str, path: str, body: Any) -> httpx2.Response:
        with server.control() as control:
            return control.request(method, f"/admin/{path}", json=body)

    # A connection for each request: the kernel gives it to any worker.
    client = httpx2.AsyncClient(base_url=server.url, headers={"connection": "close"}, timeout=30.0)
    yield await access_world.make_world(client, administer)
    await client.aclose()


def answers_by_worker(server: Server) -> Counter[int]:
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    return Counter(line["worker"] for line in lines if line["event"] == "request.finished")


async def test_two_workers_keep_the_things_of_an_account_to_it(server: Server, world: AccessWorld) -> None:
    await access_rules.check_lists(world)
    await access_rules.check_kept_answers(world)
    await access_rules.check_same_recording(world, server.data / "voices")
    path, before = f"/v1/lexicons/{world.objects['lexicon']}", answers_by_worker(server)
    while len(answers_by_worker(server) - before) < WORKERS:
        answers = [await world.ask("owner", "GET", path) for _ in range(10)]
        assert {answer.status_code for answer in answers} == {200}
    answered = answers_by_worker(server)
    assert len(answered) == WORKERS
    assert min(answered.values()) > 5, "both have met the rows"
