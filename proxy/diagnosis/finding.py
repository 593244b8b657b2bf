"""One line of what a command found: `voxgate check` with all that it tries, and `voxgate doctor`."""

from __future__ import annotations

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """What was looked at, how it is, and what to do about it. Only the verdict `wrong` makes a command fail.

    `name` tells things of one kind apart: engines, plans, rules. A `note` is worth knowing, no more.
    """

    what: str
    verdict: Literal["ok", "note", "wrong"]
    found: str
    do: str = ""
    name: str = ""


def ok(what: str, found: str, *, name: str = "") -> Finding:
    return Finding(what, "ok", found, name=name)


def note(what: str, found: str, do: str = "", *, name: str = "") -> Finding:
    return Finding(what, "note", found, do, name)


def wrong(what: str, found: str, do: str = "", *, name: str = "") -> Finding:
    return Finding(what, "wrong", found, do, name)
