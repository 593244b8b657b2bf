"""The headers of requests a minute."""

import re
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from policies.rate import Window, duration_text, retry_after_s, tightest_window
from tests.tables import each_row

_GO = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNITS = {"ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60), "h": Fraction(3600)}


def parsed(text: str) -> Fraction:
    """As Go's time.ParseDuration reads it; OpenAI's clients take nothing else."""
    assert "".join(part.group() for part in _GO.finditer(text)) == text
    return sum((Fraction(number) * _UNITS[unit] for number, unit in _GO.findall(text)), Fraction())


@each_row(
    ("seconds", "text"),
    [
        (-1.0, "0s"),
        (0.0, "0s"),
        (0.0001, "1ms"),
        (0.012, "12ms"),
        (0.9999, "1s"),
        (1.0, "1s"),
        (8.64, "8.64s"),
        (59.999, "59.999s"),
        (59.9999, "1m0s"),
        (60.0, "1m0s"),
        (61.5, "1m1.5s"),
        (360.0, "6m0s"),
    ],
)
def test_a_duration_as_go_writes_it(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@given(st.floats(0, 3600))
def test_a_duration_parses_back_to_the_millisecond_above(seconds: float) -> None:
    above = parsed(duration_text(seconds)) - Fraction(seconds)
    # A float's own last digit may lie on the other side of the millisecond.
    assert -1e-9 < above < 0.001 + 1e-9


@each_row(
    ("seconds", "wait_s"),
    [(-5.0, 1), (0.0, 1), (0.2, 1), (1.0, 1), (1.0001, 2), (59.1, 60), (60.0, 60), (1e9, 60)],
)
def test_when_to_come_again(seconds: float, wait_s: int) -> None:
    assert retry_after_s(seconds) == wait_s


@given(st.floats())
def test_a_client_is_never_told_less_than_a_second_or_more_than_a_minute(seconds: float) -> None:
    wait_s = retry_after_s(seconds)
    assert isinstance(wait_s, int)
    assert 1 <= wait_s <= 60
    assert not 0 < seconds <= 60 or wait_s >= seconds


def test_no_limit_is_no_window() -> None:
    assert tightest_window([]) is None


windows = st.builds(Window, st.integers(1, 100), st.integers(0, 100), st.floats(0, 60))


@given(st.lists(windows, min_size=1, max_size=3))
def test_the_tightest_is_the_one_that_will_refuse_first(of: list[Window]) -> None:
    found = tightest_window(of)
    assert found in of
    assert found.remaining == min(window.remaining for window in of)
