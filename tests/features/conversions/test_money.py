"""What conversions cost, on each kind of database: what is shown is charged, and the books agree."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from policies.price import MICRO
from proxy.features.admin.verify import verify
from speech_engine import Event, Finished, SpeechJob
from tests.features.conversions.test_conversions import CONFIG, raw, sent
from tests.proxy.api.inside import Inside, LeavingPeer, envelope, inside
from tests.proxy.api.scripted import sound
from tests.proxy.speech_steps.repeating import Repeating
from tests.tables import each_row
from tests.tones import of_seconds
from tests.waiting import soon

pytestmark = pytest.mark.slow

PLANS = """
[storage]
url = "{url}"
[plans.priced]
allowance = {allowance}
streams = 1
prices.speech = {{ credits = 1, per = "character" }}
prices.conversion = {{ credits = 60, per = "minute" }}
"""


def config(url: str, allowance: int = 1000) -> str:
    return CONFIG.replace("[plans.small]\n", "") + PLANS.format(url=url, allowance=allowance)


async def left(server: Inside) -> float:
    credits: float = (await server.ask("GET", "/v1/me")).json()["credits"]["available"]
    return credits


async def shown_price(server: Inside) -> dict[str, Any]:
    """The price of a conversion as its account sees it."""
    price: dict[str, Any] = (await server.ask("GET", "/v1/me")).json()["prices"]["conversion"]
    return price


async def test_what_is_shown_is_charged_and_what_usage_says(tmp_path: Path, store_url: str) -> None:
    async with inside(tmp_path, config(store_url), plan="priced") as server:
        assert await shown_price(server) == {"credits": 60, "per": "minute"}
        plans = (await server.administer("GET", "plans")).json()["data"]
        (plan,) = [each for each in plans if each["name"] == "priced"]
        before = await left(server)
        assert (await sent(server, of_seconds(6.0), tag="ep:1")).status_code == 200
        assert before - await left(server) == pytest.approx(6.0)
        (row,) = await server.usage()
        assert row.tag == "ep:1"
        assert (row.kind, row.outcome, row.credits) == ("conversion", "finished", 6 * MICRO)
        assert (row.price_micro, row.price_per) == (60 * MICRO, "minute")
        assert plan["prices"]["conversion"] == await shown_price(server)
        assert (await verify(server.worker.store)).is_clean


async def test_an_account_may_have_a_price_of_its_own(tmp_path: Path, store_url: str) -> None:
    async with inside(tmp_path, config(store_url), plan="priced") as server:
        own = {"prices": {"conversion": {"credits": 0.5, "per": "second"}}}
        path = f"accounts/{server.account.id}"
        assert (await server.administer("POST", path, {"agreed": own})).is_success
        assert await shown_price(server) == {"credits": 30, "per": "minute"}
        assert (await sent(server, of_seconds(6.0))).status_code == 200
        own = {"prices": {"conversion": {"credits": 2, "per": "job"}}}
        assert (await server.administer("POST", path, {"agreed": own})).is_success
        assert (await sent(server, of_seconds(6.0))).status_code == 200
        assert sorted(row.credits for row in await server.usage()) == [2 * MICRO, 3 * MICRO]
        assert (await verify(server.worker.store)).is_clean


async def test_who_cannot_pay_is_refused_before_and_after_the_length_is_known(
    tmp_path: Path, store_url: str
) -> None:
    async with inside(tmp_path, config(store_url, allowance=5), plan="priced") as server:
        refused = await sent(server, of_seconds(5.5))
        assert (refused.status_code, envelope(refused)["code"]) == (429, "insufficient_quota")
        assert (await sent(server, of_seconds(4.99))).status_code == 200
        assert (await sent(server, of_seconds(0.5))).status_code == 429
        assert await left(server) == pytest.approx(0.01)
        spent = await sent(server, of_seconds(0.01))
        assert spent.status_code == 200, "what is left is enough for this"
        broke = await sent(server, b"no recording")
        assert broke.status_code == 429, "it is not even decoded"
        assert (await verify(server.worker.store)).is_clean


async def test_a_stream_of_the_plan_is_held_while_it_is_converted(tmp_path: Path, store_url: str) -> None:
    async with inside(tmp_path, config(store_url), plan="priced") as server:
        peer, began = LeavingPeer(), asyncio.Event()
        converting = asyncio.create_task(raw(server, "slow/standard", peer, began))
        await asyncio.wait_for(began.wait(), 20.0)
        busy = await sent(server, of_seconds(1.0))
        assert (busy.status_code, envelope(busy)["code"]) == (429, "rate_limit_exceeded")
        peer.leave()
        await asyncio.wait_for(asyncio.wait([converting]), 20.0)
        assert (await sent(server, of_seconds(1.0))).status_code == 200


async def test_a_client_that_leaves_pays_for_what_was_sent(tmp_path: Path, store_url: str) -> None:
    async with inside(tmp_path, config(store_url), plan="priced") as server:
        before, peer, began = await left(server), LeavingPeer(), asyncio.Event()
        converting = asyncio.create_task(raw(server, "slow/standard", peer, began))
        await asyncio.wait_for(began.wait(), 20.0)
        peer.leave()
        await asyncio.wait_for(asyncio.wait([converting]), 20.0)
        (row,) = await server.usage()
        assert row.outcome == "left"
        assert 0 < row.credits < 10 * MICRO
        assert row.credits == -(-row.samples * MICRO // row.sample_rate_hz)
        assert before - await left(server) == pytest.approx(row.credits / MICRO)
        assert (await verify(server.worker.store)).is_clean


async def test_one_that_breaks_costs_nothing_and_gives_its_hold_back(tmp_path: Path, store_url: str) -> None:
    async with inside(tmp_path, config(store_url), plan="priced") as server:
        before = await left(server)
        messages = await raw(server, "breaks/standard", LeavingPeer(), asyncio.Event())
        assert messages[-1]["more_body"], "the answer is broken off"
        (row,) = await server.usage()
        assert (row.outcome, row.credits, row.kind) == ("failed", 0, "conversion")
        assert await left(server) == before
        assert (await verify(server.worker.store)).is_clean


SCRIPTED = """
[server]
[engines.one]
[models]
tts-1 = ["one/m"]
[voices.alloy]
one = "v"
[plans.priced]
allowance = 1000
prices.conversion = { credits = 60, per = "minute" }
"""


async def test_an_engine_that_goes_on_and_on_is_at_fault_and_not_the_recording(tmp_path: Path) -> None:
    one = Repeating(*sound(10.0), Finished())
    async with inside(tmp_path, SCRIPTED, {"one": one}, plan="priced") as server:
        await raw(server, "one/m", LeavingPeer(), asyncio.Event(), of_seconds(2.0))
        (row,) = await server.usage()
        assert (row.outcome, row.credits, row.error) == ("failed", 0, "engine_unavailable")
        assert (await verify(server.worker.store)).is_clean


async def test_no_more_is_charged_than_the_recording_has_and_than_was_held(tmp_path: Path) -> None:
    one = Repeating(*sound(0.9), Finished())
    priced = SCRIPTED.replace("allowance = 1000", "allowance = 1")
    async with inside(tmp_path, priced, {"one": one}, plan="priced") as server:
        answer = await sent(server, of_seconds(0.2), model="one/m", response_format="pcm")
        assert len(answer.content) == pytest.approx(1.1 * 48_000, abs=4)
        (row,) = await server.usage()
        assert row.credits == pytest.approx(0.2 * MICRO, rel=0.001)
        assert row.price_per == "minute"
        assert row.samples / row.sample_rate_hz == pytest.approx(0.2, abs=0.001)
        assert await left(server) == pytest.approx(0.8, abs=0.001)
        assert (await verify(server.worker.store)).is_clean


class Early(Repeating):
    """It has finished when it has repeated so many seconds, however much it was given."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self._pieces = seconds

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        async def first() -> AsyncIterator[bytes]:
            left = self._pieces
            async for piece in pcm:
                if not left:
                    return
                left -= 1
                yield piece

        async for event in super().convert(job, first()):
            yield event


