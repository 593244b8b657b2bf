"""What holds for a request: the plan's word, the account's in its place, and a key that can only do less."""

from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.limits import Caps
from policies.plans import UNLIMITED, AgreedTerms, MissingLimits, Plan, Prices, build_terms, plan_at
from policies.price import FREE, Price
from tests.tables import each_row

LIMITS = ("allowance", "rpm", "streams", "voices", "max_characters")
BASIC = Plan(name="basic", price="$19", allowance=3600, rpm=30, streams=2, voices=20, max_characters=4096)
AGREED_ON = Plan(name="enterprise", price="$180+", **dict.fromkeys(LIMITS, "account"))  # type: ignore[arg-type]
"""Every limit of it is the account's own."""


@each_row("limit", LIMITS)
def test_a_plan_holds_for_its_accounts(limit: str) -> None:
    assert getattr(build_terms(BASIC), limit) == getattr(BASIC, limit)
    assert getattr(build_terms(UNLIMITED), limit) is None


@each_row("limit", LIMITS)
@each_row("plan", [BASIC, AGREED_ON, UNLIMITED])
@each_row("agreed", [0, 7, 10**15])
def test_an_agreement_with_the_account_comes_before_its_plan(plan: Plan, limit: str, agreed: int) -> None:
    every = msgspec.structs.replace(AgreedTerms(**dict.fromkeys(LIMITS, 1)), **{limit: agreed})  # type: ignore[arg-type]
    assert getattr(build_terms(plan, every), limit) == agreed


def test_a_limit_that_nobody_agreed_on_is_named_and_is_not_no_limit() -> None:
    with pytest.raises(MissingLimits) as refused:
        build_terms(AGREED_ON, AgreedTerms(rpm=5, allowance=0))
    assert (refused.value.plan, refused.value.missing) == (
        "enterprise",
        ("streams", "voices", "max_characters"),
    )


def test_a_plan_with_a_price_is_paid() -> None:
    assert (build_terms(BASIC).is_paid, build_terms(UNLIMITED).is_paid) == (True, False)


def test_an_account_that_has_paid_once_is_a_paying_one_on_any_plan() -> None:
    paid, unpaid = build_terms(UNLIMITED, has_paid=True), build_terms(UNLIMITED)
    assert paid == msgspec.structs.replace(unpaid, is_paid=True)


@given(st.integers(0, 2**60), st.integers(0, 2**60))
def test_a_plan_ends_at_its_end_and_not_before(now: int, until: int) -> None:
    assert plan_at(now, "pro", until, "free") == ("pro" if now < until else "free")
    assert plan_at(until - 1, "pro", until, "free") == "pro"
    assert plan_at(until, "pro", until, "free") == "free"
    assert plan_at(now, "pro", None, "free") == "pro"


def test_engines_and_prices_may_be_agreed_on_too() -> None:
    plan = msgspec.structs.replace(BASIC, engines=("espeak",), prices=Prices(speech=Price(60, "minute")))
    own = AgreedTerms(engines=(), prices=Prices(speech=Price(30, "minute")))
    assert (build_terms(plan).engines, build_terms(plan).prices.speech.micro) == (("espeak",), 60)
    assert (build_terms(plan, own).engines, build_terms(plan, own).prices.speech.micro) == ((), 30)


@each_row(("of_account", "of_key", "holds"), [(100, 50, 50), (50, 100, 50), (None, 9, 9), (9, None, 9)])
def test_the_shorter_text_holds(of_account: int | None, of_key: int | None, holds: int) -> None:
    plan = Plan(name="p", max_characters=of_account)
    assert build_terms(plan, caps=Caps(max_characters=of_key)).max_characters == holds


class _Given(NamedTuple):
    plan: Plan
    agreed: AgreedTerms
    caps: Caps


some = st.integers(1, 100)
limits = st.none() | some
given_terms = st.builds(
    _Given,
    st.builds(Plan, name=st.just("p"), **dict.fromkeys(LIMITS, limits | st.just("account"))),
    st.builds(AgreedTerms, **dict.fromkeys(LIMITS, some)),
    st.builds(Caps, rpm=limits, streams=limits, max_characters=limits),
)


@given(given_terms)
def test_a_keys_caps_only_tighten(drawn: _Given) -> None:
    without, capped = build_terms(drawn.plan, drawn.agreed), build_terms(drawn.plan, drawn.agreed, drawn.caps)
    assert capped.key == drawn.caps
    # The account's own limits stay as they are: its other keys are counted by them too.
    assert (capped.rpm, capped.streams, capped.allowance) == (without.rpm, without.streams, without.allowance)
    assert without.max_characters is not None
    assert capped.max_characters is not None
    assert capped.max_characters <= without.max_characters


@given(given_terms)
def test_with_everything_agreed_there_is_always_an_answer(drawn: _Given) -> None:
    found = build_terms(drawn.plan, drawn.agreed)
    assert all(getattr(found, limit) == getattr(drawn.agreed, limit) for limit in LIMITS)


@each_row(
    ("engine", "model", "micro"),
    [("red", "big", 1), ("red", "small", 2), ("blue", "big", 3), ("green", "big", 0)],
)
def test_a_model_costs_what_is_nearest_to_its_name(engine: str, model: str, micro: int) -> None:
    models = {"red/big": Price(1, "minute"), "red": Price(2, "minute"), "green": FREE}
    prices = Prices(speech=Price(3, "minute"), models=models)
    assert prices.speech_price(engine, model).micro == micro


@pytest.mark.parametrize("value", [AgreedTerms(), Caps()])
def test_nothing_agreed_is_written_as_nothing(value: Any) -> None:
    assert msgspec.json.encode(value) == b"{}"
    assert msgspec.json.decode(b"{}", type=type(value)) == value
