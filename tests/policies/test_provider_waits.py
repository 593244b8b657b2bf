"""How long a provider is waited for: its pace, a retry, and the first audio."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import provider_waits
from tests.tables import each_row

CHANCE = st.floats(0.0, 1.0)


@each_row(
    ("tries", "retry_after_s", "chance", "delay_s"),
    [
        (1, None, 0.0, 0.2),
        (1, None, 1.0, 0.1),
        (2, None, 0.0, 0.4),
        (2, None, 0.5, 0.3),
        (1, 2.0, 0.0, 2.0),
        (1, 2.0, 1.0, 2.2),
        (2, 0.05, 0.0, 0.05),
        (1, 0.0, 0.0, 0.2),
        (1, -3.0, 0.0, 0.2),
    ],
)
def test_the_delay_of_a_retry_doubles_unless_the_provider_says_when(
    tries: int, retry_after_s: float | None, chance: float, delay_s: float
) -> None:
    assert provider_waits.retry_delay_s(tries, retry_after_s, chance, 60.0) == pytest.approx(delay_s)


@each_row("tries", [provider_waits.MOST_TRIES, provider_waits.MOST_TRIES + 1, 99])
@each_row("retry_after_s", [None, 0.1])
def test_after_so_many_tries_there_is_no_other(tries: int, retry_after_s: float | None) -> None:
    assert provider_waits.retry_delay_s(tries, retry_after_s, 0.5, 60.0) is None


@given(st.integers(1, 5), st.none() | st.floats(0.0, 1e6), CHANCE, st.floats(-1.0, 100.0))
def test_a_delay_is_never_longer_than_what_is_left(
    tries: int, retry_after_s: float | None, chance: float, left_s: float
) -> None:
    delay_s = provider_waits.retry_delay_s(tries, retry_after_s, chance, left_s)
    assert delay_s is None or 0 < delay_s < left_s


@given(st.floats(0.001, 50.0), CHANCE)
def test_a_retry_waits_as_long_as_the_provider_says(retry_after_s: float, chance: float) -> None:
    delay_s = provider_waits.retry_delay_s(1, retry_after_s, chance, 60.0)
    assert delay_s is not None
    assert retry_after_s <= delay_s <= retry_after_s * 1.1


@each_row(
    ("sent", "most", "now", "wait"),
    [
        ([], 1, 100.0, 0.0),
        ([100.0], 1, 100.0, 60.0),
        ([100.0], 1, 130.0, 30.0),
        ([100.0], 1, 160.0, 0.0),
        ([100.0], 1, 500.0, 0.0),
        ([100.0], 2, 100.0, 0.0),
        ([100.0, 110.0], 2, 120.0, 40.0),
        ([10.0, 100.0, 110.0], 2, 120.0, 40.0),
        ([10.0, 100.0], 2, 120.0, 0.0),
    ],
)
def test_the_oldest_of_the_last_ones_must_have_left_the_window(
    sent: list[float], most: int, now: float, wait: float
) -> None:
    assert provider_waits.pace_wait_s(sent, most, now) == wait


@given(st.integers(1, 5), st.lists(st.floats(0.0, 40.0), max_size=60))
def test_a_sender_that_waits_that_long_never_sends_too_many_in_any_minute(
    most: int, pauses: list[float]
) -> None:
    sent: deque[float] = deque(maxlen=most)
    every, now = [], 0.0
    for pause in pauses:
        now += pause
        while (wait := provider_waits.pace_wait_s(sent, most, now)) > 0:
            now += wait
        sent.append(now)
        every.append(now)
    for first, last in zip(every, every[most:], strict=False):
        assert last - first >= provider_waits.WINDOW_S - 1e-6


@given(st.integers(1, 5), st.lists(st.floats(0.0, 40.0), min_size=1, max_size=30))
def test_a_request_does_not_wait_while_there_is_room(most: int, pauses: list[float]) -> None:
    moments, now = [], 0.0
    for pause in pauses:
        now += pause
        moments.append(now)
    in_window = sum(moment > now - provider_waits.WINDOW_S for moment in moments)
    if in_window < most:
        assert provider_waits.pace_wait_s(moments, most, now) == 0.0


@each_row(
    ("left_s", "others", "share"),
    [(9.0, 0, 9.0), (9.0, -1, 9.0), (9.0, 1, 5.4), (9.0, 5, 5.4), (0.0, 1, 0.0)],
)
def test_the_last_candidate_may_take_all_and_those_before_it_less(
    left_s: float, others: int, share: float
) -> None:
    assert provider_waits.first_audio_share_s(left_s, others) == pytest.approx(share)


@each_row(
    ("first_bytes_s", "sound_s", "bound_s"),
    [
        ((), 1.0, 6.0),
        ((0.2,) * 16, 1.0, 3.0),
        ((1.5,) * 16, 1.0, 4.5),
        ((5.0,) * 16, 1.0, 6.0),
        ((0.2,) * 61 + (2.0,) * 3, 1.0, 3.0),
        ((0.2,) * 60 + (1.9,) * 4, 1.0, 5.7),
        ((0.2,) * 16, 22.0, 4.4),
        ((1.5,) * 16, 22.0, 4.5),
        ((0.2,) * 16, 60.0, 6.0),
    ],
)
def test_a_provider_may_be_silent_for_three_times_its_p95_within_limits(
    first_bytes_s: tuple[float, ...], sound_s: float, bound_s: float
) -> None:
    assert provider_waits.silent_s(first_bytes_s, sound_s) == pytest.approx(bound_s)


@given(st.floats(0.1, 600.0), st.integers(1, 8))
def test_all_in_turn_never_take_more_than_there_is_and_each_gets_some(budget_s: float, others: int) -> None:
    left_s = budget_s
    for behind in range(others, -1, -1):
        share = provider_waits.first_audio_share_s(left_s, behind)
        assert share > 0
        left_s -= share
    assert left_s == pytest.approx(0.0, abs=1e-6)


@each_row(("sound_s", "more_s"), [(0.0, 0.0), (10.0, 2.5), (300.0, 75.0), (7200.0, 90.0)])
def test_a_sound_that_is_heard_to_its_end_first_gives_more_time_up_to_a_bound(
    sound_s: float, more_s: float
) -> None:
    assert provider_waits.hearing_s(sound_s) == pytest.approx(more_s)


@each_row(
    ("misses", "late"),
    [
        ((), False),
        ((100.0,), False),
        ((40.0, 100.0), False),
        ((40.1, 100.0), True),
        ((1.0, 99.0, 100.0), True),
    ],
)
def test_two_misses_within_a_minute_make_an_engine_late(misses: tuple[float, ...], late: bool) -> None:
    assert provider_waits.is_late(misses, 100.0) is late
