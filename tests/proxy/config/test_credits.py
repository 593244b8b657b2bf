"""Credits at the edge: exact both ways, and never rounded in silence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.price import in_credits
from proxy.config.credits import to_credits, to_micro_credits
from tests.tables import each_row


@given(st.integers(-(10**15), 10**15))
def test_any_amount_survives_the_way_to_a_client_and_back(amount: int) -> None:
    assert to_micro_credits(json.loads(json.dumps(to_credits(amount)))) == amount


@given(st.integers(-(10**12), 10**12))
def test_json_has_the_digits_that_people_read(amount: int) -> None:
    shown = json.dumps(to_credits(amount))
    assert shown == in_credits(amount) or float(shown) == float(in_credits(amount)) != 0


@each_row("credits", [0.0000001, 1.1234567, 0.1 + 0.2])
def test_more_than_six_decimals_are_refused(credits: float) -> None:
    with pytest.raises(ValueError):
        to_micro_credits(credits)


@each_row(("credits", "amount"), [(0.1, 100_000), (19, 19_000_000), (-0.000001, -1), (1e9, 10**15)])
def test_credits_are_whole_micro_credits(credits: float, amount: int) -> None:
    assert to_micro_credits(credits) == amount
