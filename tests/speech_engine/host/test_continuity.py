"""Who hears what when: the order of steps, the admission without gaps, and both in simulated time."""

from functools import cache
from typing import NamedTuple

import pytest

from bench.continuity import DEADLINE_S, Result, play
from bench.listeners import visits
from speech_engine.host.batch_model import Order, RowWork
from speech_engine.host.continuity import CUSHION_S, IDLE_SHARE, WHOLE_S, Listener, StepOrder
from speech_engine.host.no_gap import Capacity, Demand, demand_of, fits_in_s
from speech_engine.host.step_times import StepTimes
from speech_engine.values import Urgency
from tests.tables import soak

pytestmark = pytest.mark.slow

ENOUGH, MANY = 200, 1_000


class Row(NamedTuple):
    listener: Listener
    segment: int = 0


def listener(urgency: Urgency = "live", requested_at: float = 0.0, **more: float) -> Listener:
    return Listener(urgency, requested_at, 0.3, [RowWork(4.0)] * 2, **more)


def times(floor_s: float = 0.02, row_s: float = 0.001, step_s: float = 0.04) -> StepTimes:
    measured = StepTimes(step_s)
    for step in range(50):
        rows = 1 + step % 16
        measured.learn(rows, floor_s + row_s * rows)
    return measured


def test_steps_are_predicted_for_any_number_of_rows() -> None:
    assert times().seconds(1) == pytest.approx(0.021)
    assert times().seconds(32) == pytest.approx(0.052)
    alike = StepTimes(0.04)
    for _ in range(20):
        alike.learn(4, 0.02)
    assert alike.seconds(8) == pytest.approx(0.02)


def test_a_new_listener_is_due_at_once_and_a_prefetched_part_when_its_turn_comes() -> None:
    assert listener().due_at() == 0.3
    ahead = listener("ahead", plays_in_s=5.0)
    assert ahead.due_at() == 5.0
    ahead.note_sound(0, 1.0, now=0.1)
    assert ahead.due_at() == 6.0


def test_sound_that_was_made_is_heard_at_the_listeners_speed() -> None:
    fast = listener(rate=2.0)
    fast.note_sound(0, 3.0, now=1.0)
    assert fast.due_at() == 1.0 + 1.5
    assert fast.due_at(1) == 1.0 + 2.0
    fast.note_over(0, [True, False])
    assert fast.due_at() == 1.0 + 1.5
    assert fast.left_s == 4.0


def test_a_gap_is_counted_and_the_rest_is_heard_later() -> None:
    late = listener()
    late.note_sound(0, 1.0, now=0.0)
    assert late.dry_s == 0.0
    late.note_sound(0, 1.0, now=1.5)
    assert late.dry_s == pytest.approx(0.5)
    assert late.due_at() == pytest.approx(2.5)


def test_an_answer_in_one_piece_is_due_later_and_nobody_hears_its_gaps() -> None:
    whole = listener("whole")
    assert whole.due_at() == WHOLE_S
    whole.note_sound(0, 1.0, now=0.0)
    whole.note_sound(0, 1.0, now=60.0)
    assert whole.dry_s == 0.0


def test_those_who_run_dry_first_go_first_and_idle_work_takes_what_is_left() -> None:
    rich, poor, new = listener(), listener(), listener(requested_at=1.0)
    rich.note_sound(0, 3.9, now=0.0)
    poor.note_sound(0, 1.5, now=0.0)
    rows = [Row(listener("idle")), Row(rich), Row(poor), Row(new)]
    order = StepOrder("slack", times(floor_s=0.02, row_s=0.0))
    assert rich.due_at() - 1.0 > CUSHION_S
    assert order.choose(rows, [], 2, now=1.0) == [Row(new), Row(poor)]
    assert order.choose(rows, [], 4, now=1.0) == [Row(new), Row(poor), Row(rich), rows[0]]


def test_rows_that_nobody_needs_yet_stay_out_of_a_step_that_they_would_slow_down() -> None:
    rich, new = listener(), listener(requested_at=1.0)
    rich.note_sound(0, 3.9, now=0.0)
    order = StepOrder("slack", times(floor_s=0.0, row_s=0.01))
    assert order.choose([Row(rich), Row(new)], [], 4, now=1.0) == [Row(new)]


