"""The cycles of an account: months from its anchor day. They follow from the clock, without a task."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta

import msgspec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Cycle(msgspec.Struct, frozen=True):
    """`start <= moment < end`, microseconds UTC, both at midnight of the anchor's day of the month."""

    start: int
    end: int


def cycle_at(anchor: int, now: int) -> Cycle:
    """Return the cycle that contains `now`.

    An anchor on the 31st means the last day of shorter months. Cycles also exist before the anchor, because a
    clock may be set back.
    """
    day = _moment(anchor).day
    today = _moment(now).date()
    month = (today.year, today.month)
    if today < _day_in_month(month, day):
        month = _shift_month(month, -1)
    return Cycle(_midnight(_day_in_month(month, day)), _midnight(_day_in_month(_shift_month(month, 1), day)))


def start_of_day(now: int) -> int:
    """Return the start of the day that contains `now`, UTC."""
    return _midnight(_moment(now).date())


def _moment(micros: int) -> datetime:
    # Not fromtimestamp: a float would lose the last microsecond before midnight.
    return _EPOCH + timedelta(microseconds=micros)


def _day_in_month(month: tuple[int, int], day: int) -> date:
    year, number = month
    return date(year, number, min(day, monthrange(year, number)[1]))


def _shift_month(month: tuple[int, int], steps: int) -> tuple[int, int]:
    year, number = month
    months = year * 12 + number - 1 + steps
    return months // 12, months % 12 + 1


def _midnight(day: date) -> int:
    return (day - _EPOCH.date()) // timedelta(microseconds=1)
