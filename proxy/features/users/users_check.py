"""The checks of [users] beside the rest of the configuration."""

from __future__ import annotations

from collections.abc import Iterator

from policies.plans import MissingLimits, terms
from proxy.api.accounts import default_plan
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, note, ok, wrong
from proxy.features.mail.section import SECTION as MAIL
from proxy.features.users.section import SECTION


def plan_of(config: Config) -> str:
    """Return the plan of new accounts."""
    return SECTION.of(config).plan or default_plan(config)


def check(config: Config) -> Iterator[Finding]:
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
        terms(config.plans[plan_of(config)])
    except KeyError:
        names = ", ".join(config.plans)
        yield wrong("sign-up", f'[users] plan = "{section.plan}" is no plan', f"the plans are: {names}")
    except MissingLimits as error:
        found = f"the plan {error.plan} leaves {', '.join(error.missing)} to each account"
        yield wrong("sign-up", found, "name a plan without such limits in [users] plan")
    if section.sign_up == "invite" and not has_mail:
        found = "users have no mails, so each sign-in needs voxgate users invite"
        yield note("sign-up", found, "set [mail]")
    yield ok("sign-up", f"{section.sign_up}, on the plan {plan_of(config)}")