def test_idle_work_gets_its_share_of_places_however_much_others_want() -> None:
    order = StepOrder("slack", times())
    idle = Row(listener("idle"))
    rows = [idle, *(Row(listener()) for _ in range(8))]
    group: list[Row] = []
    got = 0
    for _ in range(1_000):
        group = order.choose(rows, group, 4, now=0.0)
        got += idle in group
    print(f"idle work had {got} of {4_000} places")
    assert got >= 0.7 * IDLE_SHARE * 4_000


def test_a_listener_who_would_leave_others_dry_waits_until_that_is_over() -> None:
    capacity = Capacity(times(floor_s=0.04, row_s=0.0), width=4, rows=8, has_idle=False)
    # The model makes nearly four seconds a second.
    three = [Demand(1.0, 10.0, 1.0) for _ in range(3)]
    assert fits_in_s(Demand(0.3, 4.0, 1.0), three[:2], capacity) == 0.0
    four = [*three, Demand(1.0, 5.0, 1.0)]
    later_s = fits_in_s(Demand(0.3, 4.0, 1.0), four, capacity)
    assert 3.0 < later_s < 6.0


def test_the_first_listener_always_fits_and_idle_work_wants_nothing() -> None:
    slow = Capacity(times(floor_s=0.5), width=4, rows=8, has_idle=False)
    assert fits_in_s(Demand(0.3, 60.0, 1.0), [], slow) == 0.0
    assert demand_of(listener("idle"), 0.0, slow) is None


def test_what_follows_a_part_is_wanted_once_and_nothing_before_its_time() -> None:
    part, capacity = listener(follows_s=3.0), Capacity(times(), 4, 8, has_idle=False)
    assert [demand_of(part, 0.0, capacity, is_last=last) for last in (True, False)] == [
        Demand(0.3, 11.0, 1.0),
        Demand(0.3, 8.0, 1.0),
    ]
    assert Demand(5.0, 10.0, 1.0).due_until(1.0) == 0.0


@cache
def _played(order: Order, load: float, count: int) -> Result:
    return play(order, load, count)


@pytest.mark.parametrize(
    ("load", "count"), [(0.9, ENOUGH), (1.1, ENOUGH), *soak((0.7, MANY), (0.9, MANY), (1.1, MANY))]
)
def test_what_is_admitted_is_heard_without_a_gap_fairly_and_by_all(load: float, count: int) -> None:
    """Five accounts, one in seven listeners with a buffered client, beside a job of 1,000 idle rows."""
    ours = _played("slack", load, count)
    print(load, ours)
    assert ours.smooth >= 0.99
    # Of a few hundred, one account's longest answer more or less is a hundredth.
    assert ours.fairness >= (0.97 if count < 1_000 else 0.99)
    # Beyond what the model makes, some are told so at once. No account is.
    assert ours.served >= (0.98 if load < 1.0 else 0.8)
    # Of forty requests of an account, two more or less are a twentieth.
    assert ours.least_served >= ((0.95 if count >= 1_000 else 0.9) if load < 1.0 else 0.6)
    assert ours.first_audio_max_s <= DEADLINE_S
    assert ours.idle >= 0.5 * IDLE_SHARE


@pytest.mark.parametrize("count", [ENOUGH, *soak(MANY)])
def test_a_first_sound_comes_in_a_third_of_the_time_that_it_takes_in_turn(count: int) -> None:
    ours, fifo = _played("slack", 0.9, count), _played("fifo", 0.9, count)
    print(fifo, ours, sep="\n")
    assert ours.first_audio_p95_s <= 0.3 * fifo.first_audio_p95_s


def test_the_simulated_load_is_what_it_says() -> None:
    drawn = visits(20.0, 2_000)
    wanted_s = sum(visit.length_s * visit.parts for visit in drawn)
    assert wanted_s / drawn[-1].at_s == pytest.approx(20.0, rel=0.1)
