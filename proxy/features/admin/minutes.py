"""Credits as minutes of speech, for people who do not count in credits."""

from __future__ import annotations

from policies.plans import Minutes, Plan, Terms, minutes_for_credits
from proxy.config import defaults
from proxy.config.sections import Config


def minutes_for(micro_credits: int | None, plan: Plan | Terms, config: Config) -> Minutes | None:
    """Return the minutes that these micro-credits buy with `tts-1`. None: it cannot be said."""
    return minutes_for_credits(micro_credits, plan, config.models.get("tts-1", ()))


def allowed_minutes(plan: Plan | Terms, config: Config) -> Minutes | None:
    """Return the minutes of a cycle. None: it cannot be said, or each account has its own."""
    allowance = plan.allowance
    return minutes_for(allowance if isinstance(allowance, int) else None, plan, config)


def priced_models(plan: Plan, config: Config) -> tuple[list[str], list[str]]:
    """Return the models that may speak for a plan: those with a price, and those that are free."""
    hearing = defaults.hearing_candidates(config.engines)
    full_names = {full for alias, fulls in config.models.items() if alias not in hearing for full in fulls}
    full_names |= {name for name in plan.prices.models if "/" in name}
    models_with_price: list[str] = []
    free_models: list[str] = []
    for full in sorted(full_names):
        engine, _, model = full.partition("/")
        if engine in (config.engines if plan.engines is None else plan.engines):
            (models_with_price if plan.prices.speech_price(engine, model).micro else free_models).append(full)
    return models_with_price, free_models


def is_speech_free(plan: Plan, config: Config) -> bool:
    """Tell whether a plan's speech costs no credits, with each model that may speak for it."""
    priced, free = priced_models(plan, config)
    return not priced and (bool(free) or not plan.prices.speech.micro)
