"""Plans: the rights of an account, by its plan, its own terms, and the lower caps of a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from policies.limits import KEY_LIMITS, Caps, PlanLimits, limit_values
from policies.price import FREE, Operation, Price

Agreed = Literal["account"]
"""The word in place of a limit, if each account of the plan has its own."""
CheckTerm = Literal["heard", "behind"]
"""Whether the server hears its speech before it is sent, or (`behind`) the first sentence while it plays."""
ConsentRule = Literal["required", "waived"]
"""Whether a voice from recordings needs the consent of its speaker."""


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """The prices of each kind of work; `clone` is for a voice at a provider.

    If `conversion` is None, a conversion costs what the model's speech costs, if that is sold by time. If
    `transcription` is None, it costs what a conversion costs. If `training` is None, it is offered only where
    speech is free. `models` has the speech prices of some models. Its keys are `engine/model`, or an engine.
    """

    speech: Price = FREE
    cached: Price = FREE
    clone: Price = FREE
    conversion: Price | None = None
    training: Price | None = None
    transcription: Price | None = None
    models: Mapping[str, Price] = {}

    def speech_price(self, engine: str, model: str) -> Price:
        return self.models.get(f"{engine}/{model}") or self.models.get(engine) or self.speech

    def conversion_price(self, engine: str, model: str) -> Price | None:
        """Return the price of a conversion, or None if there is none: speech is sold by characters, and a
        recording has no characters."""
        return self._conversion_price_for(self.speech_price(engine, model))

    def transcription_price(self, engine: str, model: str) -> Price | None:
        """Return the price of a transcription, or None if neither it nor a conversion has one."""
        return self.transcription or self.conversion_price(engine, model)

    def usual_transcription_price(self) -> Price | None:
        return self.transcription or self.usual_conversion_price()

    def usual_conversion_price(self) -> Price | None:
        """Return the price of a conversion by a model that is not in `models`, or None."""
        return self._conversion_price_for(self.speech)

    def training_price(self) -> Price | None:
        """Return the price of a training, or None if it is not offered, since it has no price and speech is
        sold."""
        if self.training is not None:
            return self.training
        is_sold = self.speech.micro or any(price.micro for price in self.models.values())
        return None if is_sold else FREE

    def _conversion_price_for(self, of_speech: Price) -> Price | None:
        if self.conversion is not None:
            return self.conversion
        return None if of_speech.per == "character" and of_speech.micro else of_speech

    def work_price(self, kind: Operation, engine: str, model: str) -> Price:
        """Return the price of a model's work. Work without a price must have been refused before."""
        if kind == "speech":
            # This repeats `speech_price` to save a call: every request comes here twice.
            return self.models.get(f"{engine}/{model}") or self.models.get(engine) or self.speech
        if kind == "sample":
            return FREE
        of_kind = self.transcription_price if kind == "transcription" else self.conversion_price
        return of_kind(engine, model) or FREE


class Plan(PlanLimits[int | Agreed], frozen=True, kw_only=True):
    """The rights of the accounts of one plan.

    `price` is a text for people ("$19"), or "" if the plan is free. If `engines` is None, all engines may
    speak. If `local_only`, only engines that send no text to another company may speak. `share` is the weight
    of its accounts on a busy engine. With `one_shot`, a request may bring the recording of its voice. Voices
    of recordings are erased after `voices_unused_days` without use, jobs `job_days` after their end, and
    entries of the history after `history_days`; None leaves that to the server. `marking` says whether
    answers are marked; None leaves that to the engines.
    """

    name: str
    price: str = ""
    engines: tuple[str, ...] | None = None
    prices: Prices = Prices()
    cache: bool = False
    local_only: bool = False
    share: float = 1.0
    consent: ConsentRule = "required"
    voices_unused_days: int | None = None
    job_days: float | None = None
    history_days: float | None = None
    one_shot: bool = False
    marking: bool | None = None
    check: CheckTerm | None = None


UNLIMITED = Plan(name="unlimited", one_shot=True)
"""The operator's own plan, which needs no section: no limits, and everything is free."""


