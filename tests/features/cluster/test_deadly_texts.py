"""Texts that kill hosts: three real gateways on one PostgreSQL share their verdicts, and three hosts."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import NamedTuple

import httpx2
import pytest

from tests.databases import Postgres
from tests.faults.cluster_hosts import Agent, agent, balancer, host_key
from tests.faults.processes import state
from tests.features.cluster.gateways import gateways
from tests.redis_server import RedisServer
from tests.server import ALONE, Server
from tests.waiting import until

pytestmark = pytest.mark.slow

HOSTS = GATEWAYS = 3
DELAY_S = 1.0
AT_ONCE_S = 1.0
"""No host starts again in this time, as each has died before."""
_DEADLY = "[engines.tone]\nslots = 8"
_LONE = f'[engines.lone]\nplugin = "tone"\nslots = 8\ndelay_s = {DELAY_S}'
_CLUSTER = """
[engines.lone]
plugin = "tone"
cluster = "gpu"
[clusters.gpu]
"""


class DeadlySite(NamedTuple):
    servers: list[Server]
    agents: list[Agent]
    lone: Agent
    postgres: Postgres
    schema: str

    def deaths(self) -> int:
        return sum(each.log.read_text().count('"child.state.restarting"') for each in self.agents)

    def verdicts(self) -> list[str]:
        return self.postgres.psql(f"SELECT kind FROM {self.schema}.text_verdicts")


@pytest.fixture(scope="module")
def site(
    shared_postgres: Postgres, shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DeadlySite]:
    folder = tmp_path_factory.mktemp("deadly")
    with ExitStack() as stack:
        schema = stack.enter_context(shared_postgres.lent_schema())
        config = ALONE.replace("[engines.tone]", '[engines.tone]\ncluster = "gpu"')
        config += _CLUSTER
        url = shared_postgres.url(search_path=schema)
        opened = stack.enter_context(gateways(folder, url, shared_redis.url, count=GATEWAYS, config=config))
        address = stack.enter_context(balancer(folder, opened.servers))
        joined = address, host_key(opened.servers[0])
        agents = [stack.enter_context(agent(folder / f"gpu{n}", *joined, _DEADLY)) for n in range(HOSTS)]
        lone = stack.enter_context(agent(folder / "lone", *joined, _LONE))
        until(lambda: {_slots(each) for each in opened.servers} == {(8 * HOSTS, 8)})
        yield DeadlySite(opened.servers, agents, lone, shared_postgres, schema)
        machines = [each.process for each in opened.servers] + [each.process for each in (*agents, lone)]
        for machine in machines:  # all at once, instead of one after the other
            machine.terminate()


def test_each_gateway_repeats_its_own_calls_alone(site: DeadlySite) -> None:
    first, second = site.servers[:2]
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(_timed, first, "One text."), pool.submit(_timed, second, "Another.")]
        until(lambda: state(first, "lone")["running"] == 2)
        os.kill(site.lone.hosts()[0].pid, signal.SIGKILL)
        until(lambda: site.verdicts() == ["alone", "alone"])
        (one, at), (other, later) = [each.result() for each in asked]
    assert (one.status_code, other.status_code) == (200, 200)
    assert abs(at - later) >= DELAY_S
    until(lambda: not site.verdicts())


def test_a_deadly_text_of_three_gateways_kills_three_hosts_at_most(site: DeadlySite) -> None:
    before = site.deaths()
    with ThreadPoolExecutor(GATEWAYS) as pool:
        began = time.monotonic()
        for second in range(3):
            time.sleep(max(0.0, began + second - time.monotonic()))
            answers = pool.map(_deadly, site.servers)
            assert {each.status_code for each in answers} == {400}
    assert site.deaths() - before <= 3
    assert site.verdicts() == ["refused"]
    for server in site.servers:
        began = time.monotonic()
        answer = _deadly(server)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_text")
        assert time.monotonic() - began < AT_ONCE_S
    assert server.speech("Harmless.").status_code == 200


def _deadly(server: Server) -> httpx2.Response:
    return server.speech("Deadly.", voice="tone/crash")


def _timed(server: Server, text: str) -> tuple[httpx2.Response, float]:
    return server.speech(text, model="lone/standard", voice="lone/tone"), time.monotonic()


def _slots(server: Server) -> tuple[int, int]:
    return state(server, "tone")["slots"], state(server, "lone")["slots"]
