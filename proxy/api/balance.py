"""The balance of an account: its cycle, its credits and its requests under way."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from policies.limits import Caps
from policies.plans import Terms
from proxy.config import credits
from proxy.http.lists import iso
from proxy.ledger import Ledger, Payer
from proxy.storage import entries


class ShownCycle(msgspec.Struct, frozen=True):
    """`start <= moment < end`, UTC."""

    start: str
    end: str


class ShownCaps(Caps, frozen=True, kw_only=True, omit_defaults=False):
    """What one key may do, where that is less than its account; null adds nothing."""


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """Amounts in credits; null means no limit. `left` is the allowance less what was used and what requests
    under way hold, `granted` stays until it is spent, `available` is both."""

    allowance: float | None
    used: float
    left: float | None
    granted: float
    available: float | None


class AccountBalance(NamedTuple):
    cycle: ShownCycle
    credits: Balance
    live: int


async def read_balance(ledger: Ledger, account: str, key: str, anchor: int, terms: Terms) -> AccountBalance:
    payer = Payer(account=account, key=key, anchor=anchor, terms=terms)
    position = await ledger.holds.position(payer)
    pools = await entries.pools(ledger.store, account)
    start, end = position.cycle.start, position.cycle.end
    left, granted = position.credits.allowance, position.credits.granted
    balance = Balance(
        allowance=_number(terms.allowance),
        used=credits.number(-pools.get(start, 0)),
        left=_number(left),
        granted=credits.number(granted),
        available=_number(position.credits.available),
    )
    return AccountBalance(ShownCycle(iso(start), iso(end)), balance, position.live.account)


def _number(micro: int | None) -> float | None:
    return None if micro is None else credits.number(micro)
