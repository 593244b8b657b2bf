"""The finding: one line of the result of `voxgate check` and `voxgate doctor`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from speech_engine import ModelInfo


class Finding(msgspec.Struct, frozen=True):
    """The checked thing, the verdict, and the remedy. Only the verdict `wrong` makes a command fail.

    `name` is an engine, a plan or another checked thing, or its state (`none`). A `note` needs no action.
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


class ProbeResults(msgspec.Struct, frozen=True):
    """The models of the engines that answered, and the languages of the front-ends.

    `voices` has only engines that know all their voices. `address` is that of the running server.
    `saved_voices` are the voices of post-steps that this server has saved.
    """

    models: Mapping[str, tuple[ModelInfo, ...]] = {}
    voices: Mapping[str, frozenset[str]] = {}
    front_ends: Mapping[str, frozenset[str]] = {}
    address: str = ""
    saved_voices: frozenset[str] = frozenset()


NO_RESULTS = ProbeResults()
