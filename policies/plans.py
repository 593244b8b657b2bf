"""What an account may do: its plan, what was agreed with it alone, and a key's own tighter caps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from policies.price import FREE, Price

Agreed = Literal["account"]
"""In the place of a plan's limit: each account of this plan has its own."""

Limit = int | Agreed | None
"""None: no limit."""


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """Micro-credits for each kind of work. `models` has the dearer or cheaper ones among those that speak,
    by `engine/model` or by the engine's name alone."""

    speech: Price = FREE
    conversion: Price = FREE
    cached: Price = FREE
    training: Price = FREE
    models: Mapping[str, Price] = {}

    def of_model(self, engine: str, model: str) -> Price:
        return self.models.get(f"{engine}/{model}") or self.models.get(engine) or self.speech


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`allowance` is in micro-credits a cycle; `price` is for people ("$19"), and "" where the plan is free.
    `engines` None means all of them; `local_only` those alone that send no text to anybody else.
    `share` is how much of a busy engine its accounts get, beside those of other plans. The budgets are what
    providers may take for one account."""

    name: str
    price: str = ""
    allowance: Limit = None
    rpm: Limit = None
    streams: Limit = None
    voices: Limit = None
    max_characters: Limit = None
    engines: tuple[str, ...] | None = None
    prices: Prices = Prices()
    cache: bool = False
    one_shot: bool = True
    local_only: bool = False
    share: float = 1.0
    budget_usd_day: float | None = None
    budget_usd_month: float | None = None


UNLIMITED = Plan(name="unlimited")
"""No limits, and everything free: the operator's own plan, there without being written anywhere."""


class Overrides(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was agreed with one account, in the place of its plan's word. None leaves the plan's."""

    allowance: int | None = None
    rpm: int | None = None
    streams: int | None = None
    voices: int | None = None
    max_characters: int | None = None
    engines: tuple[str, ...] | None = None
    prices: Prices | None = None
    budget_usd_day: float | None = None
    budget_usd_month: float | None = None


class Caps(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one key may do, where that is less than its account. None adds nothing."""

    rpm: int | None = None
    streams: int | None = None
    max_characters: int | None = None


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one request: the plan, as agreed with the account, and the key's caps beside it.

    None is no limit. The account's limits count all its keys together, the key's only itself.
    """

    plan: str
    is_paid: bool
    allowance: int | None
    rpm: int | None
    streams: int | None
    voices: int | None
    max_characters: int | None
    engines: tuple[str, ...] | None
    prices: Prices
    cache: bool
    one_shot: bool
    local_only: bool
    share: float
    budget_usd_day: float | None
    budget_usd_month: float | None
    key: Caps = Caps()

    @property
    def has_budget(self) -> bool:
        return self.budget_usd_day is not None or self.budget_usd_month is not None


class NotAgreed(Exception):
    """The plan leaves these limits to the account, and the account has none."""

    def __init__(self, plan: str, missing: tuple[str, ...]) -> None:
        super().__init__(f"{plan}: {', '.join(missing)}")
        self.plan = plan
        self.missing = missing


def terms(plan: Plan, agreed: Overrides = Overrides(), caps: Caps = Caps()) -> Terms:  # noqa: B008 - frozen
    """Raises NotAgreed where the plan says "account" and the account says nothing: no limit is not meant."""
    missing: list[str] = []

    def limit(name: str) -> int | None:
        own: int | None = getattr(agreed, name)
        planned: Limit = getattr(plan, name)
        if own is not None:
            return own
        if planned == "account":
            missing.append(name)
            return None
        return planned

    found = Terms(
        plan=plan.name,
        is_paid=bool(plan.price),
        allowance=limit("allowance"),
        rpm=limit("rpm"),
        streams=limit("streams"),
        voices=limit("voices"),
        max_characters=_tighter(limit("max_characters"), caps.max_characters),
        engines=plan.engines if agreed.engines is None else agreed.engines,
        prices=agreed.prices or plan.prices,
        cache=plan.cache,
        one_shot=plan.one_shot,
        local_only=plan.local_only,
        share=plan.share,
        budget_usd_day=_first(agreed.budget_usd_day, plan.budget_usd_day),
        budget_usd_month=_first(agreed.budget_usd_month, plan.budget_usd_month),
        key=caps,
    )
    if missing:
        raise NotAgreed(plan.name, tuple(missing))
    return found


def _first(agreed: float | None, planned: float | None) -> float | None:
    return planned if agreed is None else agreed


def _tighter(limit: int | None, cap: int | None) -> int | None:
    if limit is None or cap is None:
        return cap if limit is None else limit
    return min(limit, cap)
