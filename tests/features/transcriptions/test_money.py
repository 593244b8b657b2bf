"""What transcriptions cost, on each kind of database: the seconds that were uploaded, and the books agree."""

import asyncio
import json
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.price import MICRO, Price, estimate_charge
from proxy.features.admin.verify import verify
from speech_engine import EngineFailed, Finished, ProviderCount
from tests.features.transcriptions.ears import Ears, Step, heard, raw, said, whole
from tests.proxy.api.inside import Inside, LeavingPeer, envelope, inside
from tests.proxy.api.scripted import Halt
from tests.tones import of_seconds

pytestmark = pytest.mark.both_stores

CONFIG = """
[server]
default_model = "ears"
[storage]
url = "{url}"
[engines.one]
costs = {{ "*" = {{ usd = 0.6, per = "hour" }} }}
[models]
ears = ["one/m"]
[plans.priced]
allowance = {allowance}
streams = 1
prices.speech = {{ credits = 1, per = "second" }}
prices.transcription = {{ credits = 15, per = "minute" }}
"""


def config(url: str, allowance: float = 1000) -> str:
    return CONFIG.format(url=url, allowance=allowance)


async def left(server: Inside) -> float:
    credits: float = (await server.ask("GET", "/v1/me")).json()["credits"]["available"]
    return credits


async def test_the_uploaded_seconds_are_charged_and_usage_says_so(tmp_path: Path, store_url: str) -> None:
    ears = Ears(*whole(said("All of it.", 0.0, 2.0)))
    async with inside(tmp_path, config(store_url), {"one": ears}, plan="priced") as server:
        before = await left(server)
        assert (await heard(server, of_seconds(6.0), tag="ep:1")).status_code == 200
        assert before - await left(server) == pytest.approx(1.5)
        (row,) = await server.usage()
        assert (row.kind, row.outcome, row.tag, row.language) == ("transcription", "finished", "ep:1", "en")
        assert (row.credits, row.price_micro, row.price_per) == (1.5 * MICRO, 15 * MICRO, "minute")
        assert row.samples / row.sample_rate_hz == 6.0
        assert row.micro_usd == 1000, "six seconds of an hour for 60 cents"
        by = (await server.ask("GET", "/v1/usage?by=operation")).json()
        assert "transcription" in json.dumps(by)
        assert (await server.ask("GET", "/v1/me")).json()["prices"]["transcription"] == {
            "credits": 15,
            "per": "minute",
        }
        assert (await verify(server.worker.store)).is_clean


async def test_who_cannot_pay_is_refused_before_it_is_heard(tmp_path: Path, store_url: str) -> None:
    ears = Ears(*whole(said("Hm.")))
    async with inside(tmp_path, config(store_url, allowance=2), {"one": ears}, plan="priced") as server:
        refused = await heard(server, of_seconds(9.0))
        assert (refused.status_code, envelope(refused)["code"]) == (429, "insufficient_quota")
        assert not ears.jobs
        assert (await heard(server, of_seconds(7.6))).status_code == 200
        broke = await heard(server, b"it is not even decoded")
        assert broke.status_code == 429
        assert await left(server) == pytest.approx(0.1)
        assert (await verify(server.worker.store)).is_clean


async def test_who_leaves_pays_for_the_text_that_was_given_out(tmp_path: Path, store_url: str) -> None:
    ears, seen = Ears(), set[str]()
    async with inside(tmp_path, config(store_url), {"one": ears}, plan="priced") as server:
        rows = [(stream, given, 1.0) for stream, given in product(("true", "false"), range(3))]
        # The last one was sent all, of which nothing left this machine.
        for stream, given, share in (*rows, ("true", 2, 0.0)):
            before, peer, halt = await left(server), LeavingPeer(), Halt()
            peer.sent_share = share
            script: list[Step] = [said(" One.", 0.0, 2.0), said(" Two.", 2.0, 4.0), Finished()]
            script.insert(given, halt)
            ears.script = tuple(script)
            hearing = asyncio.create_task(raw(server, of_seconds(8.0), peer, stream=stream))
            await asyncio.wait_for(halt.is_there.wait(), 20.0)
            peer.leave()
            await asyncio.wait_for(asyncio.wait([hearing]), 20.0)
            assert not ears.open
            (row,) = [row for row in await server.usage() if row.id not in seen]
            seen.add(row.id)
            due = given * 0.5 if stream == "true" and share else 0.0
            assert (row.outcome, row.credits) == ("left", due * MICRO)
            assert before - await left(server) == pytest.approx(due)
            assert row.micro_usd > 0, "the provider has the recording"
        assert (await verify(server.worker.store)).is_clean


