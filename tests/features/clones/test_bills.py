"""Who pays for a clone: in every row, what the provider billed and what the account was charged."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from policies.cycles import cycle_at
from policies.plans import build_terms as terms_of
from policies.price import MICRO
from proxy.feature_list import open_store
from proxy.features.admin.verify import verify
from proxy.features.clones import counts
from proxy.features.clones.clone_tasks import CloneTasks
from proxy.ledger.holds import Payer
from proxy.storage import accounts, costs, durable_holds, entries, usage
from proxy.storage.durable_holds import DurableHold
from proxy.storage.store import Statement, Store
from tests.features.clones.clone_rig import (
    CloneRig,
    OwnedVoice,
    clone_rig,
    clouds,
    config,
    opened,
    owned_voice,
)
from tests.tables import each_row

pytestmark = pytest.mark.slow

KEY = "key_ada"


class Books(NamedTuple):
    """What is on record of an account: its credits spent, the clones of its cycle, and its usage rows."""

    credits: int
    clones: int
    rows: int


async def books(rig: CloneRig, account: str) -> Books:
    owner = await accounts.get(rig.store, account)
    assert owner is not None
    pools = await entries.read_pools(rig.store, account)
    cycle = cycle_at(owner.anchor, await rig.store.now())
    clones = await durable_holds.count_clones(rig.store, account, cycle.start)
    rows = await usage.list_newest(rig.store, account=account)
    assert all((row.kind, row.outcome, row.model) == ("clone", "finished", "clone") for row in rows)
    return Books(-sum(pools.values()) // MICRO, clones, len(rows))


async def order(rig: CloneRig, voice: OwnedVoice, payer: str = KEY) -> str:
    id_ = await rig.want(voice, payer=payer)
    await rig.step()
    return id_


async def more(rig: CloneRig, voice: OwnedVoice) -> OwnedVoice:
    return await owned_voice(rig.store, account=voice.account)


async def once(rig: CloneRig, voice: OwnedVoice) -> None:
    await order(rig, voice)
    await rig.later()


async def made_deleted_and_made_again(rig: CloneRig, voice: OwnedVoice) -> None:
    await order(rig, voice)
    await rig.erase(voice)
    await rig.later()
    assert not rig.minimax.account.voices
    await order(rig, await more(rig, voice))


async def four(rig: CloneRig, voice: OwnedVoice) -> None:
    for _ in range(3):
        await order(rig, voice)
        await rig.erase(voice)
        await rig.later()
        voice = await more(rig, voice)
    row = await rig.row(await order(rig, voice))
    assert row.state == "failed"
    assert "allows 3 clones a cycle" in row.error
    assert "until 20" in row.error


async def two(rig: CloneRig, voice: OwnedVoice) -> None:
    await order(rig, voice)
    row = await rig.row(await order(rig, await more(rig, voice)))
    assert row.state == "failed"
    assert "needs about 300 credits, and your plan 'short' has 200 left" in row.error


async def without_a_plan_for_it(rig: CloneRig, voice: OwnedVoice) -> None:
    row = await rig.row(await order(rig, voice))
    assert (row.state, row.error) == ("failed", "Your plan 'none' has no clones at providers.")


async def by_the_operator(rig: CloneRig, voice: OwnedVoice) -> None:
    await order(rig, voice, payer="")


async def refused(rig: CloneRig, voice: OwnedVoice) -> None:
    rig.providers["minimax"].fail("error_in_200", path="voice_clone", code="2037")
    assert (await rig.row(await order(rig, voice))).state == "failed"


async def refused_and_then_made(rig: CloneRig, voice: OwnedVoice) -> None:
    await refused(rig, voice)
    assert (await rig.row(await order(rig, voice))).state == "ready"


async def answered_too_late(rig: CloneRig, voice: OwnedVoice) -> None:
    """The fee is taken, and the answer is lost."""
    rig.providers["minimax"].fail("truncated", path="t2a_v2")
    id_ = await order(rig, voice)
    assert (await rig.row(id_)).state == "making"
    assert rig.minimax.account.fees == 1
    await rig.later()
    assert (await rig.row(id_)).state == "ready"


async def lost_before_the_fee(rig: CloneRig, voice: OwnedVoice) -> None:
    rig.providers["minimax"].fail("truncated", path="files/upload")
    id_ = await order(rig, voice)
    assert (await rig.row(id_)).state == "making"
    assert await durable_holds.get(rig.store, id_) is not None
    await rig.later()


async def erased_in_doubt(rig: CloneRig, voice: OwnedVoice) -> None:
    rig.providers["minimax"].fail("truncated", path="t2a_v2")
    await order(rig, voice)
    await rig.erase(voice)
    await rig.later()
    assert not rig.minimax.account.voices


async def erased_before_it_was_made(rig: CloneRig, voice: OwnedVoice) -> None:
    rig.providers["minimax"].fail("truncated", path="files/upload")
    await order(rig, voice)
    await rig.erase(voice)
    await rig.later()


async def given_up_and_there_after_all(rig: CloneRig, voice: OwnedVoice) -> None:
    """What is given back in doubt is charged when the owner's next order finds the clone."""
    rig.providers["minimax"].fail("truncated", path="t2a_v2")
    id_ = await order(rig, voice)
    await rig.clone_tasks.bills.release(await rig.row(id_))
    await rig.store.write(Statement("UPDATE bindings SET state = 'failed', lease = 0"))
    assert (await books(rig, voice.account)).credits == 0
    await order(rig, voice)


