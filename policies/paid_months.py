"""Paid months: how a payment changes an account's months and plan, once it is kept or given back."""

from __future__ import annotations

from typing import Literal

import msgspec

MonthState = Literal["ahead", "running", "past", "replaced", "carried", "dropped"]


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """A month of a plan. `starts <= moment < ends` if nothing ends it before.

    An ended one is `past`. One that a change of plan ended is `replaced` until what is left of it is
    `carried` into granted credits. A month that was given back before its end is `dropped`.
    """

    id: str
    plan: str
    allowance: int | None
    starts: int
    ends: int
    state: MonthState
    is_kept: bool = True
    replaced: int | None = None
    shares_pool: bool = False
    carried: int = 0
