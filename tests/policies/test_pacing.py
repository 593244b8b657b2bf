"""So many requests a minute, and never one more in any minute."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.pacing import WINDOW_S, wait_s


@pytest.mark.parametrize(
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
    assert wait_s(sent, most, now) == wait


@given(st.integers(1, 5), st.lists(st.floats(0.0, 40.0), max_size=60))
def test_a_sender_that_waits_as_told_never_sends_too_many_in_any_minute(
    most: int, pauses: list[float]
) -> None:
    sent: deque[float] = deque(maxlen=most)
    every, now = [], 0.0
    for pause in pauses:
        now += pause
        while (wait := wait_s(sent, most, now)) > 0:
            now += wait
        sent.append(now)
        every.append(now)
    for first, last in zip(every, every[most:], strict=False):
        assert last - first >= WINDOW_S - 1e-6


@given(st.integers(1, 5), st.lists(st.floats(0.0, 40.0), min_size=1, max_size=30))
def test_nobody_waits_while_there_is_room(most: int, pauses: list[float]) -> None:
    moments, now = [], 0.0
    for pause in pauses:
        now += pause
        moments.append(now)
    in_window = sum(moment > now - WINDOW_S for moment in moments)
    if in_window < most:
        assert wait_s(moments, most, now) == 0.0
