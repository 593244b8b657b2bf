"""`voxgate check` on the shop as a whole: speech must cost credits, and people must be able to sign up and
buy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from policies.plans import Plan
from proxy.config.addresses import is_local
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults, note, wrong
from proxy.engines.registry import Registry
from proxy.features.admin.minutes import is_speech_free, minutes_for, priced_models
from proxy.features.payments.section import PROVIDERS, SECTION, PaymentsSection, SoldOffer
from proxy.features.users.section import SECTION as USERS
from proxy.features.users.users_check import check_open_plan, new_account_plan

_PRICE = 'speech = { credits = 1, per = "second" }'
_MOST_PRICE_RATIO = 2
"""If a minute of a pack costs more than this times the minute of the dearest plan, a note says so."""


def check_shop(config: Config, registry: Registry, _results: ProbeResults) -> Iterator[Finding]:
    section, is_open = SECTION.of(config), USERS.of(config).sign_up == "open"
    if section.offers:
        yield from _check_sales(config, section)
    free = config.plans.get(new_account_plan(config))
    lapsed = config.plans.get(section.lapsed_plan)
    if is_open and lapsed is not None and lapsed != free and section.offers:
        yield from check_open_plan(config, lapsed, registry)
    if is_open and not section.offers and free is not None and is_speech_free(free, config):
        found = f"everybody can sign up and speak for free, on the plan {free.name}, and nothing is sold"
        yield note("sign-up", found, f"write {_PRICE} in [plans.{free.name}.prices]", name=free.name)


def _check_sales(config: Config, section: PaymentsSection) -> Iterator[Finding]:
    if USERS.of(config).sign_up == "closed":
        found = "something is sold, and nobody can sign in to buy it"
        yield wrong("payments", found, 'write sign_up = "open" in [users], and a [mail] section')
    for offer in section.plans.values():
        if (plan := config.plans.get(offer.name)) is not None:
            yield from _check_sold_plan(config, offer, plan)
    yield from _check_packs(config, section)
    users = USERS.of(config)
    if empty := [name for name in ("terms", "privacy", "imprint") if not getattr(users, name)]:
        found = f"people pay here, and the front page has no link to {', '.join(empty)}"
        yield note("payments", found, f"write {' and '.join(empty)} in [users]", name="links")
    public = urlsplit(config.server.public_url).hostname or ""
    for name in PROVIDERS:
        provider = getattr(section, name)
        is_fake = is_local(urlsplit(provider.base_url).hostname or "")
        if provider.is_on and is_fake and public and not is_local(public):
            found = f"{provider.base_url} is a fake on this machine, and {config.server.public_url} is public"
            yield wrong("payments", found, f"remove base_url from [payments.{name}]", name=name)


def _check_sold_plan(config: Config, offer: SoldOffer, plan: Plan) -> Iterator[Finding]:
    where = f"[plans.{plan.name}]"
    if plan.allowance == 0:
        found = "a month of it is sold, and its allowance is 0"
        yield wrong("payments", found, f"raise it in {where}", name=plan.name)
    elif plan.allowance is None:
        lacking = [name for name in ("rpm", "streams") if getattr(plan, name) is None]
        flat = "a month of it is a flat rate: it has no allowance"
        if lacking:
            do = f"write {' and '.join(lacking)} in {where}, or an allowance"
            yield wrong("payments", f"{flat}, and no {', '.join(lacking)}", do, name=plan.name)
        else:
            yield note("payments", flat, name=plan.name)
    elif is_speech_free(plan, config):
        found = "a month of it is sold, and its speech is free: the allowance limits nothing"
        yield wrong("payments", found, f"write {_PRICE} in [plans.{plan.name}.prices]", name=plan.name)
    if (digits := re.sub(r"\D", "", plan.price)) and digits not in _written_digits(offer.amount):
        found = f"the price {plan.price!r} is shown, and {offer.amount / 100:.2f} {offer.currency} is taken"
        do = f"write the same in {where} and [payments.plans.{plan.name}]"
        yield note("payments", found, do, name=plan.name)


def _written_digits(amount: int) -> set[str]:
    """Return the digits of an amount as people write it: 49.00 and 49, 29.90 and 29.9."""
    digits = f"{amount:03}"
    return {digits, digits.removesuffix("0"), digits.removesuffix("00"), digits.lstrip("0")}


def _check_packs(config: Config, section: PaymentsSection) -> Iterator[Finding]:
    if not section.packs:
        return
    names = [new_account_plan(config), section.lapsed_plan or new_account_plan(config), *section.plans]
    plans = [config.plans[name] for name in dict.fromkeys(names) if name in config.plans]
    # A sold plan without an allowance needs no pack.
    used = [each for each in plans if each.name not in section.plans or each.allowance is not None]
    free = [each.name for each in used if is_speech_free(each, config)]
    for name in section.packs if free else ():
        found = f"it is sold, and speech is free on {' and '.join(free)}: credits buy nothing there"
        where = ", ".join(f"[plans.{each}.prices]" for each in free)
        yield wrong("payments", found, f"write {_PRICE} in {where}", name=name)
    for plan in used:
        if plan.name not in free and (models := priced_models(plan, config)[1]):
            yield note("payments", f"{', '.join(models)}: free beside models with a price", name=plan.name)
    for offer in section.packs.values():
        yield from _check_pack_price(config, section, offer)


def _check_pack_price(config: Config, section: PaymentsSection, pack: SoldOffer) -> Iterator[Finding]:
    """Yield a note if a pack's minutes are far dearer than those of any plan in the same currency."""
    of_plans, of_pack = [], []
    for offer in section.plans.values():
        plan = config.plans.get(offer.name)
        if plan is None or offer.currency != pack.currency or not isinstance(plan.allowance, int):
            continue
        own, bought = minutes_for(plan.allowance, plan, config), minutes_for(pack.credits, plan, config)
        if own is not None and bought is not None and own.number and bought.number:
            of_plans.append(offer.amount / own.number / 100)
            of_pack.append(pack.amount / bought.number / 100)
    if of_plans and max(of_pack) > _MOST_PRICE_RATIO * max(of_plans):
        dearest = f"{max(of_plans):.2f} in the dearest plan"
        found = f"a minute costs {max(of_pack):.2f} {pack.currency}, and {dearest}"
        yield note("payments", found, "lower its amount, or raise its credits", name=pack.name)
