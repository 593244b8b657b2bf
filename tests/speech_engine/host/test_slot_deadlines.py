"""Slots: whoever would wait in vain is told at once, in seconds worked out by hand."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest

from tests.speech_engine.host.simulated_time import run
from tests.speech_engine.host.visitors import Crowd, Visitor, steps


def in_simulated_time(play: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(play)
    def test(*args: object, **kwargs: object) -> None:
        run(play(*args, **kwargs))

    return test


def told_to_come_back_in_s(visitor: Visitor) -> float:
    assert visitor.end == "EngineBusy"
    assert visitor.retry_after_s is not None
    return round(visitor.retry_after_s, 6)


async def half_as_long_as_its_audio(slots: int = 1, limit: int = 100) -> Crowd:
    """A host that has learnt its pace: 10 s of audio were made in 5."""
    crowd = Crowd(slots, limit)
    first = crowd.comes("z", estimated_s=10.0)
    await asyncio.sleep(5.0)
    first.leave()
    await steps()
    return crowd


@in_simulated_time
async def test_at_first_nobody_is_refused_since_nothing_is_known() -> None:
    crowd = Crowd(slots=1, limit=100)
    for _ in range(20):
        crowd.comes("a", estimated_s=60.0, deadline_s=1.0)
    await steps()
    assert crowd.slots.waiting == 19


@in_simulated_time
async def test_jobs_without_a_sound_tell_that_the_line_is_too_long_before_anything_is_known() -> None:
    crowd = Crowd(slots=2, limit=100)
    for _ in range(2):
        crowd.comes("a", estimated_s=3.0)
    line = [crowd.comes("b", estimated_s=3.0, deadline_s=30.0) for _ in range(14)]
    await asyncio.sleep(9.0)
    # Three seconds have taken nine, so two of the line begin each nine seconds, and the last two in 54.
    assert {visitor.end for visitor in line[:6]} == {""}
    assert {visitor.end for visitor in line[-4:]} == {"EngineBusy"}
    newcomer = crowd.comes("c", estimated_s=3.0, deadline_s=8.0)
    await steps()
    assert newcomer.end == ""  # its account has had nothing, so it is next
    await asyncio.sleep(22.0)
    assert "EngineTimeout" in {visitor.end for visitor in line}, "those that were near the front have waited"


@in_simulated_time
async def test_a_short_text_that_has_no_sound_yet_sends_no_long_text_away() -> None:
    crowd = Crowd(slots=1, limit=100)
    crowd.comes("z", estimated_s=0.5)
    await asyncio.sleep(4.0)
    long = [crowd.comes(account, estimated_s=20.0, deadline_s=30.0) for account in "ab"]
    await asyncio.sleep(2.0)
    assert [visitor.end for visitor in long] == ["", ""]


@in_simulated_time
async def test_short_texts_alone_send_no_long_text_away() -> None:
    crowd = Crowd(slots=1, limit=100)
    for _ in range(30):
        short = crowd.comes("z", estimated_s=0.2)
        await asyncio.sleep(0.1)
        short.leave()
        await steps()
    long = [crowd.comes("a", estimated_s=20.0, deadline_s=9.0) for _ in range(50)]
    await steps()
    assert [visitor.end for visitor in long] == [""] * 50


@in_simulated_time
async def test_a_job_that_cannot_begin_in_time_is_told_at_once_and_when_it_could() -> None:
    crowd = await half_as_long_as_its_audio()
    now = asyncio.get_running_loop().time
    inside, came_at = crowd.comes("a", estimated_s=100.0), now()
    hasty, patient = crowd.comes("b", deadline_s=40.0), crowd.comes("c", deadline_s=51.0)
    await steps()
    assert told_to_come_back_in_s(hasty) == 30.0
    assert now() == came_at
    assert patient.end == ""
    await asyncio.sleep(50.0)
    inside.leave()
    await steps()
    assert patient.is_inside


@in_simulated_time
async def test_a_job_that_comes_back_when_it_was_told_to_is_served() -> None:
    crowd = await half_as_long_as_its_audio()
    inside = [crowd.comes("a", estimated_s=20.0), crowd.comes("b", estimated_s=20.0)]
    await steps()
    refused = crowd.comes("c", deadline_s=9.0)
    await steps()
    retry_after_s = told_to_come_back_in_s(refused)
    assert retry_after_s == 15.5
    await asyncio.sleep(10.0)
    inside[0].leave()
    await asyncio.sleep(retry_after_s - 10.0)
    again = crowd.comes("c", deadline_s=9.0)
    await asyncio.sleep(8.9)
    inside[1].leave()
    await steps()
    assert again.is_inside


@pytest.mark.parametrize(("estimated_s", "retry_after_s"), [(2.2, 1.0), (1000.0, 60.0)])
@in_simulated_time
async def test_when_to_come_back_is_between_a_second_and_a_minute(
    estimated_s: float, retry_after_s: float
) -> None:
    crowd = await half_as_long_as_its_audio()
    crowd.comes("a", estimated_s=estimated_s)
    refused = crowd.comes("b", deadline_s=1.0)
    await steps()
    assert told_to_come_back_in_s(refused) == retry_after_s


@in_simulated_time
async def test_a_free_slot_is_never_refused() -> None:
    crowd = await half_as_long_as_its_audio(slots=2)
    crowd.comes("a", estimated_s=10_000.0)
    impatient = crowd.comes("b", estimated_s=10_000.0, deadline_s=0.0)
    await steps()
    assert impatient.is_inside


@in_simulated_time
async def test_a_line_is_shared_among_the_slots() -> None:
    crowd = await half_as_long_as_its_audio(slots=2)
    for tenant in "abcd":
        crowd.comes(tenant, estimated_s=20.0)
    await steps()
    in_vain, in_time = crowd.comes("e", deadline_s=19.9), crowd.comes("e", deadline_s=20.1)
    await steps()
    assert (in_vain.end, in_time.end) == ("EngineBusy", "")


@in_simulated_time
async def test_only_what_would_go_before_it_counts_against_a_newcomer() -> None:
    crowd = await half_as_long_as_its_audio()
    for _ in range(20):
        crowd.comes("flood", estimated_s=10.0)
    await steps()
    more, other = crowd.comes("flood", deadline_s=9.0), crowd.comes("other", deadline_s=9.0)
    await steps()
    assert told_to_come_back_in_s(more) == 60.0
    assert other.end == ""


@in_simulated_time
async def test_one_in_line_is_told_as_soon_as_it_is_clear_that_it_waits_in_vain() -> None:
    crowd = await half_as_long_as_its_audio()
    inside, next_ = crowd.comes("a", estimated_s=100.0), crowd.comes("b", estimated_s=100.0)
    await steps()
    hasty, patient = crowd.comes("b", deadline_s=120.0), crowd.comes("b", deadline_s=3600.0)
    await asyncio.sleep(75.0)
    assert hasty.end == ""  # 100 s are what was to be expected
    await asyncio.sleep(0.5)
    # The job inside takes more than 75 s, and so will the next.
    assert (next_.end, hasty.end, patient.end) == ("", "EngineBusy", "")
    assert told_to_come_back_in_s(hasty) == 75.25 - 44.75 / 2
    inside.leave()
    await steps()
    assert next_.is_inside
    assert crowd.slots.waiting == 1


@in_simulated_time
async def test_the_past_counts_a_tenth_less_with_each_job() -> None:
    crowd = await half_as_long_as_its_audio()
    slow = crowd.comes("a", estimated_s=100.0)
    await asyncio.sleep(90.1)
    slow.leave()
    await steps()
    crowd.comes("a", estimated_s=50.0)
    refused = crowd.comes("b", deadline_s=10.0)
    await steps()
    assert told_to_come_back_in_s(refused) == round(50 * 94.6 / 109 - 5, 6)


@in_simulated_time
async def test_one_in_line_that_is_only_just_late_keeps_its_place() -> None:
    crowd = await half_as_long_as_its_audio()
    inside, next_ = crowd.comes("a", estimated_s=20.0), crowd.comes("b", estimated_s=80.0)
    await steps()
    waiting = crowd.comes("b", deadline_s=52.0)
    await asyncio.sleep(11.0)
    inside.leave()
    await steps()
    # 41 s are left, and by the pace of the last job it would be 43.
    assert waiting.end == ""
    await asyncio.sleep(40.0)
    next_.leave()
    await steps()
    assert waiting.is_inside


@in_simulated_time
async def test_one_in_line_is_told_at_its_deadline_at_the_latest() -> None:
    crowd = await half_as_long_as_its_audio()
    crowd.comes("a", estimated_s=100.0)
    waiting = crowd.comes("b", deadline_s=51.0)
    await asyncio.sleep(50.9)
    assert waiting.end == ""
    await asyncio.sleep(0.2)
    assert waiting.end == "EngineTimeout"


@in_simulated_time
async def test_the_pace_is_learnt_from_jobs_that_finished_only() -> None:
    crowd = await half_as_long_as_its_audio()
    for _ in range(20):
        left_at_once = crowd.comes("a", estimated_s=1000.0)
        await steps()
        left_at_once.cancel()
        await steps()
    crowd.comes("b", estimated_s=20.0)
    refused = crowd.comes("c", deadline_s=8.0)
    await steps()
    assert told_to_come_back_in_s(refused) == 6.0


@in_simulated_time
async def test_a_full_queue_sends_away_the_newest_of_the_tenant_with_most_seconds() -> None:
    crowd = Crowd(slots=1, limit=5)
    crowd.comes("z")
    waiting = [crowd.comes("a", estimated_s=30.0) for _ in range(2)]
    waiting += [crowd.comes("b", estimated_s=1.0) for _ in range(3)]
    await steps()
    newcomer = crowd.comes("c", estimated_s=1.0)
    await steps()
    assert [visitor.end for visitor in (*waiting, newcomer)] == ["", "EngineBusy", "", "", "", ""]


@in_simulated_time
async def test_one_sent_away_by_a_full_queue_is_told_when_its_turn_would_have_come() -> None:
    crowd = await half_as_long_as_its_audio(limit=2)
    for tenant in "abc":
        crowd.comes(tenant, estimated_s=20.0)
    await steps()
    newcomer = crowd.comes("d", estimated_s=20.0)
    await steps()
    assert told_to_come_back_in_s(newcomer) == 30.0


@in_simulated_time
async def test_one_long_job_is_no_flood() -> None:
    crowd = Crowd(slots=1, limit=5)
    crowd.comes("z")
    waiting = [crowd.comes("a", estimated_s=1.0) for _ in range(5)]
    await steps()
    newcomer = crowd.comes("b", estimated_s=600.0)
    await steps()
    assert (waiting[-1].end, newcomer.end) == ("EngineBusy", "")


@in_simulated_time
async def test_a_larger_share_may_have_more_in_line() -> None:
    crowd = Crowd(slots=1, limit=5)
    crowd.comes("z")
    large = [crowd.comes("large", estimated_s=4.0, share=5.0) for _ in range(3)]
    small = [crowd.comes("small", estimated_s=4.0) for _ in range(2)]
    await steps()
    crowd.comes("c")
    await steps()
    assert [visitor.end for visitor in (*large, *small)] == ["", "", "", "", "EngineBusy"]


@in_simulated_time
async def test_health_tells_the_seconds_in_line() -> None:
    crowd = Crowd(slots=1, limit=5)
    for tenant, seconds in (("a", 7.0), ("a", 3.0), ("b", 2.5)):
        crowd.comes(tenant, estimated_s=seconds)
    await steps()
    health = crowd.slots.health()
    assert (health.slots, health.running, health.waiting, health.waiting_s) == (1, 1, 2, 5.5)


@in_simulated_time
async def test_what_runs_tells_that_a_machine_became_slow_before_anything_has_finished() -> None:
    crowd = await half_as_long_as_its_audio()
    inside = crowd.comes("a", estimated_s=50.0)
    await steps()
    waiting = crowd.comes("b", deadline_s=30.0)
    for _ in range(3):
        await asyncio.sleep(4.0)
        assert waiting.end == ""
        inside.makes(2.0)
    # Six seconds took twelve: another 88 are left.
    hasty, patient = crowd.comes("c", deadline_s=80.0), crowd.comes("c", deadline_s=90.0)
    await steps()
    assert (told_to_come_back_in_s(hasty), patient.end) == (48.0, "")
    await asyncio.sleep(1.0)
    assert told_to_come_back_in_s(waiting) == 60.0


@in_simulated_time
async def test_a_text_that_came_now_is_told_its_wait() -> None:
    crowd = await half_as_long_as_its_audio()
    assert crowd.slots.wait_s() == 0.0
    crowd.comes("a", estimated_s=10.0)
    await asyncio.sleep(2.0)
    assert crowd.slots.wait_s() == pytest.approx(3.0)
    crowd.comes("b", estimated_s=10.0)
    await steps()
    assert crowd.slots.wait_s() == pytest.approx(8.0)
