"""One budget to first audio, shared among candidates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.fallback import share_s


@pytest.mark.parametrize(
    ("left_s", "others", "share"),
    [(9.0, 0, 9.0), (9.0, -1, 9.0), (9.0, 1, 5.4), (9.0, 5, 5.4), (0.0, 1, 0.0)],
)
def test_the_last_one_may_take_all_and_those_before_it_less(left_s: float, others: int, share: float) -> None:
    assert share_s(left_s, others) == pytest.approx(share)


@given(st.floats(0.1, 600.0), st.integers(1, 8))
def test_all_in_turn_never_take_more_than_there_is_and_each_gets_some(budget_s: float, others: int) -> None:
    left_s = budget_s
    for behind in range(others, -1, -1):
        share = share_s(left_s, behind)
        assert share > 0
        left_s -= share
    assert left_s == pytest.approx(0.0, abs=1e-6)
