"""A circuit breaker: closed, open for a while, or half open with one try of each account.

Each key of each engine has a breaker, so that a key without credit does not stop the others. A provider may
fail only at the texts of one account, so faults open the breaker only if two witnesses saw them: two
accounts, or an account and a call of our own. A failed connection needs no second witness. Each account also
has a breaker that needs one witness: while it is open, the provider rests for this account alone.
"""

from __future__ import annotations

from math import inf
from typing import Literal

import msgspec

Outcome = Literal["well", "faulty", "unreached", "refused"]
"""The result of a try. `well`: the provider spoke. `faulty`: it failed, perhaps only at this text.
`unreached`: there was no connection, which no text can cause. `refused`: it refused our key or our credit, so
a second try does not help. A refusal of the request itself is not noted."""

OWN_CALL = ""
"""The witness of a fault that no account's text has caused."""

MOST_FAULTS = 5
"""The faults in a row that open the breaker."""
FIRST_OPEN_S = 5.0
LONGEST_OPEN_S = 300.0
QUIET_S = 10.0
"""For this time after the provider spoke, accounts alone cannot open the breaker: otherwise two accounts
could silence it for all others."""


class Breaker(msgspec.Struct, frozen=True):
    """The state of one breaker: closed if `open_s` is 0, else open for `open_s` from `since`, then half open.

    `faults` counts the faults in a row. `witnesses` saw them: at most two accounts, and `OWN_CALL`. Those of
    an open breaker saw faults since it opened. In `probing` are the accounts that have used their one try of
    a half-open breaker. If `is_refused`, a refusal opened it, not faults.
    """

    faults: int = 0
    open_s: float = 0.0
    since: float = 0.0
    witnesses: frozenset[str] = frozenset()
    probing: frozenset[str] = frozenset()
    is_refused: bool = False

    @property
    def is_closed(self) -> bool:
        return self.open_s == 0.0

    @property
    def is_doubtful(self) -> bool:
        """Whether one account alone has seen enough faults, so that a call of our own should check."""
        return self.is_closed and self.faults >= MOST_FAULTS and not _is_believed(self.witnesses)


CLOSED = Breaker()


def may_try(breaker: Breaker, account: str, now: float) -> bool:
    if breaker.is_closed:
        return True
    return now >= breaker.since + breaker.open_s and account not in breaker.probing


def wait_s(breaker: Breaker, now: float) -> float:
    """Return the seconds until a request may try."""
    return 0.0 if breaker.is_closed else max(0.0, breaker.since + breaker.open_s - now)


def start_try(breaker: Breaker, account: str) -> Breaker:
    """Note that a try begins. If the breaker is half open, the try is a probe, the account's only one."""
    if breaker.is_closed:
        return breaker
    return msgspec.structs.replace(breaker, probing=breaker.probing | {account})


def abandon_try(breaker: Breaker, account: str) -> Breaker:
    """Note that a probe ended without an outcome."""
    return msgspec.structs.replace(breaker, probing=breaker.probing - {account})


def end_try(
    breaker: Breaker, outcome: Outcome, account: str, now: float, *, is_probe: bool, quiet_s: float = inf
) -> Breaker:
    """Note the outcome of a try. `quiet_s` is the time since the provider spoke last.

    While the breaker is open, only probes and refusals count: otherwise twenty tries that fail together would
    double the time twenty times.
    """
    if not breaker.is_closed and not is_probe and (outcome != "refused" or breaker.is_refused):
        return breaker
    if outcome == "well":
        return CLOSED
    if outcome == "refused":
        return Breaker(breaker.faults + 1, LONGEST_OPEN_S, now, is_refused=True)
    after = _with_fault(breaker, OWN_CALL if outcome == "unreached" else account)
    if breaker.is_closed:
        is_due = after.faults >= MOST_FAULTS and (quiet_s >= QUIET_S or OWN_CALL in after.witnesses)
        return Breaker(after.faults, FIRST_OPEN_S, now) if is_due and _is_believed(after.witnesses) else after
    if _is_believed(after.witnesses):
        return _open_longer(after, now)
    return abandon_try(after, account)


def end_own_call(breaker: Breaker, outcome: Outcome, now: float) -> Breaker:
    """Note the outcome of a call that no account caused, such as a list of models.

    A good answer resets faults, but proves nothing about credit. A bad answer extends an open breaker only if
    a probe of an account has failed, too.
    """
    if outcome == "well":
        ends = breaker.is_doubtful if breaker.is_closed else not breaker.is_refused
        return CLOSED if ends else breaker
    if breaker.is_closed:
        return end_try(breaker, outcome, OWN_CALL, now, is_probe=False)
    if outcome == "refused":
        return breaker
    after = _with_fault(breaker, OWN_CALL)
    return _open_longer(after, now) if breaker.witnesses - {OWN_CALL} else after


def _with_fault(breaker: Breaker, witness: str) -> Breaker:
    seen = breaker.witnesses
    witnesses = seen if len(seen) > 1 and witness != OWN_CALL else seen | {witness}
    return msgspec.structs.replace(breaker, faults=breaker.faults + 1, witnesses=witnesses)


def _is_believed(witnesses: frozenset[str]) -> bool:
    return OWN_CALL in witnesses or len(witnesses) > 1


def _open_longer(breaker: Breaker, now: float) -> Breaker:
    return Breaker(breaker.faults, min(LONGEST_OPEN_S, breaker.open_s * 2), now)
