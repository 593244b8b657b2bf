"""Whether a provider is worth asking just now: closed, open for a while, or one try to see.

One for each key of each engine, so that a key that is used up does not take the others along.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Outcome = Literal["well", "faulty", "refused"]
"""What an answer says of its provider. `faulty`: it failed. `refused`: our key or our credit is no good,
which no second try mends. A refusal of the request itself is `well`: somebody was there to refuse it."""

FAULTS = 5
"""So many in a row open it."""
FIRST_S = 5.0
LONGEST_S = 300.0


class Breaker(msgspec.Struct, frozen=True):
    """`faults` are those in a row, `open_s` how long it is open from `since`. While it is half open one try
    may be under way (`is_probing`). `is_refused`: it was opened by a refusal, not by faults."""

    faults: int = 0
    open_s: float = 0.0
    since: float = 0.0
    is_probing: bool = False
    is_refused: bool = False

    @property
    def is_closed(self) -> bool:
        return self.open_s == 0.0


CLOSED = Breaker()


def may_try(breaker: Breaker, now: float) -> bool:
    return breaker.is_closed or (now >= breaker.since + breaker.open_s and not breaker.is_probing)


def opens_in_s(breaker: Breaker, now: float) -> float:
    """Until somebody may try; 0 where that is now."""
    return 0.0 if breaker.is_closed else max(0.0, breaker.since + breaker.open_s - now)


def trying(breaker: Breaker) -> Breaker:
    """To be noted when a try begins: of an open one it is the only one, the probe."""
    return breaker if breaker.is_closed else msgspec.structs.replace(breaker, is_probing=True)


def given_up(breaker: Breaker) -> Breaker:
    """A probe that ended without telling anything: its client left."""
    return msgspec.structs.replace(breaker, is_probing=False) if breaker.is_probing else breaker


def after(breaker: Breaker, outcome: Outcome, now: float, *, is_probe: bool) -> Breaker:
    """A try has ended. Who began before it opened is no news by then, lest twenty that fail together double
    it twenty times; only a refusal always counts."""
    if not breaker.is_closed and not is_probe and (outcome != "refused" or breaker.is_refused):
        return breaker
    if outcome == "well":
        return CLOSED
    faults = breaker.faults + 1
    if outcome == "refused":
        return Breaker(faults, LONGEST_S, now, is_refused=True)
    if not breaker.is_closed:
        return Breaker(faults, min(LONGEST_S, breaker.open_s * 2), now)
    return Breaker(faults, FIRST_S, now) if faults >= FAULTS else Breaker(faults)


def looked(breaker: Breaker, outcome: Outcome, now: float) -> Breaker:
    """The provider was asked for something else than speech. A good answer ends faults, but knows nothing of
    credit; a bad one keeps no request from trying for itself when its time has come."""
    if not breaker.is_closed:
        return CLOSED if outcome == "well" and not breaker.is_refused else breaker
    return breaker if outcome == "well" else after(breaker, outcome, now, is_probe=False)
