"""A settlement whose answer never comes: charged once at most, and not at all for an answer broken off.

Only a database on a line loses answers; on both of them a caller may leave before the answer.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from policies.price import MICRO
from proxy.errors import Conflict
from proxy.feature_list import open_store
from proxy.features.admin import movements
from proxy.features.admin.movements import Reason
from proxy.ledger import Hold, HoldRequest, Ledger, Outcome, open_ledger
from proxy.ledger.holds import HeldCredits
from proxy.ledger.pending_writes import WRITE_LIMIT_S
from proxy.storage import usage
from proxy.storage.store import StorageFailed, StorageUnreachable, Store
from proxy.telemetry.metrics import Metrics
from tests.proxy.ledger import asking
from tests.proxy.ledger.lossy import Fate, LossyStore
from tests.speech_engine.host.simulated_time import simulated

on_a_line = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
"""In place of both databases."""

LOST: list[Fate] = ["answer lost"] * 3
"""As often as a settlement is tried."""
AWAY: list[Fate] = ["never sent"] * 6
NEVER_SENT: list[Fate] = ["never sent"] * 3


@pytest.fixture
def lossy(store: Store) -> LossyStore:
    return LossyStore(store)


@pytest.fixture
async def ledger(lossy: LossyStore, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ledger]:
    """Its later tries come soon after each other."""
    monkeypatch.setattr("proxy.ledger.pending_writes.RETRY_S", 0.05)
    await asking.open_accounts(lossy, {"acc_ada": asking.ANCHOR})
    async with open_ledger(lossy, Metrics()) as opened:
        yield opened


async def outcomes(store: Store) -> list[Outcome]:
    return [row.outcome for row in await usage.list_newest(store)]


async def settles(
    ledger: Ledger, lossy: LossyStore, *fates: Fate, request: HoldRequest | None = None, seconds: float = 4
) -> None:
    async with asking.holding(ledger, request or asking.wanted()) as hold:
        asking.heard(hold, seconds)
        lossy.fates += fates
        await hold.settle("finished")


@on_a_line
@pytest.mark.parametrize(
    "fates", [["answer lost"], ["answer lost", "answer lost"], ["never sent", "answer lost"], ["never sent"]]
)
async def test_a_lost_answer_is_asked_for_again_and_charged_once(
    ledger: Ledger, lossy: LossyStore, fates: list[Fate]
) -> None:
    await settles(ledger, lossy, *fates)
    assert await asking.moved(lossy) == [("spend", False, -4)]
    assert await outcomes(lossy) == ["finished"]
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(96, 0, 0)
    assert await asking.is_at_rest(ledger)


@on_a_line
async def test_a_charge_that_never_arrived_is_not_made_and_the_request_has_failed(
    ledger: Ledger, lossy: LossyStore
) -> None:
    with pytest.raises(StorageUnreachable):
        await settles(ledger, lossy, *NEVER_SENT)
    await asking.made_up(ledger)
    assert await asking.moved(lossy) == []
    assert await outcomes(lossy) == ["failed"]
    assert await asking.is_at_rest(ledger)


@on_a_line
@pytest.mark.parametrize("later", [[], ["answer lost"], ["never sent"], ["never sent", "answer lost"]])
async def test_a_client_who_was_cut_off_though_the_charge_had_arrived_gets_it_back(
    ledger: Ledger, lossy: LossyStore, later: list[Fate]
) -> None:
    """`later` is what becomes of the refund: the failure that is written down comes before it."""
    with pytest.raises(StorageUnreachable):
        await settles(ledger, lossy, *LOST, "goes well", *later)
    await asking.made_up(ledger)
    assert await asking.moved(lossy) == [("spend", False, -4), ("refund", False, 4)]
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 0, 0)
    assert await asking.is_at_rest(ledger)


@on_a_line
async def test_a_charge_that_was_never_made_is_not_given_back(ledger: Ledger, lossy: LossyStore) -> None:
    """The charge never arrived; the failure did, and only its answer was lost."""
    with pytest.raises(StorageUnreachable):
        await settles(ledger, lossy, *NEVER_SENT, "answer lost")
    await asking.made_up(ledger)
    assert await asking.moved(lossy) == []
    assert await outcomes(lossy) == ["failed"]
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 0, 0)
    assert await asking.is_at_rest(ledger)


@on_a_line
async def test_both_pools_get_theirs_back(ledger: Ledger, lossy: LossyStore) -> None:
    await movements.grant(ledger, "acc_ada", 50 * MICRO, None, Reason("control"))
    request = asking.wanted(credits=120)
    with pytest.raises(StorageUnreachable):
        await settles(ledger, lossy, *LOST, request=request, seconds=110)
    await asking.made_up(ledger)
    assert await asking.stands(ledger, request) == asking.Account(100, 50, 0)
    assert await asking.is_at_rest(ledger)


@on_a_line
async def test_an_operator_may_have_been_faster(ledger: Ledger, lossy: LossyStore) -> None:
    async with asking.holding(ledger, asking.wanted()) as hold:
        asking.heard(hold, 4)
        lossy.fates += LOST
        with pytest.raises(StorageUnreachable):
            await hold.settle("finished")
        await movements.refund(ledger, "req_1", None, Reason("control"))
    await asking.made_up(ledger)
    assert await asking.moved(lossy) == [("spend", False, -4), ("refund", False, 4)]
    assert await asking.is_at_rest(ledger)


@pytest.mark.parametrize(
    ("then", "charged"), [("left", 4), ("failed", 0)], ids=["the client left", "we broke it off"]
)
async def test_a_request_that_is_cancelled_while_it_settles_is_charged_once_or_not_at_all(
    ledger: Ledger, lossy: LossyStore, then: Outcome, charged: int
) -> None:
    async def answer() -> None:
        async with asking.holding(ledger, asking.wanted()) as hold:
            asking.heard(hold, 4)
            lossy.fates.append("answer late")
            try:
                await hold.settle("finished")
            except asyncio.CancelledError:
                await hold.settle(then)
                raise

    answering = asyncio.create_task(answer())
    await lossy.was_written.wait()
    answering.cancel()
    lossy.may_answer.set()
    with pytest.raises(asyncio.CancelledError):
        await answering
    await asking.made_up(ledger)
    assert -sum(amount for _, _, amount in await asking.moved(lossy)) == charged
    assert await outcomes(lossy) == ["finished"]
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100 - charged, 0, 0)
    assert await asking.is_at_rest(ledger)


@pytest.mark.parametrize(("then", "charged"), [("left", 4), ("failed", 0)])
async def test_an_end_that_the_database_does_not_have_yet_is_replaced_by_a_later_one(
    ledger: Ledger, lossy: LossyStore, then: Outcome, charged: int
) -> None:
    async def answer() -> None:
        async with asking.holding(ledger, asking.wanted()) as hold:
            asking.heard(hold, 4)
            lossy.fates.append("held back")
            try:
                await hold.settle("finished")
            except asyncio.CancelledError:
                lossy.may_write.set()
                lossy.may_answer.set()
                await hold.settle(then)
                raise

    answering = asyncio.create_task(answer())
    await lossy.was_asked.wait()
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    assert await outcomes(lossy) == [then]
    assert -sum(amount for _, _, amount in await asking.moved(lossy)) == charged
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100 - charged, 0, 0)
    assert await asking.is_at_rest(ledger)


async def test_what_was_submitted_is_written_and_counted_though_nobody_waits_for_it(
    ledger: Ledger, lossy: LossyStore
) -> None:
    """The caller is cancelled before the database has the end, and is still gone when the answer comes."""
    held = await ledger.holds.take_hold(asking.wanted())
    assert isinstance(held, HeldCredits)
    hold = asking.Held(Hold(ledger.holds, asking.wanted(), held))
    asking.heard(hold, 4)
    settling = asyncio.create_task(hold.settle("left"))
    await asyncio.sleep(0)
    settling.cancel()
    await asyncio.wait([settling])
    assert settling.cancelled()
    await ledger.holds.deadlines.close()
    assert await outcomes(lossy) == ["left"]
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(96, 0, 0)
    assert await asking.is_at_rest(ledger)


async def test_a_caller_cancelled_again_and_again_leaves_nothing_behind(
    ledger: Ledger, lossy: LossyStore
) -> None:
    async def answer() -> None:
        async with asking.holding(ledger, asking.wanted()) as hold:
            asking.heard(hold, 4)
            lossy.fates += ["answer late"]
            try:
                await hold.settle("finished")
            finally:
                answering.cancel()
                await hold.settle("failed")

    answering = asyncio.create_task(answer())
    await lossy.was_written.wait()
    answering.cancel()
    lossy.may_answer.set()
    with pytest.raises(asyncio.CancelledError):
        await answering
    await asking.made_up(ledger)
    assert await asking.moved(lossy) == [("spend", False, -4), ("refund", False, 4)]
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 0, 0)
    assert await asking.is_at_rest(ledger)


async def test_a_grant_counts_even_if_its_request_was_cancelled(ledger: Ledger, lossy: LossyStore) -> None:
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 0, 0)
    lossy.fates.append("answer late")
    granting = asyncio.create_task(
        movements.grant(ledger, "acc_ada", 7 * MICRO, "invoice 1", Reason("control"))
    )
    await lossy.was_written.wait()
    granting.cancel()
    lossy.may_answer.set()
    with pytest.raises(asyncio.CancelledError):
        await granting
    await movements.grant(ledger, "acc_ada", 7 * MICRO, "invoice 1", Reason("control"))
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 7, 0)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_closing_waits_for_what_is_being_written(lossy: LossyStore) -> None:
    async with open_ledger(lossy, Metrics()) as ledger:
        lossy.fates.append("answer late")
        speaking = asyncio.create_task(asking.speak(ledger, asking.wanted(), 4))
        await lossy.was_written.wait()
        asyncio.get_running_loop().call_soon(lossy.may_answer.set)
    assert "0 live" in repr(ledger)
    await speaking


@on_a_line
@pytest.mark.parametrize(
    "fates", [["answer lost"], ["answer lost", "answer lost"], ["never sent", "answer lost"], ["never sent"]]
)
async def test_a_movement_whose_answer_was_lost_is_done_once(
    ledger: Ledger, lossy: LossyStore, fates: list[Fate]
) -> None:
    await asking.speak(ledger, asking.wanted(), 4)
    lossy.fates += fates
    await movements.correct(ledger, "acc_ada", -2 * MICRO, Reason("control"))
    for reference in (None, "invoice 1"):
        lossy.fates += fates
        await movements.grant(ledger, "acc_ada", 10 * MICRO, reference, Reason("control"))
    lossy.fates += fates
    (back,) = await movements.refund(ledger, "req_1", None, Reason("control"))
    assert back.amount == 4 * MICRO
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 18, 0)
    assert await asking.is_at_rest(ledger)


@on_a_line
async def test_a_refund_in_doubt_is_not_taken_for_somebody_elses(ledger: Ledger, lossy: LossyStore) -> None:
    await asking.speak(ledger, asking.wanted(), 4)
    await movements.refund(ledger, "req_1", None, Reason("control", "the first"))
    lossy.fates.append("never sent")
    with pytest.raises(Conflict):
        await movements.refund(ledger, "req_1", None, Reason("control", "the second"))
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 0, 0)


@on_a_line
@pytest.mark.parametrize(("outcome", "charged"), [("finished", 0), ("left", 4)])
async def test_an_end_that_nobody_could_write_is_made_up_for_when_the_database_is_back(
    ledger: Ledger, lossy: LossyStore, outcome: Outcome, charged: int
) -> None:
    """The charge had arrived; then the database was away for longer than anybody waits."""
    with capture_logs() as logs:
        async with asking.holding(ledger, asking.wanted()) as hold:
            asking.heard(hold, 4)
            lossy.fates += ["answer lost", *AWAY]
            with pytest.raises(StorageUnreachable):
                await hold.settle(outcome)
    assert [(line["event"], line["request"]) for line in logs] == [("settlement.write.failed", "req_1")]
    await asking.made_up(ledger)
    assert lossy.fates == []
    assert -sum(amount for _, _, amount in await asking.moved(lossy)) == charged
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100 - charged, 0, 0)
    assert await asking.is_at_rest(ledger)


async def test_an_end_that_is_still_to_be_written_is_written_when_the_ledger_closes(
    lossy: LossyStore,
) -> None:
    await asking.open_accounts(lossy, {"acc_ada": asking.ANCHOR})
    async with open_ledger(lossy, Metrics()) as ledger:
        # The loop of later tries has not had its turn when the ledger closes.
        async with asking.holding(ledger, asking.wanted()) as hold:
            asking.heard(hold, 4)
            lossy.fates += ["refused"] * 2
            with pytest.raises(StorageFailed):
                await hold.settle("finished")
    assert await outcomes(lossy) == ["failed"]


@asynccontextmanager
async def alone(folder: Path) -> AsyncIterator[tuple[Ledger, LossyStore]]:
    """A ledger in the loop of a simulated clock."""
    async with open_store("sqlite", folder) as store:
        lossy = LossyStore(store)
        await asking.open_accounts(lossy, {"acc_ada": asking.ANCHOR})
        async with open_ledger(lossy, Metrics()) as ledger:
            yield ledger, lossy


@simulated
async def test_a_settlement_is_not_waited_for_beyond_its_one_deadline(tmp_path: Path) -> None:
    """However many tries there are; and who has waited that long does not wait again on leaving."""
    async with alone(tmp_path) as (ledger, lossy):
        async with asking.holding(ledger, asking.wanted()) as hold:
            asking.heard(hold, 4)
            lossy.fates.append("held back")
            began = time.monotonic()
            for release in (lossy.may_write, lossy.may_answer):
                asyncio.get_running_loop().call_later(2 * WRITE_LIMIT_S, release.set)
            with pytest.raises(StorageUnreachable):
                await hold.settle("finished")
            assert time.monotonic() - began == pytest.approx(WRITE_LIMIT_S)
            written_while_leaving = lossy.writes
        assert lossy.writes == written_while_leaving
        assert time.monotonic() - began == pytest.approx(WRITE_LIMIT_S)
        assert "0 live" in repr(ledger)
        lossy.may_write.set()
        lossy.may_answer.set()
        await asking.made_up(ledger)
        assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 0, 0)
        assert await asking.is_at_rest(ledger)


@on_a_line
async def test_an_answer_that_is_lost_after_the_deadline_leaves_no_charge(
    ledger: Ledger, lossy: LossyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asking.holding(ledger, asking.wanted()) as hold:
        asking.heard(hold, 4)
        lossy.fates.append("lost late")
        settling = asyncio.create_task(hold.settle("finished"))
        await lossy.was_written.wait()
        with monkeypatch.context() as patch:
            # The deadline passes.
            patch.setattr(asyncio.get_running_loop(), "time", lambda: time.monotonic() + WRITE_LIMIT_S)
            with pytest.raises(StorageUnreachable):
                await settling
    lossy.may_answer.set()
    await asking.made_up(ledger)
    assert await asking.moved(lossy) == [("spend", False, -4), ("refund", False, 4)]
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 0, 0)
    assert await asking.is_at_rest(ledger)


@pytest.mark.parametrize("fate", ["refused", "never sent"])
async def test_a_failure_that_the_disk_did_not_take_is_on_record_later(
    ledger: Ledger, lossy: LossyStore, fate: Fate
) -> None:
    async with asking.holding(ledger, asking.wanted()) as hold:
        asking.heard(hold, 4)
        lossy.fates += [fate] * 8
    await asking.made_up(ledger)
    assert await outcomes(lossy) == ["failed"]
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 0, 0)
    assert await asking.is_at_rest(ledger)
