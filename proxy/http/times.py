"""Moments at the edge: days and RFC 3339 times, UTC; inside they are microseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from starlette.requests import Request

from proxy.errors import InvalidRequest

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def iso(micros: int) -> str:
    # Not fromtimestamp: a float would lose the last microsecond.
    moment = _EPOCH + timedelta(microseconds=micros)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def asked_moment(request: Request, field: str) -> int | None:
    """The query parameter as microseconds, None where it was not sent; raises InvalidRequest naming it."""
    text = request.query_params.get(field)
    if not text:
        return None
    moment = _moment(text)
    if moment is None:
        raise InvalidRequest(
            f"Invalid value for '{field}': it must be a day such as 2026-01-31, or a time such as "
            "2026-01-31T12:00:00Z.",
            param=field,
        )
    return (moment - _EPOCH) // _MICROSECOND


def _moment(text: str) -> datetime | None:
    if not (_DAY.fullmatch(text) or _TIME.fullmatch(text)):
        return None
    try:
        found = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
