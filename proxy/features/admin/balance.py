"""The balance of an account: its cycle, its credits, and the number of its running requests."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from policies.limits import Caps
from policies.plans import Terms
from proxy.access.admission import terms_in_force
from proxy.api.admin_tools import AdminTools
from proxy.config import credits
from proxy.http.lists import iso_time
from proxy.ledger import Ledger, Payer
from proxy.storage import durable_holds, entries
from proxy.storage.accounts import Account


class ShownCycle(msgspec.Struct, frozen=True):
    """`start <= moment < end`, UTC."""

    start: str
    end: str


class ShownCaps(Caps, frozen=True, kw_only=True, omit_defaults=False):
    """The key's own limits, if they are lower than the account's; null adds no limit."""


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """Amounts in credits; null means no limit. `left` = allowance − used − held by running requests.

    `granted` does not expire. `available` = left + granted.
    """

    allowance: float | None
    used: float
    left: float | None
    granted: float
    available: float | None


class AccountBalance(NamedTuple):
    """`running` counts the account's requests that have not ended, `clones_used` the clones of its cycle.
    `available_micro_credits` is None without a limit."""

    cycle: ShownCycle
    balance: Balance
    running: int
    clones_used: int
    available_micro_credits: int | None


async def balance_of(account: Account, tools: AdminTools) -> AccountBalance | None:
    """Return the account's balance, or None if its plan is not in force."""
    terms = terms_in_force(account, tools.config)
    return None if terms is None else await read_balance(tools.ledger, account.id, "", account.anchor, terms)


async def read_balance(ledger: Ledger, account: str, key: str, anchor: int, terms: Terms) -> AccountBalance:
    payer = Payer(account=account, key=key, anchor=anchor, terms=terms)
    account_state = await ledger.holds.account_state(payer)
    pools = await entries.read_pools(ledger.store, account)
    start, end = account_state.cycle.start, account_state.cycle.end
    left, granted = account_state.credits.allowance, account_state.credits.granted
    balance = Balance(
        allowance=_credits_or_none(terms.allowance),
        used=credits.to_credits(-pools.get(start, 0)),
        left=_credits_or_none(left),
        granted=credits.to_credits(granted),
        available=_credits_or_none(account_state.credits.available),
    )
    clones_used = await durable_holds.count_clones(ledger.store, account, start)
    return AccountBalance(
        ShownCycle(iso_time(start), iso_time(end)),
        balance,
        account_state.live.account,
        clones_used,
        account_state.credits.available,
    )


def _credits_or_none(micro: int | None) -> float | None:
    return None if micro is None else credits.to_credits(micro)
