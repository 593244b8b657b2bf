"""What is known of an engine's deaths: which texts run alone, and which run no more."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog

from policies.suspect_texts import SuspectTexts
from speech_engine.host.pipe_messages import TextVerdicts

_log = structlog.get_logger()


class VerdictListener(Protocol):
    """A host of the engine."""

    def tell(self, verdicts: TextVerdicts) -> None: ...


class EngineSuspects:
    """What is known of an engine's deaths, told to all its processes when it changes."""

    def __init__(self, engine: str, key: bytes) -> None:
        self.key = key
        self.hosts: Sequence[VerdictListener] = ()
        self.verdicts = TextVerdicts()
        self._engine = engine
        self._texts = SuspectTexts()

    def __repr__(self) -> str:
        return f"<EngineSuspects of {self._engine}: {self._texts!r}>"

    def note_death(self, begun: Mapping[str, bytes]) -> str:
        """Note a host's death. Return the call that caused it, if that is certain."""
        digests = [digest for digest in begun.values() if digest]
        if not digests:
            return ""
        refused = self._texts.note_death(digests, time.monotonic()) if len(digests) == len(begun) else None
        self.tell_changes()
        if refused is None:
            return ""
        _log.warning("host.text.quarantined", engine=self._engine, text=refused.hex())
        (killer,) = begun
        return killer

    def note_whole(self, digest: bytes) -> None:
        if self._texts.note_whole(digest):
            self.tell_changes()

    def tell_changes(self) -> None:
        """Tell the hosts if a verdict is new, or has expired."""
        verdicts = TextVerdicts(*self._texts.verdicts(time.monotonic()))
        if verdicts == self.verdicts:
            return
        self.verdicts = verdicts
        for host in self.hosts:
            host.tell(verdicts)
