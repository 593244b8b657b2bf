"""When a host counts as frozen, when a crashed one comes back, and when it is left down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.host_health import (
    CRASH_WINDOW_S,
    LONGEST_DELAY_S,
    MOST_CRASHES,
    Crash,
    is_frozen,
    is_idle,
    restart_delay_s,
)
from tests.tables import each_row

CRASHES_IN_ORDER = st.lists(
    # Deaths while it loads are counted otherwise, and have tests of their own.
    st.builds(Crash, st.floats(0.0, 200.0), st.booleans(), st.just(False)),
    min_size=1,
    max_size=20,
).map(sorted)


@each_row(
    ("ages", "delay_s"),
    [
        ([0.0], 0.0),
        ([10.0, 0.0], 0.1),
        ([20.0, 10.0, 0.0], 0.4),
        ([30.0, 20.0, 10.0, 0.0], 1.6),
        ([40.0, 30.0, 20.0, 10.0, 0.0], None),
        ([60.0, 30.0, 20.0, 10.0, 0.0], 1.6),
        ([600.0, 500.0, 400.0, 300.0, 200.0, 100.0, 0.0], 0.0),
    ],
)
def test_delays_by_the_crashes_of_the_last_minute(ages: list[float], delay_s: float | None) -> None:
    now = 1_000.0
    assert restart_delay_s([Crash(now - age) for age in ages], now) == pytest.approx(delay_s)


@given(CRASHES_IN_ORDER)
def test_a_host_is_given_up_exactly_at_the_fifth_crash_without_work_within_a_minute(
    crashes: list[Crash],
) -> None:
    now = crashes[-1].at
    idle = [crash for crash in crashes if now - crash.at < CRASH_WINDOW_S and not crash.was_busy]
    is_last = len(idle) >= MOST_CRASHES and not crashes[-1].was_busy
    assert (restart_delay_s(crashes, now) is None) == is_last


def test_five_deaths_in_loading_are_enough_however_long_each_took() -> None:
    deaths = [Crash(30.0 * number, was_loading=True) for number in range(1, MOST_CRASHES + 1)]
    for number in range(1, MOST_CRASHES):
        assert restart_delay_s(deaths[:number], deaths[number - 1].at) is not None
    assert restart_delay_s(deaths, deaths[-1].at) is None
    slow = [Crash(600.0 * number, was_loading=True) for number in range(1, MOST_CRASHES + 1)]
    assert restart_delay_s(slow, slow[-1].at) is None
    # Whoever was ready in between has loaded: its deaths count by the minute.
    served = [*deaths[:2], Crash(75.0), *deaths[3:]]
    assert restart_delay_s(served, deaths[-1].at) is not None


def test_a_host_that_dies_of_its_work_is_started_for_ever() -> None:
    crashes = [Crash(float(second), was_busy=True) for second in range(100)]
    assert restart_delay_s(crashes, 99.0) == LONGEST_DELAY_S


@given(CRASHES_IN_ORDER)
def test_a_delay_never_shrinks_with_more_crashes_nor_grows_past_its_cap(crashes: list[Crash]) -> None:
    now = crashes[-1].at
    delay_s = restart_delay_s(crashes, now)
    fewer_s = restart_delay_s(crashes[1:] or crashes, now)
    if delay_s is not None:
        assert fewer_s is not None
        assert 0.0 <= fewer_s <= delay_s <= LONGEST_DELAY_S


@each_row(
    ("working", "silent_s", "frozen"),
    [(0, 100.0, False), (1, 4.9, False), (1, 5.0, False), (1, 5.1, True), (16, 60.0, True)],
)
def test_silence_counts_only_with_work_in_hand(working: int, silent_s: float, frozen: bool) -> None:
    assert is_frozen(working, 100.0, 100.0 + silent_s, limit_s=5.0) is frozen


@each_row(
    ("jobs", "quiet_s", "limit_s", "idle"),
    [(0, 60.0, 60.0, True), (0, 59.0, 60.0, False), (1, 600.0, 60.0, False), (0, 1e9, 0.0, False)],
)
def test_a_host_is_idle_after_its_time_without_a_job(
    jobs: int, quiet_s: float, limit_s: float, idle: bool
) -> None:
    assert is_idle(jobs, 100.0, 100.0 + quiet_s, limit_s) is idle
