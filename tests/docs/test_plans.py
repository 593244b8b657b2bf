"""docs/plans.md: every number there is what the policies come to."""

import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from policies import estimate
from policies.admission import CreditBalance, Live, Refusal, Split, admit, split
from policies.cycles import cycle_at
from policies.limits import Caps
from policies.plans import Plan, terms
from policies.price import MICRO, Price, PricedPart, estimate_charge, in_credits, total
from proxy.feature_list import load_config
from tests.docs import pages
from tests.tables import each_row

_PAGE = pages.doc("plans.md")
_RATE_HZ = 24_000
_LETTERS = {"English": "a", "Thai": "ก", "Chinese": "語"}


def table(heading: str) -> list[list[str]]:
    rows = pages.rows(pages.section(_PAGE, heading))
    assert rows
    return rows


def price(text: str) -> Price:
    amount, unit = text.split(" per ")
    micro = int(Decimal(amount) * MICRO)
    if unit == "second":
        return Price(micro * 60, "minute")
    return Price(micro, unit)  # type: ignore[arg-type]  # the page's word, which msgspec would refuse as little


def micros(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * MICRO


def shown(limit: int | str | None) -> str:
    return "no limit" if limit is None else "per account" if limit == "account" else str(limit)


def test_the_plans_are_the_shipped_ones() -> None:
    shipped = load_config(pages.ROOT / "config.toml", {}).plans
    assert [
        [
            f"`{plan.name}`",
            plan.price or "none",
            in_credits(plan.allowance) if isinstance(plan.allowance, int) else shown(plan.allowance),
            *map(shown, (plan.rpm, plan.streams, plan.voices, plan.clones)),
        ]
        for plan in shipped.values()
    ] == table("Choose a plan")


@each_row(("priced", "characters", "heard_s", "charged"), table("What a request costs"))
def test_charges(priced: str, characters: str, heard_s: str, charged: str) -> None:
    samples = round(float(heard_s) * _RATE_HZ)
    found = total((PricedPart(price(priced), samples, int(characters)),), _RATE_HZ)
    assert in_credits(found) == charged


@pytest.mark.parametrize(
    ("language", "characters", "speed", "seconds", "by_second", "by_minute"),
    table("Holds"),
)
def test_holds(
    language: str, characters: str, speed: str, seconds: str, by_second: str, by_minute: str
) -> None:
    estimated_s = estimate.seconds(_LETTERS[language] * int(characters), float(speed))
    assert f"{estimated_s:g}" == seconds
    for priced, held in (("1 per second", by_second), ("10 per minute", by_minute)):
        found = estimate_charge(price(priced), estimated_s=estimated_s, characters=int(characters))
        assert in_credits(found) == held


@each_row(("allowance", "granted", "wanted", "first", "then"), table("Two pools"))
def test_splits(allowance: str, granted: str, wanted: str, first: str, then: str) -> None:
    found = split(int(wanted), CreditBalance(int(allowance), int(granted)))
    assert found == (None if "refused" in (first, then) else Split(int(first), int(then)))


@each_row(("made", "at", "start", "end"), table("Cycles"))
def test_cycles(made: str, at: str, start: str, end: str) -> None:
    cycle = cycle_at(micros(made), micros(at))
    assert (cycle.start, cycle.end) == (micros(start), micros(end))


@pytest.mark.parametrize(("plan", "allowance", "left"), table("Change a plan"))
def test_changes(plan: str, allowance: str, left: str) -> None:
    spent = int(re.findall(r"(\d+) credits into", _PAGE)[0]) * MICRO
    new = load_config(pages.ROOT / "config.toml", {}).plans[plan.strip("`")].allowance
    assert isinstance(new, int)
    assert (in_credits(new), in_credits(new - spent)) == (allowance, left)


@pytest.mark.parametrize(("streams", "cap", "live", "of_key", "answer"), table("Limit one key"))
def test_caps(streams: str, cap: str, live: str, of_key: str, answer: str) -> None:
    both = terms(Plan(name="p", streams=int(streams)), caps=Caps(streams=int(cap)))
    found = admit(0, both, Live(int(live), int(of_key)), CreditBalance(None, 0))
    refused = {"streams": "refused by the account", "key_streams": "refused by the key"}
    assert (refused[found.reason] if isinstance(found, Refusal) else "allowed") == answer
