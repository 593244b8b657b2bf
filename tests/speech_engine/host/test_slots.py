"""Slots: who gets a slot, who waits, who is sent away, in cases worked out by hand."""

import pytest

from tests.speech_engine.host.visitors import Crowd, steps
from tests.tables import each_row

pytestmark = pytest.mark.usefixtures("everybody_goes")


@each_row(
    ("arrivals", "order"),
    [
        ("aaaa", "aaaa"),
        ("abc", "abc"),
        ("aaaab", "abaaa"),
        ("aaaabbc", "abcabaa"),
        ("aaabbbccc", "abcabcabc"),
        ("abababab", "abababab"),
    ],
)
async def test_tenants_with_equal_jobs_take_turns_whatever_the_length_of_their_lines(
    arrivals: str, order: str
) -> None:
    crowd = Crowd(slots=1, limit=100)
    for tenant in arrivals:
        crowd.comes(tenant)
        await steps()
    assert "".join(await crowd.order()) == order


async def test_as_many_as_there_are_slots_are_inside() -> None:
    crowd = Crowd(slots=3, limit=100)
    for tenant in "abcde":
        crowd.comes(tenant)
    await steps()
    assert [visitor.tenant for visitor in crowd.inside] == ["a", "b", "c"]
    assert repr(crowd.slots) == "<Slots 3 of 3 running, 2 waiting>"


@each_row(
    ("arrivals", "inside"),
    [
        ("aaaaaaaa", "aaaa"),
        ("aaaaaaaabbc", "aaaabc"),
        ("aaaaabcdeF", "aaaabcF"),
        ("ABCDEFGHI", "ABCDEFGH"),
        ("abcdefghI", "abcdefI"),
    ],
)
async def test_recordings_of_one_account_take_half_of_the_slots_and_long_ones_leave_some_to_short_ones(
    arrivals: str, inside: str
) -> None:
    """Those of a small letter are long."""
    crowd = Crowd(slots=8, limit=100)
    for each in arrivals:
        crowd.comes(each, estimated_s=1800.0 if each.islower() else 5.0, hears=True)
        await steps()
    assert "".join(visitor.tenant for visitor in crowd.inside) == inside
    crowd.comes("speech")
    await steps()
    assert len(crowd.inside) == min(8, len(inside) + 1)
    turns = await crowd.order()
    assert sorted(turns) == sorted([*arrivals, "speech"])


@each_row(("slots", "inside"), [(1, 1), (2, 2), (4, 3), (32, 24)])
async def test_speech_that_is_made_ahead_leaves_slots_to_first_sounds(slots: int, inside: int) -> None:
    crowd = Crowd(slots=slots, limit=100)
    for number in range(40):
        crowd.comes(f"account {number % 5}", urgency="ahead")
    await steps()
    assert len(crowd.inside) == inside
    first = [crowd.comes("account 0") for _ in range(slots - inside)]
    await steps()
    assert all(each.is_inside for each in first)
    crowd.inside[0].leave()
    await steps()
    assert len(crowd.inside) == slots
    assert len(await crowd.order()) == 39 + len(first)


async def test_slots_grow_and_shrink_while_jobs_run() -> None:
    crowd = Crowd(slots=2, limit=100)
    for tenant in "abcdef":
        crowd.comes(tenant)
    await steps()
    crowd.slots.resize(4)
    await steps()
    assert repr(crowd.slots) == "<Slots 4 of 4 running, 2 waiting>"
    crowd.slots.resize(1)
    left = []
    while crowd.inside:
        left.append(crowd.inside[0].tenant)
        crowd.inside[0].leave()
        await steps()
        assert len(crowd.inside) <= max(1, 4 - len(left))
    assert "".join(left) == "abcdef"


@each_row(
    ("waiting", "newcomer", "sent_away"),
    [
        ("aaa", "b", "the last a"),
        ("aab", "b", "the newcomer"),
        ("aab", "c", "the last a"),
        ("abc", "d", "the newcomer"),
        ("aaa", "a", "the newcomer"),
        ("baa", "a", "the newcomer"),
        ("", "a", "the newcomer"),
    ],
)
async def test_a_full_queue_sends_away_the_newest_of_the_tenant_that_floods_it(
    waiting: str, newcomer: str, sent_away: str
) -> None:
    crowd = Crowd(slots=1, limit=len(waiting))
    crowd.comes("z")
    for tenant in waiting:
        crowd.comes(tenant)
    await steps()
    last = crowd.comes(newcomer)
    await steps()
    busy = [visitor for visitor in crowd.all if visitor.end == "EngineBusy"]
    flood = [visitor for visitor in crowd.all[:-1] if visitor.tenant == "a"]
    assert busy == ([last] if sent_away == "the newcomer" else flood[-1:])
    assert len(crowd.waiting) == crowd.slots.waiting == len(waiting)


async def test_a_job_does_not_wait_past_its_deadline() -> None:
    crowd = Crowd(slots=1, limit=10)
    first, late = crowd.comes("a"), crowd.comes("b", deadline_s=0.0)
    await steps()
    assert late.end == "EngineTimeout"
    assert first.is_inside
    assert crowd.slots.waiting == 0


async def test_a_job_that_gives_up_waiting_loses_its_place_only() -> None:
    crowd = Crowd(slots=1, limit=10)
    for tenant in "abac":
        crowd.comes(tenant)
    await steps()
    crowd.all[1].cancel()
    await steps()
    assert crowd.all[1].end == "cancelled"
    assert await crowd.order() == ["a", "c", "a"]
    assert (crowd.slots.running, crowd.slots.waiting) == (0, 0)


async def test_one_cancelled_as_the_slot_is_handed_to_it_passes_it_on() -> None:
    crowd = Crowd(slots=1, limit=10)
    inside, handed, next_ = crowd.comes("a"), crowd.comes("b"), crowd.comes("c")
    await steps()
    inside.leave()
    await steps(1)
    # The slot is the next one's by now, and it does not know yet.
    assert (inside.end, handed.is_inside, crowd.slots.running) == ("left", False, 1)
    handed.cancel()
    await steps()
    assert handed.end == "cancelled"
    assert next_.is_inside
    assert crowd.slots.running == 1


async def test_one_cancelled_in_the_step_in_which_it_would_be_sent_away_just_leaves() -> None:
    crowd = Crowd(slots=1, limit=2)
    crowd.comes("z")
    first, last = crowd.comes("a"), crowd.comes("a")
    await steps()
    newcomer = crowd.comes("b")  # its first step comes before `last` has seen that it is cancelled
    last.cancel()
    await steps()
    assert (first.end, last.end, newcomer.end) == ("", "cancelled", "")
    assert crowd.slots.waiting == 2


async def test_one_cancelled_in_the_step_in_which_a_slot_becomes_free_is_passed_over() -> None:
    crowd = Crowd(slots=1, limit=10)
    inside, gone, next_ = crowd.comes("a"), crowd.comes("b"), crowd.comes("c")
    await steps()
    inside.leave()
    gone.cancel()
    await steps()
    assert (inside.end, gone.end) == ("left", "cancelled")
    assert next_.is_inside
    assert crowd.slots.running == 1
