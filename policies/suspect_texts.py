"""The texts that may have killed a host: which run alone, and which run no more.

A host that dies of one job takes its neighbours along. It does not say which job it was, so each of them
runs alone next time. A text that kills a host in which nothing else runs is the killer.

Texts are known here by digests under a key that lives as long as the server.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

SUSPECT_S = 600.0
QUARANTINE_S = 900.0
MOST = 1000
"""Of each kind. Beyond that the oldest is forgotten: it costs one more death."""


class Verdicts(NamedTuple):
    """The digests of one engine's texts that run alone, and of those that are refused."""

    alone: tuple[bytes, ...] = ()
    refused: tuple[bytes, ...] = ()


class SuspectTexts:
    """The memory of one engine's deaths. The time of each call is given."""

    def __init__(self) -> None:
        self._suspects: OrderedDict[bytes, float] = OrderedDict()
        self._quarantine: OrderedDict[bytes, float] = OrderedDict()

    def note_death(self, running: Sequence[bytes], now: float) -> bytes | None:
        """Note the digests that ran in a host when it died. Return the digest that is now in quarantine.

        One death of a text that happened to run alone is not enough: a process may be killed from outside.
        """
        if len(running) == 1 and self._suspects.pop(running[0], 0.0) > now:
            _add(self._quarantine, running[0], now + QUARANTINE_S)
            return running[0]
        for digest in running:
            _add(self._suspects, digest, now + SUSPECT_S)
        return None

    def note_whole(self, digest: bytes) -> bool:
        """Note that a text was spoken to its end. Return whether it was a suspect until now."""
        return self._suspects.pop(digest, None) is not None

    def verdicts(self, now: float) -> Verdicts:
        for memory in (self._suspects, self._quarantine):
            while memory and next(iter(memory.values())) <= now:
                memory.popitem(last=False)
        return Verdicts(tuple(self._suspects), tuple(self._quarantine))


def _add(memory: OrderedDict[bytes, float], digest: bytes, until: float) -> None:
    memory[digest] = until
    memory.move_to_end(digest)
    if len(memory) > MOST:
        memory.popitem(last=False)
