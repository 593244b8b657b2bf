"""Holds as rows: renewed while their requests live, and gone when nobody needs them, whatever was lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.ledger import Ledger, open_ledger
from proxy.ledger.stored import StoredHolds
from proxy.storage import holds
from proxy.storage.store import StorageUnreachable, Store
from tests.proxy.ledger.asking import held, is_at_rest, speak, wanted
from tests.proxy.ledger.lossy import Fate, LossyStore

pytestmark = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
"""With SQLite they are in memory, and end with their worker."""


@pytest.fixture
def lossy(store: Store) -> LossyStore:
    return LossyStore(store)


@pytest.fixture
async def ledger(lossy: LossyStore) -> AsyncIterator[Ledger]:
    async with open_ledger(lossy) as opened:
        yield opened


async def lose_a_hold(ledger: Ledger, lossy: LossyStore, fate: Fate) -> None:
    lossy.fates.append(fate)
    with pytest.raises(StorageUnreachable):
        async with ledger.hold(wanted("req_lost")):
            pytest.fail("it has no hold")


async def test_a_hold_whose_answer_was_lost_goes_with_the_next_renewal(
    ledger: Ledger, lossy: LossyStore
) -> None:
    await lose_a_hold(ledger, lossy, "answer lost")
    assert await held(lossy) == ["req_lost"]
    assert isinstance(ledger.holds, StoredHolds)
    await ledger.holds._renew()
    assert await is_at_rest(ledger)


async def test_a_hold_whose_asker_left_goes_with_the_next_renewal(ledger: Ledger, lossy: LossyStore) -> None:
    lossy.fates.append("answer late")
    asking = asyncio.create_task(speak(ledger, wanted(), 1))
    await lossy.was_written.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert isinstance(ledger.holds, StoredHolds)
    await ledger.holds._renew()
    assert await is_at_rest(ledger)


@pytest.mark.parametrize("fate", ["answer lost", "sent late"])
async def test_a_lost_hold_is_never_renewed_with_the_others(
    ledger: Ledger, lossy: LossyStore, monkeypatch: pytest.MonkeyPatch, fate: Fate
) -> None:
    """Whether it could not be dropped, or arrived only after it was."""
    assert isinstance(ledger.holds, StoredHolds)
    await lose_a_hold(ledger, lossy, fate)
    async with ledger.hold(wanted("req_kept")):
        if fate == "answer lost":
            lossy.fates.append("never sent")
        else:
            await ledger.holds._renew()
            await lossy.arrive()
        assert await held(lossy) == ["req_kept", "req_lost"]
        before = await lossy.read("SELECT request, expires FROM holds")
        monkeypatch.setattr("proxy.ledger.stored.HOLD_S", 1000)
        await ledger.holds._renew()
        after = await lossy.read("SELECT request, expires FROM holds")
        renewed = {row["request"] for row in after} - {row["request"] for row in after if row in before}
    assert renewed == {"req_kept"}


async def is_renewed(store: Store) -> None:
    """Returns once the one hold has a new time."""
    (first,) = await store.read("SELECT expires FROM holds")
    deadline = asyncio.get_running_loop().time() + 10
    while await store.read("SELECT expires FROM holds") == [first]:
        assert asyncio.get_running_loop().time() < deadline, "nobody renewed it"
        await asyncio.sleep(0.01)


async def test_holds_under_way_are_renewed_by_themselves(
    lossy: LossyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.ledger.stored.RENEW_S", 0.01)
    monkeypatch.setattr("proxy.ledger.stored.HOLD_S", 1)
    async with open_ledger(lossy) as ledger, ledger.hold(wanted()):
        await is_renewed(lossy)
        # A database that was away for a moment does not end it for good.
        lossy.fates += ["never sent"] * 2
        while lossy.fates:
            await is_renewed(lossy)
        await is_renewed(lossy)


async def test_what_nobody_renewed_for_long_is_swept_away(
    ledger: Ledger, lossy: LossyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = await lossy.now()
    monkeypatch.setattr("proxy.ledger.stored.HOLD_S", -601)
    async with open_ledger(lossy) as dead:
        await dead.holds.take(wanted("req_dead"))
    monkeypatch.undo()
    async with ledger.hold(wanted("req_live")):
        assert await held(lossy) == ["req_dead", "req_live"]
        await holds.renew(lossy, "nobody", [], expires=now, long_ago=now - 600_000_000)
        assert await held(lossy) == ["req_live"]
