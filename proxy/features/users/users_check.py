"""The checks of [users] beside the rest of the configuration."""

from __future__ import annotations

from collections.abc import Iterator

from policies.plans import MissingLimits, Plan, build_terms
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, note, ok, wrong
from proxy.engines.registry import Registry
from proxy.features.admin.accounts import default_plan
from proxy.features.admin.minutes import is_speech_free
from proxy.features.mail.section import SECTION as MAIL
from proxy.features.users.section import SECTION

_USUAL_LIMITS = {"rpm": 10, "streams": 1, "allowance": 600, "clones": 0}
"""The values that a finding proposes for limits that a plan lacks."""
_NOTED_LIMITS = ("voices", "max_characters", "job_characters")


def new_account_plan(config: Config) -> str:
    """Return the plan of new accounts."""
    return SECTION.of(config).plan or default_plan(config)


def check_users(config: Config, registry: Registry) -> Iterator[Finding]:
    section = SECTION.of(config)
    if section.sign_up == "closed":
        return
    has_mail = bool(MAIL.of(config).url)
    if section.sign_up == "open" and not has_mail:
        yield wrong("sign-up", "it is open, and no mail can be sent", 'set [mail], or sign_up = "invite"')
    if not config.server.public_url:
        # Its form allows https and this machine alone.
        do = "set [server] public_url: links lead there, and cookies need https"
        yield wrong("sign-up", "links have no address", do)
    try:
        build_terms(config.plans[new_account_plan(config)])
    except KeyError:
        names = ", ".join(config.plans)
        yield wrong("sign-up", f'[users] plan = "{section.plan}" is no plan', f"the plans are: {names}")
    except MissingLimits as error:
        found = f"the plan {error.plan} leaves {', '.join(error.missing)} to each account"
        yield wrong("sign-up", found, "name a plan without such limits in [users] plan")
    if section.sign_up == "invite" and not has_mail:
        found = "users have no mails, so each sign-in needs voxgate users invite"
        yield note("sign-up", found, "set [mail]")
    if section.sign_up == "open" and (plan := config.plans.get(new_account_plan(config))) is not None:
        yield from check_open_plan(config, plan, registry)
    yield ok("sign-up", f"{section.sign_up}, on the plan {new_account_plan(config)}")


def check_open_plan(config: Config, plan: Plan, registry: Registry) -> Iterator[Finding]:
    """Yield the limits that a plan lacks although anybody can have it."""
    engines = registry.plugins("engine")
    clones = any(each.plugin in engines and engines[each.plugin].clones for each in config.engines.values())
    needed = ["rpm", "streams"]
    needed += ["allowance"] if not is_speech_free(plan, config) else []
    needed += ["clones"] if clones else []
    where = f"everybody can sign up, and the plan {plan.name} has no"
    if lacking := [name for name in needed if getattr(plan, name) is None]:
        do = " and ".join(f"{name} = {_USUAL_LIMITS[name]}" for name in lacking)
        yield wrong("sign-up", f"{where} {', '.join(lacking)}", f"write {do} in [plans.{plan.name}]")
    if unlimited := [name for name in _NOTED_LIMITS if getattr(plan, name) is None]:
        yield note("sign-up", f"{where} {', '.join(unlimited)}", f"write them in [plans.{plan.name}]")
