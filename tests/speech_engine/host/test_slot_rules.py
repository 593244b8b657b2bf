"""Slots: what always holds, in whatever order they come, leave and give up, even within one step."""

import asyncio
from typing import Literal, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.speech_engine.host.visitors import Crowd, steps


class Move(NamedTuple):
    kind: Literal["comes", "comes alone", "leaves", "cancels", "steps"]
    tenant: str
    number: int


MOVES = st.lists(
    st.builds(
        Move,
        st.sampled_from(["comes", "comes", "comes alone", "leaves", "cancels", "steps"]),
        st.sampled_from("abc"),
        st.integers(0, 30),
    ),
    max_size=40,
)


def _move(crowd: Crowd, move: Move) -> int:
    """Makes it, as far as there is somebody to make it; the steps to let pass."""
    match move.kind:
        case "comes":
            crowd.comes(move.tenant)
        case "comes alone":
            crowd.comes(move.tenant, runs_alone=True)
        case "leaves" if crowd.inside:
            crowd.inside[move.number % len(crowd.inside)].leave()
        case "cancels" if crowd.all:
            crowd.all[move.number % len(crowd.all)].cancel()
        case "steps":
            return 1 + move.number % 3
    return 0


def _assert_in_order(crowd: Crowd) -> None:
    """What must be true whenever nothing is about to happen by itself."""
    slots = crowd.slots
    assert slots.running == len(crowd.inside) <= slots.count
    assert slots.waiting == len(crowd.waiting) <= slots.limit + (slots._next_alone is not None)
    is_alone = any(visitor.runs_alone for visitor in crowd.inside)
    assert not is_alone or slots.running == 1
    waits_for_all = slots.running > 0 and any(visitor.runs_alone for visitor in crowd.waiting)
    is_full = slots.running == slots.count or is_alone or waits_for_all
    assert not crowd.waiting or is_full, "a slot is free while somebody waits"


@given(slots=st.integers(1, 3), limit=st.integers(0, 5), moves=MOVES)
@settings(max_examples=150, deadline=None)
def test_slots_are_never_overfilled_nor_lost(slots: int, limit: int, moves: list[Move]) -> None:
    async def play() -> None:
        crowd = Crowd(slots, limit)
        for move in moves:
            await steps(_move(crowd, move))
            assert len(crowd.inside) <= slots
            assert len(crowd.inside) <= 1 or not any(visitor.runs_alone for visitor in crowd.inside)
        await steps()
        _assert_in_order(crowd)
        await crowd.order()
        _assert_in_order(crowd)
        assert not crowd.waiting
        assert {visitor.end for visitor in crowd.all} <= {"left", "cancelled", "EngineBusy"}

    asyncio.run(play())


@given(arrivals=st.text("abcd", min_size=1, max_size=30))
@settings(deadline=None)
def test_a_tenant_has_no_second_turn_before_everyone_waiting_has_had_one(arrivals: str) -> None:
    async def play() -> None:
        crowd = Crowd(slots=1, limit=100)
        crowd.comes("z")
        for tenant in arrivals:
            crowd.comes(tenant)
        await steps()
        turns = await crowd.order()
        assert turns[0] == "z"
        rounds = [turns[: place + 1].count(tenant) for place, tenant in enumerate(turns)][1:]
        assert rounds == sorted(rounds)
        assert sorted(turns[1:]) == sorted(arrivals)

    asyncio.run(play())


@given(moves=MOVES)
@settings(deadline=None)
def test_the_tenant_that_was_sent_away_had_the_longest_line(moves: list[Move]) -> None:
    """The flood's newest loses, so that one account's flood cannot shut the others out."""

    async def play() -> None:
        crowd = Crowd(slots=1, limit=3)
        for move in moves:
            before = {visitor: visitor.end for visitor in crowd.all}
            lines = [visitor.tenant for visitor in crowd.waiting]
            _move(crowd, move)
            await steps()
            for visitor in crowd.all:
                if visitor.end == "EngineBusy" and before.get(visitor) != "EngineBusy":
                    longest = max(lines.count(tenant) for tenant in lines)
                    joined = visitor not in before
                    assert lines.count(visitor.tenant) + joined >= longest

    asyncio.run(play())
