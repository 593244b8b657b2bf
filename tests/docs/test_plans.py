"""docs/plans.md: every number there is what the policies come to."""

import re
from datetime import UTC, datetime
from decimal import Decimal

from policies import estimate
from policies.cycles import cycle_at
from policies.price import MICRO, Price, PricedPart, in_credits, total_charge
from proxy.feature_list import load_config
from tests.docs import pages

_PAGE = pages.doc("plans.md")
_RATE_HZ = 24_000


def table(heading: str) -> list[list[str]]:
    rows = pages.rows(pages.section(_PAGE, heading))
    assert rows
    return rows


def micros(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * MICRO


def shown(limit: int | str | None) -> str:
    return "∞" if limit is None else "agreed" if limit == "account" else str(limit)


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


def numbers(pattern: str) -> tuple[str, ...]:
    """What the groups of a pattern find in the page."""
    found = re.search(pattern, _PAGE)
    assert found, f"the page does not say {pattern!r}"
    return found.groups()


def test_the_charges_are_those_of_the_prices() -> None:
    characters, heard_s = numbers(r"text of (\d+) characters that is heard for ([\d.]+) seconds")
    by_time, per_second, by_text, per_character = numbers(
        r"costs ([\d.]+) credits at (\d+) per second, and ([\d.]+) credits at ([\d.]+) per character"
    )
    second = Price(int(per_second) * MICRO * 60, "minute")
    character = Price(int(Decimal(per_character) * MICRO), "character")
    samples = round(float(heard_s) * _RATE_HZ)
    for price, shown_charge in ((second, by_time), (character, by_text)):
        assert (
            in_credits(total_charge((PricedPart(price, samples, int(characters)),), _RATE_HZ)) == shown_charge
        )


def test_the_estimate_is_the_one_that_is_held() -> None:
    seconds, characters = numbers(r"estimated: (\d+) seconds for (\d+) characters of English")
    assert f"{estimate.speech_seconds('a' * int(characters), 1.0):g}" == seconds


def test_the_cycles_of_an_account_of_the_last_day_of_a_month() -> None:
    made, *begin = numbers(r"account of ([\d-]+), cycles begin on ([\d-]+) and ([\d-]+)")
    for day in begin:
        assert cycle_at(micros(made), micros(day)).start == micros(day)
        assert cycle_at(micros(made), micros(day) - 1).end == micros(day)


def test_a_change_of_plan_leaves_the_allowance_less_what_was_spent() -> None:
    spent, left_of_more, more, left_of_less, less = numbers(
        r"spent (\d+) credits has (\d+) left on `(\w+)`, and (-\d+) left on `(\w+)`"
    )
    plans = load_config(pages.ROOT / "config.toml", {}).plans
    for plan, left in ((more, left_of_more), (less, left_of_less)):
        allowance = plans[plan].allowance
        assert isinstance(allowance, int)
        assert in_credits(allowance - int(spent) * MICRO) == left
