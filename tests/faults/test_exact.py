"""Two workers, PostgreSQL and Redis, 64 clients at once: every limit is exact, to the credit."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import openai
import pytest

from policies.price import MICRO
from tests.faults.books import books
from tests.faults.clusters import CREDITS, SECOND_STREAMS, SECONDS, Cluster
from tests.server import Server
from tests.waiting import until

pytestmark = pytest.mark.slow

CLIENTS = 64
SHORTEST_CAP_S = 10
"""The most that an engine may make of a short text; see policies/estimate.py."""

Outcome = tuple[int, str]


class Shop:
    """The server under test, and clients of the SDK that ask it without retrying."""

    def __init__(self, server: Server, url: str, http: httpx2.Client) -> None:
        self.server = server
        self.url = url
        self._http = http

    def key(self, plan: str) -> str:
        return self.server.mint_key(plan, plan=plan).secret

    def client(self, key: str) -> openai.OpenAI:
        # They share their connections; the sixty-four are threads.
        return openai.OpenAI(
            base_url=f"{self.server.url}/v1", api_key=key, max_retries=0, timeout=60, http_client=self._http
        )


@pytest.fixture(scope="module")
def shop(cluster: Cluster) -> Iterator[Shop]:
    with openai.DefaultHttpxClient() as http:
        yield Shop(cluster.server, cluster.postgres.url(), http)


def test_credits_for_a_hundred_jobs_are_a_hundred_jobs(shop: Shop) -> None:
    told = _all_at_once(shop, shop.key("jobs"), times=3)
    print(f"priced by the job: {told}")
    assert told == {(200, ""): CREDITS, (429, "insufficient_quota"): 3 * CLIENTS - CREDITS}
    found = books(shop.url, shop.server.data)
    assert found.verdict.is_clean, found.verdict
    assert sum(row.credits for row in found.rows.values() if row.price_per == "job") == CREDITS * MICRO


def test_seconds_go_over_the_quota_by_no_more_than_the_floor(shop: Shop) -> None:
    told = _all_at_once(shop, shop.key("seconds"), times=2, ask=_ask_for_a_stream)
    found = books(shop.url, shop.server.data)
    rows = [row for row in found.rows.values() if row.price_per == "minute" and row.credits]
    delivered_s = sum(row.samples / row.sample_rate_hz for row in rows)
    print(f"priced by the second: {told}, {delivered_s:.1f} s delivered of {SECONDS}")
    assert found.verdict.is_clean, found.verdict
    assert told[429, "insufficient_quota"]
    # One request a stream may come to more than was held for it, and no request begins without its hold.
    assert SECONDS - SHORTEST_CAP_S < delivered_s <= SECONDS + SECOND_STREAMS * SHORTEST_CAP_S
    assert len(rows) == told[200, ""]


def _all_at_once(
    shop: Shop, key: str, times: int, ask: Callable[[openai.OpenAI], Outcome] | None = None
) -> Counter[Outcome]:
    clients = [shop.client(key) for _ in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as threads:
        return Counter(threads.map(ask or _ask, clients * times))


def _ask_for_a_stream(client: openai.OpenAI) -> Outcome:
    """Ask until a stream is free. The refusals come so fast that nothing would be spoken meanwhile."""
    told = list[Outcome]()

    def is_free() -> bool:
        told[:] = [_ask(client)]
        return told != [(429, "rate_limit_exceeded")]

    until(is_free)
    return told[0]


def _ask(client: openai.OpenAI) -> Outcome:
    try:
        client.audio.speech.create(model="tts-1", voice="alloy", input="Hi.")
    except openai.APIStatusError as error:
        return error.status_code, str(error.code)
    return 200, ""