@each_row(("seconds", "is_whole"), [(1, False), (4, False), (5, True), (6, True)])
async def test_an_engine_that_leaves_out_far_more_than_a_pause_has_failed_and_costs_nothing(
    tmp_path: Path, seconds: int, is_whole: bool
) -> None:
    async with inside(tmp_path, SCRIPTED, {"one": Early(seconds)}, plan="priced") as server:
        await raw(server, "one/m", LeavingPeer(), asyncio.Event(), of_seconds(6.0))
        (row,) = await server.usage()
        assert row.outcome == ("finished" if is_whole else "failed")
        assert bool(row.credits) == is_whole
        assert (await verify(server.worker.store)).is_clean


@each_row(("usd", "per"), [(0.3, "minute"), (0.0003, "unit"), (0.0003, "character"), (0.01, "job")])
async def test_who_leaves_a_provider_that_bills_at_once_costs_it_all(
    tmp_path: Path, usd: float, per: str
) -> None:
    one = Repeating(asyncio.Event().wait, window=1000, billed_on_submit=True, units_a_minute=1000.0)
    costs = f'costs = {{ "*" = {{ usd = {usd}, per = "{per}" }} }}'
    priced = SCRIPTED.replace("[engines.one]", f"[engines.one]\n{costs}")
    async with inside(tmp_path, priced, {"one": one}, plan="priced") as server:
        peer = LeavingPeer()
        converting = asyncio.create_task(raw(server, "one/m", peer, asyncio.Event(), of_seconds(2.0)))
        await soon(lambda: one.open == 1)
        peer.leave()
        await asyncio.wait_for(asyncio.wait([converting]), 20.0)
        (row,) = await server.usage()
        assert (row.outcome, row.credits, row.micro_usd) == ("left", 2 * MICRO, 10_000)
        assert (await verify(server.worker.store)).is_clean


async def test_a_refund_gives_back_what_it_cost_once(tmp_path: Path, store_url: str) -> None:
    async with inside(tmp_path, config(store_url), plan="priced") as server:
        before = await left(server)
        request = (await sent(server, of_seconds(6.0))).headers["x-request-id"]
        refund = await server.administer("POST", f"requests/{request}/refund", {"reason": "noisy"})
        assert refund.json()["credits"] == 6
        assert await left(server) == before
        again = await server.administer("POST", f"requests/{request}/refund", {"reason": "noisy"})
        assert again.status_code == 409
        assert (await verify(server.worker.store)).is_clean
