"""How many clones are under way at once, for whom, and what their failures and their ends do."""

from __future__ import annotations

import asyncio

import pytest

from proxy.features.clones.records import BindingRecord
from proxy.features.clones.rules import State
from proxy.features.clones.under_way import MOST_AT_ONCE, ClonesUnderWay


def record(
    id_: str,
    account: str = "",
    state: State = "wanted",
    engine: str = "cloud",
    credential: str = "default",
) -> BindingRecord:
    return BindingRecord(
        id=id_,
        voice=f"voice_{id_}",
        account=account or f"acc_{id_}",
        revision=1,
        state=state,
        engine=engine,
        credential=credential,
    )


async def test_each_place_has_so_many_clones_and_as_many_deletions() -> None:
    ended: list[None] = []
    clones = ClonesUnderWay(lambda: ended.append(None))
    gate = asyncio.Event()

    async def work() -> None:
        await gate.wait()

    for number in range(MOST_AT_ONCE):
        assert clones.has_place(record(str(number)))
        clones.begin(record(str(number)), work())
    assert not clones.has_place(record("more"))
    assert clones.has_place(record("more", credential="studio"))
    assert clones.has_place(record("more", engine="other"))
    assert clones.has_place(record("more", state="doomed"))
    gate.set()
    await clones.finish()
    assert len(ended) == MOST_AT_ONCE
    assert clones.has_place(record("more"))


async def test_a_row_is_worked_on_once_and_an_account_has_one_clone_made_at_a_place() -> None:
    clones = ClonesUnderWay(lambda: None)
    clones.begin(record("one", "acc", state="doomed"), asyncio.sleep(0))
    assert not clones.has_place(record("one", "acc", state="doomed"))
    assert clones.has_place(record("two", "acc", state="doomed"))
    clones.begin(record("three", "acc"), asyncio.sleep(0))
    assert not clones.has_place(record("four", "acc"))
    assert clones.has_place(record("four", "acc", credential="studio"))
    await clones.finish()
    assert clones.has_place(record("four", "acc"))


async def test_a_failure_of_ours_is_raised_where_the_ended_are_forgotten() -> None:
    clones = ClonesUnderWay(lambda: None)

    async def fail() -> None:
        raise ZeroDivisionError

    ended = clones.ended
    clones.begin(record("one"), fail())
    await ended.wait()
    with pytest.raises(ZeroDivisionError):
        clones.forget_ended()
    clones.forget_ended()
