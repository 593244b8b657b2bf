"""One try of an engine for a part of a request, and what came out of it."""

from __future__ import annotations

from typing import Protocol

import msgspec

from policies.costs import Rate
from policies.routing import Model
from proxy.audio.frames_mp3 import Original
from proxy.ledger import SpentAttempt


class AttemptOutput(Protocol):
    """The output of one attempt so far, as its stream counts it."""

    @property
    def seconds(self) -> float: ...

    @property
    def units(self) -> float | None: ...

    @property
    def has_manifest(self) -> bool:
        """Whether the provider signed its sound. Such a manifest is for the provider's own file alone."""
        ...

    @property
    def original(self) -> Original | None:
        """What that file has besides the sound, if the request asks for provenance."""
        ...


class Attempt(msgspec.Struct, kw_only=True):
    """One try of one engine, for the part with this number. It repeats a recording of `source_s`, if that is
    not 0.

    `was_dispatched` is true when the engine has the job and has not said that it did nothing. Before that,
    the job waits in the server's own queue, and no provider bills for it.
    """

    part: int
    model: Model
    characters: int
    output: AttemptOutput
    rate: Rate | None = None
    source_s: float = 0.0
    was_dispatched: bool = False

    def note_dispatch(self, is_dispatched: bool) -> None:
        self.was_dispatched = is_dispatched

    @property
    def was_submitted(self) -> bool:
        """Whether the engine has the text, and bills from that moment on."""
        return self.was_dispatched and self.model.info.billed_on_submit

    def spent(self) -> SpentAttempt:
        return SpentAttempt(
            engine=self.model.engine,
            model=self.model.info.id,
            characters=self.characters,
            seconds=max(self.output.seconds, self.source_s if self.was_submitted else 0.0),
            units=self.output.units,
            rate=self.rate if self.was_dispatched else None,
        )
