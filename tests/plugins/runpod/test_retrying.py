"""When a request goes out again. What may have begun something never does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.runpod.api import MOST_PAUSE_S, MOST_TRIES, may_repeat, pause_s
from speech_engine import EngineError, EngineFailed, EngineTimeout, EngineUnavailable
from tests.tables import each_row

_DICE = st.floats(0, 1)


@each_row(
    ("outcome", "safe", "unsafe"),
    [
        (EngineUnavailable("no connection"), True, True),
        (EngineTimeout("no answer"), False, False),
        (EngineFailed("cut off"), True, False),
        (408, True, False),
        (429, True, False),
        (500, True, False),
        (502, True, False),
        (599, True, False),
        (200, False, False),
        (400, False, False),
        (401, False, False),
        (404, False, False),
        (409, False, False),
    ],
)
def test_what_is_sent_again(outcome: int | EngineError, safe: bool, unsafe: bool) -> None:
    assert may_repeat(outcome, is_safe=True) is safe
    assert may_repeat(outcome, is_safe=False) is unsafe


@given(st.integers(100, 599))
def test_an_answer_is_never_a_reason_to_begin_something_again(status: int) -> None:
    assert not may_repeat(status, is_safe=False)


@given(_DICE)
def test_pauses_grow_and_end(dice: float) -> None:
    pauses = [pause_s(tries, dice, {}) for tries in range(1, MOST_TRIES + 1)]
    assert pauses[-1] is None
    grown = [pause for pause in pauses[:-1] if pause is not None]
    assert len(grown) == MOST_TRIES - 1
    assert grown == sorted(set(grown))
    assert sum(grown) < 10


def test_callers_that_failed_together_come_back_apart() -> None:
    assert pause_s(1, 0.0, {}) != pause_s(1, 1.0, {})


@given(_DICE, st.integers(1, MOST_TRIES - 1), st.floats(0, MOST_PAUSE_S))
def test_nobody_comes_back_before_retry_after(dice: float, tries: int, asked_s: float) -> None:
    pause = pause_s(tries, dice, {"retry-after": f"{asked_s}"})
    assert pause is not None
    assert pause >= asked_s


@pytest.mark.parametrize("told", ["11", "3600"])
def test_a_long_wait_is_the_callers(told: str) -> None:
    assert pause_s(1, 0.0, {"retry-after": told}) is None


@each_row("told", ["", "soon", "nan", "inf", "-1", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_header_that_says_nothing_changes_nothing(told: str) -> None:
    assert pause_s(1, 0.5, {"retry-after": told}) == pause_s(1, 0.5, {})
