"""Three real servers with one key of a provider's fake: its limit and its breaker are those of all."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import httpx2
import pytest

from fakes.faults import ScriptedFault
from tests.databases import Postgres
from tests.faults.clouds import ENVIRON, KINDS, Clouds, clouds
from tests.faults.processes import state
from tests.features.cluster.gateways import Gateways, gateways
from tests.redis_server import RedisServer
from tests.waiting import until

pytestmark = [pytest.mark.soak, pytest.mark.clock]

RPM = 7
ASKED = 18
SHARED_S = 2.0
_MODEL = KINDS["openai"].model


class Site(NamedTuple):
    fakes: Clouds
    gateways: Gateways

    def statuses(self, engine: str, keys: list[str], at: int | None = None) -> list[int]:
        """Ask once with each key, at one server or through the balancer, all at once."""
        opened = self.gateways.client() if at is None else self.gateways.servers[at].client()
        with ThreadPoolExecutor(len(keys)) as threads, opened as client:
            return list(threads.map(lambda key: _ask(client, engine, key), keys))


def _ask(client: httpx2.Client, engine: str, key: str) -> int:
    body = {"model": f"{engine}/{_MODEL}", "voice": "ada", "input": "Hi.", "response_format": "pcm"}
    headers = {"authorization": f"Bearer {key}"}
    return client.post("/v1/audio/speech", json=body, headers=headers).status_code


@pytest.fixture(scope="module")
def site(
    shared_postgres: Postgres, shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    url = shared_postgres.url(search_path=shared_postgres.new_schema())
    with clouds() as fakes:
        config = f'[server]\ndefault_model = "counted/{_MODEL}"\nfirst_audio_s = 4\n[plans.free]\n'
        config += fakes.engine("counted", "openai", f"rpm = {RPM}\n") + fakes.engine("broken", "openai")
        config += '[voices.ada]\ncounted = "alloy"\nbroken = "alloy"\n'
        folder = tmp_path_factory.mktemp("provider")
        opening = gateways(folder, url, shared_redis.url, count=3, config=config, environ=ENVIRON)
        with opening as opened:
            yield Site(fakes, opened)


def test_requests_a_minute_to_the_provider_are_those_of_one_key(site: Site) -> None:
    key = site.gateways.servers[0].mint_key("ana", plan="free").secret
    statuses = site.statuses("counted", [key] * ASKED)
    assert statuses.count(200) == RPM == len(site.fakes.spoken("counted", "openai")), statuses


def test_a_breaker_that_opens_at_one_server_is_open_at_the_others(site: Site) -> None:
    keys = [site.gateways.servers[0].mint_key(name, plan="free").secret for name in ("ben", "eve")]
    site.fakes.fail("broken", "openai", [ScriptedFault(name="5xx", count=1000)])
    first, *others = site.gateways.servers

    def is_open_at_first() -> bool:
        site.statuses("broken", keys, at=0)
        return bool(state(first, "broken")["state"] == "resting")

    until(is_open_at_first)
    began = time.monotonic()
    until(lambda: all(state(each, "broken")["state"] == "resting" for each in others))
    assert time.monotonic() - began < SHARED_S
    before = len(site.fakes.spoken("broken", "openai"))
    assert 200 not in site.statuses("broken", keys, at=1)
    assert len(site.fakes.spoken("broken", "openai")) == before
