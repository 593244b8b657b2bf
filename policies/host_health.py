"""The health of a host: when it is frozen or idle, when it starts again, and the texts that may kill it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

CRASHES = 5
WITHIN_S = 60.0
LONGEST_DELAY_S = 5.0


def is_frozen(working: int, last_sign: float, now: float, limit_s: float) -> bool:
    """Tell whether a host that has work in hand has shown no sign of doing it for longer than the limit.

    If it has no work, or all its work waits for slow readers, its silence means nothing.
    """
    return working > 0 and now - last_sign > limit_s


def is_idle(jobs: int, last_job: float, now: float, limit_s: float) -> bool:
    """Tell whether a host that has no job has had none for the limit; a limit of 0 means never."""
    return limit_s > 0.0 and not jobs and now - last_job >= limit_s


class Crash(NamedTuple):
    """The end of a process at a moment: whether it had work in hand, and whether it was still loading."""

    at: float
    had_work: bool = False
    was_loading: bool = False


def restart_delay_s(crashes: Sequence[Crash], now: float) -> float | None:
    """Return how long to wait after a crash at `now`, or None to give up.

    `crashes` are all crashes so far, with this one. The first restart is at once, so that a single crash
    costs a customer nothing but the one answer. Each further one within the window waits longer. The fifth
    without work is the last. A process that dies of its work is started for ever: otherwise a few requests
    would take the engine from all. One that never gets ready is given up after the fifth death in a
    row, however long each took: a large model may need half an hour to fail five times.
    """
    if len(crashes) >= CRASHES and all(crash.was_loading for crash in crashes[-CRASHES:]):
        return None
    recent = [crash for crash in crashes if now - crash.at < WITHIN_S]
    if not recent[-1].had_work and sum(not crash.had_work for crash in recent) >= CRASHES:
        return None
    if len(recent) <= 1:
        return 0.0
    return min(LONGEST_DELAY_S, 0.1 * 4.0 ** (len(recent) - 2))


SUSPECT_S = 600.0
QUARANTINE_S = 900.0
MOST = 1000
"""Of each kind. Beyond that the oldest is forgotten: it costs one more death."""


class Verdicts(NamedTuple):
    """The digests of one engine's texts that run alone, and of those that are refused."""

    alone: tuple[bytes, ...] = ()
    refused: tuple[bytes, ...] = ()


class SuspectTexts:
    """The texts that may have killed hosts of one engine: which run alone, and which run no more.

    A dead host does not say which of its jobs killed it, so each of them runs alone next time. A text that
    kills a host in which nothing else runs is the killer. Texts are digests under a key that lives as long as
    the server. The caller gives the time.
    """

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
