"""A charge is for what was written, rounded once and upwards; its estimate is on hold before."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from policies.plans import Minutes, Plan, Prices, minutes_for_credits
from policies.price import (
    FREE,
    MICRO,
    Price,
    PricedPart,
    estimate_charge,
    in_credits,
    total_charge,
)
from tests.tables import each_row

SECOND = Price(60 * MICRO, "minute")
"""A credit a second, as the shipped plans have it."""

prices = st.builds(Price, st.integers(0, 10**12), st.just("minute"))
rates = st.sampled_from([8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
lengths = st.integers(0, 48_000 * 3600)


def charge(price: Price, *, samples: int, rate_hz: int, characters: int) -> int:
    return total_charge((PricedPart(price, samples, characters),), rate_hz)


@each_row(
    ("price", "samples", "rate_hz", "characters", "micro"),
    [
        (SECOND, 24_000, 24_000, 5, 1_000_000),
        (SECOND, 1, 24_000, 5, 42),
        (SECOND, 22_050 * 90, 22_050, 5, 90 * MICRO),
        (Price(10 * MICRO, "minute"), 24_000 * 6, 24_000, 5, 1_000_000),
        (Price(10 * MICRO, "minute"), 1, 48_000, 5, 4),
        (Price(1, "minute"), 1, 48_000, 5, 1),
        (Price(500, "character"), 1, 24_000, 4096, 500 * 4096),
        (Price(50 * MICRO, "job"), 1, 24_000, 4096, 50 * MICRO),
        (FREE, 24_000, 24_000, 5, 0),
    ],
)
def test_a_charge_follows_the_price(
    price: Price, samples: int, rate_hz: int, characters: int, micro: int
) -> None:
    assert charge(price, samples=samples, rate_hz=rate_hz, characters=characters) == micro


@each_row("price", [SECOND, Price(500, "character"), Price(MICRO, "job")])
@each_row("samples", [0, -1])
def test_a_request_of_which_nothing_was_written_costs_nothing(price: Price, samples: int) -> None:
    assert charge(price, samples=samples, rate_hz=24_000, characters=9) == 0


@given(prices, lengths, rates)
def test_a_charge_is_rounded_up_by_less_than_one_micro_credit(
    price: Price, samples: int, rate_hz: int
) -> None:
    charged = charge(price, samples=samples, rate_hz=rate_hz, characters=1)
    assert 0 <= charged - Fraction(samples * price.micro, 60 * rate_hz) < 1


@given(prices, lengths, lengths, rates)
def test_more_never_costs_less(price: Price, one: int, other: int, rate_hz: int) -> None:
    less, more = sorted((one, other))
    assert charge(price, samples=less, rate_hz=rate_hz, characters=1) <= charge(
        price, samples=more, rate_hz=rate_hz, characters=1
    )


@given(prices, lengths, lengths, rates)
def test_one_request_or_two_is_the_same_to_a_micro_credit(
    price: Price, one: int, other: int, rate_hz: int
) -> None:
    def costs(samples: int) -> int:
        return charge(price, samples=samples, rate_hz=rate_hz, characters=1)

    assert costs(one + other) <= costs(one) + costs(other) <= costs(one + other) + 1


@given(prices, lengths, rates)
def test_the_rate_of_an_encoder_makes_no_price(price: Price, milliseconds: int, rate_hz: int) -> None:
    at_1_khz = charge(price, samples=milliseconds, rate_hz=1000, characters=1)
    again = charge(price, samples=milliseconds * rate_hz, rate_hz=1000 * rate_hz, characters=1)
    assert again == at_1_khz


@each_row(
    ("price", "estimated_s", "micro"),
    [
        (SECOND, 1.5, 1_500_000),
        (SECOND, 0.0, 1),
        (Price(10 * MICRO, "minute"), 6.0, MICRO),
        (Price(500, "character"), 1.5, 500 * 9),
        (Price(MICRO, "job"), 1.5, MICRO),
        (FREE, 1.5, 0),
    ],
)
def test_an_estimate_is_held_ahead(price: Price, estimated_s: float, micro: int) -> None:
    assert estimate_charge(price, estimated_s=estimated_s, characters=9) == micro


@given(
    st.integers(0, 10**9), st.sampled_from(["character", "job"]), st.integers(1, 4096), st.integers(1, 10**9)
)
def test_by_character_and_by_job_the_hold_is_the_charge(
    micro: int, per: str, characters: int, samples: int
) -> None:
    price = Price(micro, per)  # type: ignore[arg-type]  # one of the two, drawn as text
    hold = estimate_charge(price, estimated_s=samples / 24_000, characters=characters)
    assert hold == charge(price, samples=samples, rate_hz=24_000, characters=characters)


@given(st.integers(1, 3600), prices)
def test_by_the_minute_a_true_estimate_holds_enough(seconds: int, price: Price) -> None:
    hold = estimate_charge(price, estimated_s=float(seconds), characters=1)
    assert hold >= charge(price, samples=seconds * 24_000, rate_hz=24_000, characters=1)


@each_row(
    ("micro", "text"),
    [(0, "0"), (1, "0.000001"), (600 * MICRO, "600"), (1_500_000, "1.5"), (-250_000, "-0.25")],
)
def test_micro_credits_as_people_write_them(micro: int, text: str) -> None:
    assert in_credits(micro) == text


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_written_amount_is_exact(micro: int) -> None:
    assert Fraction(in_credits(micro)) * MICRO == micro


A_CHARACTER = Price(4_000, "character")
CLOUD = {"cloud/a": Price(120 * MICRO, "minute")}


@each_row(
    ("credits", "prices", "engines", "minutes"),
    [
        (600, Prices(speech=SECOND), None, Minutes(10, False)),
        (0, Prices(speech=SECOND), None, Minutes(0, False)),
        (-5, Prices(speech=SECOND), None, Minutes(0, False)),
        (100, Prices(speech=SECOND), None, Minutes(1.67, False)),
        (None, Prices(speech=SECOND), None, None),
        (600, Prices(), None, None),
        (600, Prices(speech=Price(MICRO, "job")), None, None),
        (36, Prices(speech=A_CHARACTER), None, Minutes(10, True)),
        (600, Prices(speech=SECOND, models={"cloud/a": SECOND}), None, Minutes(10, False)),
        (600, Prices(speech=SECOND, models=CLOUD), None, Minutes(5, True)),
        (600, Prices(speech=SECOND, models={"espeak": FREE}), None, Minutes(10, True)),
        (600, Prices(speech=SECOND, models={"cloud": FREE}), None, None),
        (600, Prices(speech=SECOND, models=CLOUD), ("espeak",), Minutes(10, True)),
        (600, Prices(speech=SECOND, models=CLOUD), ("other",), Minutes(10, True)),
    ],
)
def test_credits_are_shown_as_minutes(
    credits: int | None, prices: Prices, engines: tuple[str, ...] | None, minutes: Minutes | None
) -> None:
    plan = Plan(name="p", prices=prices, engines=engines)
    micro = None if credits is None else credits * MICRO
    assert minutes_for_credits(micro, plan, ["cloud/a", "espeak/standard"]) == minutes


@given(st.integers(0, 10**12), st.integers(1, 10**9))
def test_minutes_by_time_are_what_speech_of_that_length_costs(micro: int, price: int) -> None:
    found = minutes_for_credits(micro, Plan(name="p", prices=Prices(speech=Price(price, "minute"))))
    assert found is not None
    assert abs(found.number - micro / price) <= 0.005 + 1e-9 * found.number
