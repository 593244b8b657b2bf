"""Many requests at once, in one worker or in two: never more credits than there are, never a stream more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from policies.price import MICRO
from proxy.errors import QuotaExceeded, RateLimited, RequestFailed
from proxy.feature_list import open_store
from proxy.features.admin import movements
from proxy.features.admin.movements import Reason
from proxy.features.admin.verify import verify
from proxy.ledger import Hold, HoldRequest, Ledger, Payer, StreamsTaken, open_ledger
from proxy.ledger.holds import HeldCredits
from proxy.storage import usage
from proxy.storage.store import Store
from proxy.telemetry.metrics import Metrics
from tests.proxy.ledger.asking import Account, Held, heard, holding, moved, speak, stands, terms, wanted
from tests.proxy.storage.watched import WatchedStore

REQUESTS = 200
between_workers = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
"""SQLite has one worker only."""


class Ending:
    """Holds that are kept until the test says so, however many want one."""

    def __init__(self) -> None:
        self.holds: list[Held] = []
        self.refusals: list[RequestFailed] = []
        self.may_end = asyncio.Event()
        self.have_asked = asyncio.Event()
        self._asked = 0

    async def hold(self, ledger: Ledger, request: HoldRequest, of: int) -> None:
        try:
            async with holding(ledger, request) as hold:
                self.holds.append(hold)
                self._has_asked(of)
                await self.may_end.wait()
                heard(hold, 1)
                await hold.settle("finished")
        except RequestFailed as failure:
            self.refusals.append(failure)
            self._has_asked(of)

    def _has_asked(self, of: int) -> None:
        self._asked += 1
        if self._asked == of:
            self.have_asked.set()


async def all_at_once(ledgers: list[Ledger], requests: list[HoldRequest]) -> Ending:
    """All of them ask, in turn of this ledger and that; who gets a hold keeps it until all have an answer."""
    ending = Ending()
    asking = [
        asyncio.create_task(ending.hold(ledgers[number % len(ledgers)], request, len(requests)))
        for number, request in enumerate(requests)
    ]
    async with asyncio.timeout(60):
        await ending.have_asked.wait()
    ending.may_end.set()
    await asyncio.gather(*asking)
    return ending


@pytest.fixture
async def two(store: Store, store_url: str, tmp_path: Path) -> AsyncIterator[list[Ledger]]:
    """Two workers. Each has a store of its own, since what one store takes is taken in order."""
    async with (
        open_store(store_url, tmp_path) as another_store,
        open_ledger(store, Metrics()) as one,
        open_ledger(another_store, Metrics()) as other,
    ):
        yield [one, other]


async def test_exactly_those_holds_are_taken_that_are_paid_for(store: Store, ledger: Ledger) -> None:
    await movements.grant(ledger, "acc_ada", 40 * MICRO, None, Reason("control"))
    under = terms(33)
    ending = await all_at_once([ledger], [wanted(f"req_{n}", 1, under=under) for n in range(REQUESTS)])
    assert len(ending.holds) == 73
    assert {type(refusal) for refusal in ending.refusals} == {QuotaExceeded}
    assert await stands(ledger, wanted(under=under)) == Account(0, 0, 0)
    assert len(await usage.list_newest(store)) == 73
    assert (await verify(store)).is_clean


async def test_five_streams_are_never_followed_by_a_sixth(ledger: Ledger) -> None:
    under = terms(None, streams=5)
    ending = await all_at_once([ledger], [wanted(f"req_{n}", under=under) for n in range(REQUESTS)])
    assert len(ending.holds) == 5
    assert {type(refusal) for refusal in ending.refusals} == {StreamsTaken}
    # All are free again.
    again = await all_at_once([ledger], [wanted(f"again_{n}", under=under) for n in range(6)])
    assert len(again.holds) == 5


@pytest.mark.parametrize("end", ["whole", "broken", "cancelled"])
async def test_an_answer_that_is_paid_for_is_a_stream_until_its_end(ledger: Ledger, end: str) -> None:
    request = wanted(under=terms(0, streams=1))
    payer = Payer(account=request.account, key=request.key, anchor=request.anchor, terms=request.terms)
    is_streaming, may_end = asyncio.Event(), asyncio.Event()

    async def replay(name: str) -> None:
        async with ledger.stream(name, payer):
            is_streaming.set()
            await may_end.wait()
            if end == "broken":
                raise ConnectionError

    replaying = asyncio.create_task(replay("req_1"))
    await is_streaming.wait()
    with pytest.raises(RateLimited):
        await replay("req_2")
    assert await stands(ledger, request) == Account(0, 0, 1)
    may_end.set()
    if end == "cancelled":
        replaying.cancel()
    await asyncio.wait((replaying,))
    await ledger.holds.pending.all_written.wait()
    assert await stands(ledger, request) == Account(0, 0, 0)


async def test_under_way_there_are_never_more_than_allowed_while_some_end_and_others_begin(
    ledger: Ledger,
) -> None:
    under, live, most = terms(None, streams=5), 0, 0
    was_full = asyncio.Event()

    async def visit(number: int) -> None:
        nonlocal live, most
        while True:
            try:
                async with holding(ledger, wanted(f"req_{number}", under=under)) as hold:
                    live, most = live + 1, max(most, live + 1)
                    if live == 5:
                        was_full.set()
                    await was_full.wait()
                    # Before the settlement: at its commit another one may begin.
                    live -= 1
                    await hold.settle("finished")
                    return
            except RateLimited:
                await asyncio.sleep(0.001)

    async with asyncio.timeout(60):
        await asyncio.gather(*(visit(number) for number in range(50)))
    assert most == 5


@between_workers
async def test_two_workers_share_credits_and_streams(two: list[Ledger], store: Store) -> None:
    under = terms(33)
    ending = await all_at_once(two, [wanted(f"req_{n}", 1, under=under) for n in range(REQUESTS)])
    assert len(ending.holds) == 33
    under = terms(None, streams=5)
    ending = await all_at_once(two, [wanted(f"more_{n}", under=under) for n in range(REQUESTS)])
    assert len(ending.holds) == 5
    assert (await verify(store)).is_clean


@between_workers
async def test_a_hold_or_a_grant_of_one_worker_is_seen_by_the_other(two: list[Ledger]) -> None:
    one, other = two
    request = wanted(credits=30)
    async with holding(one, request):
        assert await stands(other, request) == Account(70, 0, 1)
    await movements.grant(one, "acc_ada", 7 * MICRO, None, Reason("control"))
    assert await stands(other, request) == Account(100, 7, 0)


@between_workers
async def test_one_request_settled_by_two_workers_is_charged_once(two: list[Ledger], store: Store) -> None:
    async with AsyncExitStack() as left_alone:
        held = await two[0].holds.take_hold(wanted())
        assert isinstance(held, HeldCredits)
        hold, twin = [Held(Hold(ledger.holds, wanted(), held)) for ledger in two]
        for each in (hold, twin):
            heard(each, 4)
        left_alone.push_async_callback(hold.abandon)
        answers = await asyncio.gather(
            hold.settle("finished"), twin.settle("finished"), return_exceptions=True
        )
    assert sum(answer is None for answer in answers) == 1
    assert await moved(store) == [("spend", False, -4)]


@pytest.mark.usefixtures("leaves_holds")
async def test_the_holds_of_a_dead_worker_are_gone_after_their_time(timed: WatchedStore) -> None:
    """At once, where they were in the memory of the one that died."""
    under = terms(10, streams=1)
    async with open_ledger(timed, Metrics()) as dies:
        await dies.holds.take_hold(wanted("req_dead", under=under))
    async with open_ledger(timed, Metrics()) as lives:
        if timed.is_shared:
            timed.seconds = 19.9
            assert await stands(lives, wanted(under=under)) == Account(0, 0, 1)
            with pytest.raises(RateLimited):
                await speak(lives, wanted(under=under), 1)
            timed.seconds = 20
        assert await stands(lives, wanted(under=under)) == Account(10, 0, 0)
        await speak(lives, wanted(under=under), 10)


@between_workers
async def test_a_hold_that_outlived_its_time_still_settles_once(timed: WatchedStore) -> None:
    """Its worker was cut off from the database and came back; meanwhile others had its credits."""
    under = terms(10)
    async with open_ledger(timed, Metrics()) as one, open_ledger(timed, Metrics()) as other:
        async with holding(one, wanted("req_slow", under=under)) as hold:
            timed.seconds = 61
            await speak(other, wanted("req_fast", under=under), 10)
            heard(hold, 4)
            await hold.settle("finished")
        assert await stands(other, wanted(under=under)) == Account(-4, 0, 0)
    assert (await verify(timed)).is_clean
