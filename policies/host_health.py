"""The health of a host process: when it is frozen or idle, when it restarts, and which texts may kill it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

MOST_CRASHES = 5
CRASH_WINDOW_S = 60.0
LONGEST_DELAY_S = 5.0


def is_frozen(running_jobs: int, last_progress: float, now: float, limit_s: float) -> bool:
    """Return whether a host with jobs has made no progress for longer than the limit.

    `running_jobs` does not count jobs that wait for slow readers.
    """
    return running_jobs > 0 and now - last_progress > limit_s


def is_idle(jobs: int, last_job: float, now: float, limit_s: float) -> bool:
    """Return whether a host has had no job for as long as the limit. A limit of 0 means never."""
    return limit_s > 0.0 and not jobs and now - last_job >= limit_s


class Crash(NamedTuple):
    """The crash of a host: its moment, and whether it had jobs or was still loading."""

    at: float
    was_busy: bool = False
    was_loading: bool = False


def restart_delay_s(crashes: Sequence[Crash], now: float) -> float | None:
    """Return the wait after a crash at `now`, or None to give up.

    `crashes` are all crashes so far, with this one. The first restart is immediate, and each further one
    within the window waits longer. After five crashes without work, the process is given up. A crash with
    work never counts: otherwise a few requests could stop the engine for everyone. A process that crashed
    five times in a row while loading is given up, even if that took half an hour.
    """
    if len(crashes) >= MOST_CRASHES and all(crash.was_loading for crash in crashes[-MOST_CRASHES:]):
        return None
    recent = [crash for crash in crashes if now - crash.at < CRASH_WINDOW_S]
    if not recent[-1].was_busy and sum(not crash.was_busy for crash in recent) >= MOST_CRASHES:
        return None
    if len(recent) <= 1:
        return 0.0
    return min(LONGEST_DELAY_S, 0.1 * 4.0 ** (len(recent) - 2))


SUSPECT_S = 600.0
QUARANTINE_S = 900.0
MOST_TEXTS = 1000
"""The most suspects, and the most texts in quarantine. A forgotten text may cause one more crash."""


class SuspectTexts:
    """The texts that may have killed hosts of one engine.

    A dead host does not say which job killed it, so each of its jobs runs alone next time. If the host dies
    again, that text is refused for a while. A text is known by its digest under a key of this server process.
    """

    def __init__(self) -> None:
        self._suspects: OrderedDict[bytes, float] = OrderedDict()
        self._quarantine: OrderedDict[bytes, float] = OrderedDict()

    def note_death(
        self, running: Sequence[bytes], now: float, *, others: int = 0, is_alone: bool = False
    ) -> bytes | None:
        """Note the digests that ran in a host when it died. Return the digest that is now in quarantine.

        A text is put there if it ran alone and is a suspect from an earlier death: one death is not enough,
        since a process may also be killed from outside. With `is_alone`, another process saw the earlier
        death. `others` counts jobs that ran beside these and whose digests are unknown.
        """
        is_only = len(running) == 1 and not others
        if is_only and (self._suspects.pop(running[0], 0.0) > now or is_alone):
            _add(self._quarantine, running[0], now + QUARANTINE_S)
            return running[0]
        for digest in running:
            _add(self._suspects, digest, now + SUSPECT_S)
        return None

    def note_spoken(self, digest: bytes) -> bool:
        """Note that a text was spoken to its end. Return whether it was a suspect before."""
        return self._suspects.pop(digest, None) is not None

    def replace(self, verdicts: Iterable[tuple[bytes, bool, float]]) -> None:
        """Replace all verdicts by these: a digest, whether it is refused, and the moment when the verdict
        ends. They are in the order of their ends."""
        self._suspects.clear()
        self._quarantine.clear()
        for digest, is_refused, until in verdicts:
            _add(self._quarantine if is_refused else self._suspects, digest, until)

    def verdicts(self, now: float) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """Return the digests of the engine's texts that must run alone, and of its refused texts."""
        for texts in (self._suspects, self._quarantine):
            while texts and next(iter(texts.values())) <= now:
                texts.popitem(last=False)
        return tuple(self._suspects), tuple(self._quarantine)


def _add(texts: OrderedDict[bytes, float], digest: bytes, until: float) -> None:
    texts[digest] = until
    texts.move_to_end(digest)
    if len(texts) > MOST_TEXTS:
        texts.popitem(last=False)
