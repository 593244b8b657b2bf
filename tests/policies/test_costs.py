"""What a provider takes, in millionths of a US dollar."""

from hypothesis import given
from hypothesis import strategies as st

from policies.price import PerUnit, Rate, cost_micro_usd
from tests.tables import each_row


@each_row(
    ("rate", "micro"),
    [
        (Rate(0.1, "hour"), 2_500),
        (Rate(0.06, "minute"), 90_000),
        (Rate(0.001, "second"), 90_000),
        (Rate(0.00003, "character"), 6_000),
        (Rate(0.00003, "unit"), 9_000),
        (Rate(0.5, "job"), 500_000),
        (Rate(0.0, "job"), 0),
    ],
)
def test_an_attempt_costs_its_rate(rate: Rate, micro: int) -> None:
    assert cost_micro_usd(rate, seconds=90.0, characters=200, units=300.0) == micro


@each_row(("units", "micro"), [(None, 2_000_000), (0.0, 0), (7.5, 75_000)])
def test_a_unit_that_nobody_counted_is_a_character(units: float | None, micro: int) -> None:
    assert cost_micro_usd(Rate(0.01, "unit"), seconds=1.0, characters=200, units=units) == micro


@given(
    st.floats(0, 100),
    st.sampled_from(["second", "minute", "hour"]),
    st.floats(0, 7200),
    st.floats(0, 7200),
)
def test_more_time_never_costs_less_and_text_makes_no_difference(
    usd: float, per: PerUnit, one: float, other: float
) -> None:
    less, more = (
        cost_micro_usd(Rate(usd, per), seconds=seconds, characters=n, units=None)
        for n, seconds in enumerate(sorted((one, other)))
    )
    assert 0 <= less <= more