async def test_an_answer_that_breaks_is_free_and_gives_its_hold_back(tmp_path: Path, store_url: str) -> None:
    ears = Ears(said("One."), ProviderCount(3.0), EngineFailed("It broke."))
    async with inside(tmp_path, config(store_url), {"one": ears}, plan="priced") as server:
        before = await left(server)
        assert (await heard(server, of_seconds(2.0))).status_code == 503
        await raw(server, of_seconds(2.0), LeavingPeer(), stream="true")
        assert [(row.outcome, row.credits) for row in await server.usage()] == [("failed", 0)] * 2
        assert await left(server) == before
        assert (await verify(server.worker.store)).is_clean


async def test_it_takes_a_stream_of_the_plan_only_while_it_streams(tmp_path: Path, store_url: str) -> None:
    halt = Halt(at=1)
    ears = Ears(halt, *whole(said("Now.")))
    async with inside(tmp_path, config(store_url), {"one": ears}, plan="priced") as server:
        streaming = asyncio.create_task(raw(server, of_seconds(1.0), LeavingPeer(), stream="true"))
        await asyncio.wait_for(halt.is_there.wait(), 20.0)
        busy = await heard(server, of_seconds(1.0), stream="true")
        assert (busy.status_code, envelope(busy)["code"]) == (429, "rate_limit_exceeded")
        assert (await heard(server, of_seconds(1.0))).status_code == 200
        halt.goes_on.set()
        await streaming
        assert (await verify(server.worker.store)).is_clean


async def test_without_a_price_of_its_own_it_costs_what_a_conversion_does(tmp_path: Path) -> None:
    ears = Ears(*whole(said("Hm.")))
    by_time = config("sqlite").replace("prices.transcription", "prices.conversion")
    async with inside(tmp_path, by_time, {"one": ears}, plan="priced") as server:
        await heard(server, of_seconds(4.0))
        (row,) = await server.usage()
        assert row.credits == 1 * MICRO
    by_text = by_time.replace('prices.conversion = { credits = 15, per = "minute" }', "").replace(
        'per = "second"', 'per = "character"'
    )
    (tmp_path / "second").mkdir()
    async with inside(tmp_path / "second", by_text, {"one": ears}, plan="priced") as server:
        refused = await heard(server, b"it is not even decoded")
        assert (refused.status_code, envelope(refused)["code"]) == (403, "transcription_not_priced")


async def test_any_length_costs_its_seconds(tmp_path: Path) -> None:
    """One worker hears recordings of any length; the books hold each to its price."""
    ears = Ears(*whole(said("Hm.")))
    async with inside(tmp_path, config("sqlite", 10**6), {"one": ears}, plan="priced") as server:
        loop = asyncio.get_running_loop()

        @settings(max_examples=25, deadline=None)
        @given(ms=st.integers(100, 20_000), stream=st.sampled_from(("true", "false")))
        def holds(ms: int, stream: str) -> None:
            sent = heard(server, of_seconds(ms / 1000), stream=stream)
            assert asyncio.run_coroutine_threadsafe(sent, loop).result(20.0).status_code == 200

        await asyncio.to_thread(holds)
        for row in await server.usage():
            seconds = row.samples / row.sample_rate_hz
            price = Price(15 * MICRO, "minute")
            assert row.credits == estimate_charge(price, estimated_s=seconds, characters=0)
        assert (await verify(server.worker.store)).is_clean
