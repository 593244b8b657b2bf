"""How long until the same provider is asked once more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.backoff import TRIES, retry_delay_s

CHANCE = st.floats(0.0, 1.0)


@pytest.mark.parametrize(
    ("tries", "told_s", "chance", "delay_s"),
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
def test_it_doubles_unless_the_provider_says_when(
    tries: int, told_s: float | None, chance: float, delay_s: float
) -> None:
    assert retry_delay_s(tries, told_s, chance, 60.0) == pytest.approx(delay_s)


@pytest.mark.parametrize("tries", [TRIES, TRIES + 1, 99])
@pytest.mark.parametrize("told_s", [None, 0.1])
def test_after_so_many_tries_there_is_no_other(tries: int, told_s: float | None) -> None:
    assert retry_delay_s(tries, told_s, 0.5, 60.0) is None


@given(st.integers(1, 5), st.none() | st.floats(0.0, 1e6), CHANCE, st.floats(-1.0, 100.0))
def test_it_is_never_longer_than_what_is_left(
    tries: int, told_s: float | None, chance: float, left_s: float
) -> None:
    delay_s = retry_delay_s(tries, told_s, chance, left_s)
    assert delay_s is None or 0 < delay_s < left_s


@given(st.floats(0.001, 50.0), CHANCE)
def test_what_the_provider_told_is_kept_to(told_s: float, chance: float) -> None:
    delay_s = retry_delay_s(1, told_s, chance, 60.0)
    assert delay_s is not None
    assert told_s <= delay_s <= told_s * 1.1
