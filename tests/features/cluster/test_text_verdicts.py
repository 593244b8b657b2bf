"""Verdicts on texts as rows: what one gateway has learnt, another one knows after an exchange."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from policies.host_health import QUARANTINE_S, SUSPECT_S
from policies.tasks import SECOND_US
from proxy.feature_list import open_store
from proxy.features.cluster.machines import NOW_SQL
from proxy.features.cluster.text_verdicts import VerdictExchange
from proxy.hosts.cluster.cluster_suspects import ClusterSuspects, TextNews
from proxy.hosts.host import EngineSuspects
from proxy.storage.store import Statement, StorageFailed, Store
from speech_engine import Speak, UnsupportedText
from tests.features.cluster.rig import Site
from tests.speech_engine.host.fakes import job
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row
from tests.waiting import soon

WORK, KEY = Speak(job()), b"k" * 32


class Gateway:
    def __init__(self, store: Store, key: bytes = KEY) -> None:
        self.suspects = ClusterSuspects()
        self.exchange = VerdictExchange(store, {"tone": self.suspects}, key)
        self._calls = iter("abcdef")

    def crash(self, *others: str, is_killer: bool = False) -> None:
        """Let a process die that had begun our text, and calls of others."""
        self.suspects.note_dispatch(call := next(self._calls), self.suspects.digest(WORK))
        self.suspects.note_crash([call, *others], call * is_killer)

    def verdict(self) -> str:
        try:
            return "alone" * self.suspects.runs_alone(WORK, self.suspects.digest(WORK))
        except UnsupportedText:
            return "refused"


@asynccontextmanager
async def _store(site: Site) -> AsyncIterator[Store]:
    async with open_store(site.url, site.folder) as store:
        yield store


async def _exchanged(*gateways: Gateway) -> list[str]:
    """Two rounds: each gateway then knows what any has written."""
    for each in gateways * 2:
        await each.exchange.exchange()
    return [each.verdict() for each in gateways]


async def test_a_suspect_of_one_gateway_is_one_of_all_until_it_is_spoken_whole(site: Site) -> None:
    async with _store(site) as store:
        one, other, stranger = Gateway(store), Gateway(store), Gateway(store, b"x" * 32)
        one.crash("another call")
        assert await _exchanged(one, other, stranger) == ["alone", "alone", ""]
        other.suspects.note_dispatch("whole", other.suspects.digest(WORK))
        other.suspects.end("whole", is_whole=True)
        assert await _exchanged(one, other) == ["", ""]


async def test_two_deaths_beside_nothing_else_are_enough_though_no_gateway_saw_both(site: Site) -> None:
    async with _store(site) as store:
        one, other, third = Gateway(store), Gateway(store), Gateway(store)
        one.crash()
        other.crash()
        assert await _exchanged(one, other, third) == ["refused"] * 3


async def test_deaths_beside_others_are_never_enough_and_a_refused_text_stays_refused(site: Site) -> None:
    async with _store(site) as store:
        one, other = Gateway(store), Gateway(store)
        one.crash("another call")
        other.crash("another call")
        assert await _exchanged(one, other) == ["alone", "alone"]
        one.crash("another call")
        assert one.verdict() == "alone"
        one.crash(is_killer=True)
        other.crash("another call")
        assert await _exchanged(one, other) == ["refused", "refused"]
        # A call that began before is spoken whole.
        one.suspects.news = [TextNews(one.suspects.digest(WORK), "whole")]
        assert await _exchanged(one, other) == ["refused", "refused"]


async def test_a_text_that_another_gateway_speaks_whole_too_late_stays_refused(site: Site) -> None:
    async with _store(site) as store:
        one, other = Gateway(store), Gateway(store)
        one.crash("another call")
        other.suspects.note_dispatch("late", other.suspects.digest(WORK))
        assert await _exchanged(one, other) == ["alone", "alone"]
        one.crash(is_killer=True)
        await one.exchange.exchange()
        other.suspects.end("late", is_whole=True)
        assert await _exchanged(other, one) == ["refused", "refused"]


@each_row(("is_killer", "lasts_s"), [(False, SUSPECT_S), (True, QUARANTINE_S)])
async def test_rows_end_and_are_deleted(site: Site, is_killer: bool, lasts_s: float) -> None:
    async with _store(site) as store:
        gateway = Gateway(store)
        gateway.crash(is_killer=is_killer)
        await _exchanged(gateway)
        (row,) = await store.read(f"SELECT ends - {NOW_SQL} AS left_us FROM text_verdicts")
        assert lasts_s - 5.0 < row["left_us"] / SECOND_US <= lasts_s
        await store.write(Statement(f"UPDATE text_verdicts SET ends = {NOW_SQL} - 1"))
        assert await _exchanged(gateway) == [""]
        assert not await store.read("SELECT * FROM text_verdicts")


async def test_news_that_could_not_be_written_are_written_later_and_a_death_counts_once(site: Site) -> None:
    async with _store(site) as store, _store(site) as closed:
        gateway = Gateway(closed)
        await closed.close()
        gateway.crash()
        with pytest.raises(StorageFailed):
            await gateway.exchange.exchange()
        assert gateway.verdict() == "alone"
        (news,) = gateway.suspects.news
        assert (news.kind, news.is_only) == ("alone", False)
        other = Gateway(store)
        other.suspects.news = [news, news]
        assert await _exchanged(other) == ["alone"]


async def test_a_stream_waits_until_the_others_have_written(site: Site) -> None:
    async with _store(site) as store:
        one, other = Gateway(store), Gateway(store)
        running = [asyncio.create_task(_run(each)) for each in (one, other)]
        waiting = asyncio.create_task(one.suspects.settle())
        other.crash()
        await waiting
        assert one.verdict() == "alone"
        for task in running:
            task.cancel()


async def test_what_was_read_before_news_are_written_does_not_replace_them() -> None:
    suspects = ClusterSuspects()
    suspects.share(KEY, asyncio.Event())
    suspects.note_dispatch("call", digest := suspects.digest(WORK))
    suspects.note_crash(["call"], "")
    suspects.adopt([], time.monotonic())
    assert suspects.runs_alone(WORK, digest)


@simulated
async def test_it_waits_for_what_is_read_from_now_on_and_for_no_database_for_long() -> None:
    suspects, began = ClusterSuspects(), time.monotonic()
    await suspects.settle()  # on SQLite, at once
    assert time.monotonic() == began
    suspects.share(KEY, asyncio.Event())
    waiting = asyncio.create_task(suspects.settle())
    # The other gateways may not have written yet when the first of these reads begins.
    for is_over in (False, True):
        suspects.adopt([], time.monotonic())
        await asyncio.sleep(0.5)
        assert waiting.done() == is_over
    began = time.monotonic()
    await suspects.settle()
    assert time.monotonic() - began == pytest.approx(1.0)


async def test_an_idle_gateway_looks_soon_after_a_crash(site: Site) -> None:
    async with _store(site) as store:
        one, other = Gateway(store), Gateway(store)
        running = asyncio.create_task(_run(other))
        other.suspects.note_crash(["a call of one"], "")
        one.crash()
        await one.exchange.exchange()
        await soon(lambda: other.verdict() == "alone")
        running.cancel()


def test_an_agent_that_knows_nothing_blames_a_call_that_ran_alone() -> None:
    assert EngineSuspects("tone", KEY).note_death({"call": b"text"}) == ""
    assert EngineSuspects("tone", KEY).note_death({"call": b"text"}, is_alone=True) == "call"
    assert EngineSuspects("tone", KEY).note_death({"call": b"text", "other": b""}, is_alone=True) == ""


async def _run(gateway: Gateway) -> None:
    while True:
        await gateway.exchange.wait_and_exchange()
