"""The messages that load and unload engines: a host's progress, and an operator's wish on a live server."""

from __future__ import annotations

from typing import Literal

import msgspec

EngineAction = Literal["load", "unload", "restart"]


class Loading(msgspec.Struct, frozen=True, tag="loading"):
    """A host's progress before it is ready: the part that is done, from 0 to 1, and what it does."""

    fraction: float
    what: str


class EngineQuestion(msgspec.Struct, frozen=True, tag="engine_asked"):
    """A worker's question: do this with the hosts of an engine. `breaks_off`: also if they have work."""

    question: int
    engine: str
    action: EngineAction
    breaks_off: bool = False


class EngineSwitched(msgspec.Struct, frozen=True, tag="engine_switched"):
    """The answer. With a `refusal`, nothing has changed."""

    question: int
    refusal: str = ""
