"""What a check says: fine, worth knowing, or wrong; and for the latter two what to do."""

from __future__ import annotations

from typing import Literal

import msgspec


class Result(msgspec.Struct, frozen=True):
    """One line of the answer. Only `wrong` makes the command fail."""

    check: str
    state: Literal["ok", "note", "wrong"]
    found: str
    do: str = ""


def ok(check: str, found: str) -> Result:
    return Result(check, "ok", found)


def note(check: str, found: str, do: str) -> Result:
    return Result(check, "note", found, do)


def wrong(check: str, found: str, do: str) -> Result:
    return Result(check, "wrong", found, do)