async def lost_by_the_provider_and_ordered_again(rig: CloneRig, voice: OwnedVoice) -> None:
    await order(rig, voice)
    await rig.store.write(Statement("UPDATE bindings SET state = 'expired'"))
    await rig.want(voice, payer=KEY, pays_again=True)
    await rig.later()


async def lost_by_the_provider_and_made_again_by_the_operator(rig: CloneRig, voice: OwnedVoice) -> None:
    await order(rig, voice)
    await rig.store.write(Statement("UPDATE bindings SET state = 'expired'"))
    await rig.want(voice, pays_again=True)
    await rig.later()


async def stranded_and_restored(rig: CloneRig, voice: OwnedVoice) -> None:
    """While its credential is gone, nothing is held; what exists is charged when it is back."""
    rig.providers["minimax"].fail("truncated", path="t2a_v2")
    id_ = await order(rig, voice)
    await rig.store.write(Statement("UPDATE bindings SET credential = 'gone', lease = 0"))
    await rig.later()
    assert (await rig.row(id_)).state == "stranded"
    assert await durable_holds.get(rig.store, id_) is None
    await rig.store.write(Statement("UPDATE bindings SET credential = 'default'"))
    await rig.later()
    await rig.later()
    assert (await rig.row(id_)).state == "ready"


class Case(NamedTuple):
    act: Callable[[CloneRig, OwnedVoice], Awaitable[None]]
    plan: str
    billed: int
    """The clones for which the provider took its fee."""
    paid: int
    """The credits of the account."""
    clones: int
    """The clones of its cycle."""


CASES = (
    Case(once, "pro", 1, 300, 1),
    Case(made_deleted_and_made_again, "pro", 2, 600, 2),
    Case(four, "pro", 3, 900, 3),
    Case(two, "short", 1, 300, 1),
    Case(without_a_plan_for_it, "none", 0, 0, 0),
    Case(once, "free", 1, 0, 1),
    Case(by_the_operator, "pro", 1, 0, 0),
    Case(by_the_operator, "none", 1, 0, 0),
    Case(refused, "pro", 0, 0, 0),
    Case(refused_and_then_made, "pro", 1, 300, 1),
    Case(answered_too_late, "pro", 1, 300, 1),
    Case(lost_before_the_fee, "pro", 1, 300, 1),
    Case(erased_in_doubt, "pro", 1, 300, 1),
    Case(erased_before_it_was_made, "pro", 0, 0, 0),
    Case(given_up_and_there_after_all, "pro", 1, 300, 1),
    Case(lost_by_the_provider_and_ordered_again, "pro", 2, 600, 2),
    Case(lost_by_the_provider_and_made_again_by_the_operator, "pro", 2, 300, 1),
    Case(stranded_and_restored, "pro", 1, 300, 1),
)
ON_BOTH = tuple(case for case in CASES if case.act in (four, two, refused_and_then_made, erased_in_doubt))
"""Those that differ most in what they ask of a database."""