class AgreedTerms(PlanLimits[int], frozen=True, kw_only=True, omit_defaults=True):
    """The terms of one account that replace its plan's. None leaves the plan's term."""

    engines: tuple[str, ...] | None = None
    prices: Prices | None = None


class Terms(PlanLimits[int], frozen=True, kw_only=True):
    """The terms of one request: the plan, the account's own terms, and the caps of the key.

    The account's limits count all its keys together. The key's limits count that key alone. Models on rented
    machines speak only requests with `is_for_job`.
    """

    plan: str
    is_paid: bool
    engines: tuple[str, ...] | None
    prices: Prices
    cache: bool
    local_only: bool
    share: float
    one_shot: bool = False
    marking: bool | None = None
    check: CheckTerm | None = None
    key: Caps = Caps()
    consent: ConsentRule = "required"
    voices_unused_days: int | None = None
    is_for_job: bool = False

    @property
    def has_budget(self) -> bool:
        return self.budget_usd_day is not None or self.budget_usd_month is not None


class MissingLimits(Exception):
    """The plan leaves these limits to the account, and the account has none."""

    def __init__(self, plan: str, missing: tuple[str, ...]) -> None:
        super().__init__(f"{plan}: {', '.join(missing)}")
        self.plan = plan
        self.missing = missing


def plan_at(now: int, plan: str, paid_until: int | None, lapsed_plan: str) -> str:
    """Return the plan of an account at a moment: a paid plan ends to the second."""
    return plan if paid_until is None or now < paid_until else lapsed_plan


def build_terms(
    plan: Plan,
    agreed: AgreedTerms = AgreedTerms(),  # noqa: B008 - frozen
    caps: Caps = Caps(),  # noqa: B008 - frozen
    *,
    has_paid: bool = False,
) -> Terms:
    """Return the terms of a request. Raises MissingLimits if the account lacks a limit that its plan leaves
    to it.

    An account that `has_paid` once is a paying one for licences, on a free plan as well.
    """
    limits = limit_values(plan) | {name: own for name, own in limit_values(agreed).items() if own is not None}
    missing = tuple(name for name, limit in limits.items() if limit == "account")
    if missing:
        raise MissingLimits(plan.name, missing)
    for name, row in KEY_LIMITS.items():
        if row.per_request:
            lower = [limit for limit in (limits[name], getattr(caps, name)) if limit is not None]
            limits[name] = min(lower, default=None)
    return Terms(
        plan=plan.name,
        is_paid=has_paid or bool(plan.price),
        engines=plan.engines if agreed.engines is None else agreed.engines,
        prices=agreed.prices or plan.prices,
        cache=plan.cache,
        local_only=plan.local_only,
        share=plan.share,
        one_shot=plan.one_shot,
        marking=plan.marking,
        check=plan.check,
        key=caps,
        consent=plan.consent,
        voices_unused_days=plan.voices_unused_days,
        **limits,
    )


_CHARACTERS_A_MINUTE = 15 * 60
"""Characters that are spoken in a minute, about. Languages and voices differ."""


class Minutes(msgspec.Struct, frozen=True):
    """Minutes of speech. The number `is_about` right if speech is sold by character, or models differ in
    price."""

    number: float
    is_about: bool


def minutes_for_credits(
    credits: int | None, plan: Plan | Terms, models: Sequence[str] = ()
) -> Minutes | None:
    """Return the minutes of speech that these micro-credits buy. None: there is no limit, or speech is free
    or has a price by job. If the prices of models differ, the price of the first of `models` counts that the
    plan may use. Callers pass the candidates of `tts-1`.
    """
    prices = plan.prices
    do_differ = any(price != prices.speech for price in prices.models.values())
    usable = (name for name in models if plan.engines is None or name.partition("/")[0] in plan.engines)
    engine, _, model = next(usable, "").partition("/")
    price = prices.speech_price(engine, model) if do_differ and engine else prices.speech
    if credits is None or not price.micro or price.per == "job":
        return None
    by_character = price.per == "character"
    micro_a_minute = price.micro * (_CHARACTERS_A_MINUTE if by_character else 1)
    return Minutes(round(max(0, credits) / micro_a_minute, 2), is_about=do_differ or by_character)