def named(case: Case) -> str:
    return f"{case.act.__name__}-{case.plan}"


@each_row("case", CASES, ids=named)
async def test_what_the_provider_bills_is_paid(tmp_path: Path, case: Case) -> None:
    async with open_store("sqlite", tmp_path) as store:
        await _play(store, case)


@pytest.mark.parametrize("case", ON_BOTH, ids=named)
async def test_every_database_keeps_the_same_books(store: Store, case: Case) -> None:
    await _play(store, case)


async def _play(store: Store, case: Case) -> None:
    async with clone_rig(store) as rig:
        voice = await owned_voice(store, plan=case.plan)
        await case.act(rig, voice)
        assert rig.minimax.account.fees == case.billed
        assert await books(rig, voice.account) == Books(case.paid, case.clones, case.billed)
        assert await costs.sum_costs(store, "minimax", 0, is_account=False) == case.billed * 1_500_000
        assert await store.read("SELECT request FROM holds") == []
        checked = await verify(store)
        assert checked.is_clean, checked.contradictions


async def test_workers_at_once_make_no_more_than_the_plan_has(store: Store) -> None:
    async with clouds() as at, AsyncExitStack() as stack, clone_rig(store, at) as rig:
        makers: list[CloneTasks] = [rig.clone_tasks]
        if store.is_shared:
            _, other = await stack.enter_async_context(opened(store, config(at.urls)))
            makers.append(other)
        first = await owned_voice(store, plan="pro")
        voices = [first, *[await owned_voice(store, account=first.account) for _ in range(5)]]
        await asyncio.gather(*(rig.want(voice, payer=KEY) for voice in voices))
        for _ in voices:
            await asyncio.gather(*(clone_tasks.look() for clone_tasks in makers))
            await asyncio.gather(*(clone_tasks.finish() for clone_tasks in makers))
        assert at.minimax.account.fees == 3
        assert await books(rig, first.account) == Books(900, 3, 3)
        assert (await verify(store)).is_clean


async def test_a_hold_that_is_on_disk_is_not_forgotten_by_a_cancel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of the attempt is over between the commit and its answer."""
    keep = counts.store_hold

    async def keep_and_die(store: Store, hold: DurableHold, fence: int, most: int | None) -> bool:
        await keep(store, hold, fence, most)
        raise asyncio.CancelledError

    async with open_store("sqlite", tmp_path) as store, clone_rig(store) as rig:
        voice = await owned_voice(store, plan="short")
        monkeypatch.setattr(counts, "store_hold", keep_and_die)
        id_ = await rig.want(voice, payer=KEY)
        with suppress(asyncio.CancelledError):
            await rig.step()
        owner = await accounts.get(store, voice.account)
        assert owner is not None
        assert await durable_holds.get(store, id_) is not None
        terms = terms_of(config({"minimax": "x", "elevenlabs": "x"}).plans["short"])
        payer = Payer(account=voice.account, key="k", anchor=owner.anchor, terms=terms)
        position = await rig.clone_tasks.bills._ledger.holds.account_state(payer)
        assert position.credits.available == 200 * MICRO
        await rig.clone_tasks.bills.release(await rig.row(id_))


async def test_who_has_lost_the_lease_gives_nothing_back_that_its_next_holder_has(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path) as store, clone_rig(store) as rig:
        rig.providers["minimax"].fail("truncated", path="files/upload")
        id_ = await order(rig, await owned_voice(store, plan="short"))
        late = await rig.row(id_)
        await store.write(Statement("UPDATE bindings SET fence = fence + 1"))
        await rig.clone_tasks.failure_columns(late)
        assert await durable_holds.get(store, id_) is not None
        await rig.clone_tasks.failure_columns(await rig.row(id_))
        assert await durable_holds.get(store, id_) is None
