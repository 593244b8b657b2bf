"""The recordings that an engine speaks with, and what it derived from them: in memory alone, and bounded. The
files of trained voices are here as recordings are.

A recording is there under its tenant, its model and its digest. So no tenant gets another's, and each
model has it at its own rate and length. Jobs borrow recordings; the one that was used longest ago goes first.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from threading import Lock
from typing import Any, NamedTuple, TypeVar

from speech_engine.errors import EngineBusy, VoiceNotFound
from speech_engine.values import Sample, SpeechJob, Trained, find_digests

T = TypeVar("T")

SHELF_BYTES = 128 * 1024 * 1024
"""About ninety recordings of 30 seconds."""

_MOST_DERIVED = 512
"""Several for each recording: other words of one make another. What was used longest ago goes first."""

DERIVED_BYTES = 1024 * 1024 * 1024
"""What was derived and tells its size (`nbytes`) has this much together:
a large model's states take megabytes each."""

DROPPED = "The voice was deleted."


class _Name(NamedTuple):
    tenant: str
    model: str
    digest: str

    @classmethod
    def of(cls, job: SpeechJob, digest: str) -> _Name:
        return cls(job.tenant, job.model, digest)


class _DerivedKey(NamedTuple):
    names: tuple[_Name, ...]
    texts: tuple[str, ...]


class SampleLoan:
    """A job's use of its recordings, until `end`. Only a drop takes them away before, and ends the job."""

    def __init__(self, shelf: SampleShelf, names: Collection[_Name], on_drop: Callable[[], object]) -> None:
        self.names = frozenset(names)
        self.is_dropped = False
        self.ended = asyncio.Event()
        self._shelf = shelf
        self._on_drop = on_drop

    def __repr__(self) -> str:
        return f"<SampleLoan of {len(self.names)}{', dropped' if self.is_dropped else ''}>"

    def drop(self) -> None:
        self.is_dropped = True
        self._on_drop()

    def end(self) -> None:
        self._shelf.give_back(self)
        self.ended.set()


class SampleShelf:
    """A `SampleReader`. Engines read in any thread; all else is for the event loop of the shelf's owner."""

    def __init__(self, limit_bytes: int = SHELF_BYTES, derived_bytes: int = DERIVED_BYTES) -> None:
        self._limit = limit_bytes
        self._derived_limit = derived_bytes
        self._bytes = 0
        self._recordings: OrderedDict[_Name, bytes] = OrderedDict()
        self._derived: OrderedDict[_DerivedKey, Any] = OrderedDict()
        self._loans: set[SampleLoan] = set()
        self._forgetters: list[Callable[[Collection[str]], object]] = []
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"<SampleShelf {len(self._recordings)} recordings, {len(self._loans)} loans>"

    def missing(self, job: SpeechJob) -> tuple[str, ...]:
        """Return the digests of the recordings that the job needs and that are not here."""
        digests = find_digests(job.voice)
        return tuple(each for each in digests if _Name.of(job, each) not in self._recordings)

    def put(self, tenant: str, model: str, digest: str, pcm: bytes) -> None:
        """Keep a recording. Raises EngineBusy if jobs that run now need all the room."""
        name = _Name(tenant, model, digest)
        with self._lock:
            if name in self._recordings:
                self._remove(name)
            lent = {each for loan in self._loans for each in loan.names}
            lent_bytes = sum(len(self._recordings.get(each, b"")) for each in lent)
            if lent_bytes + len(pcm) > self._limit:
                raise EngineBusy("The engine has no room for more recordings.", retry_after_s=1.0)
            for old in [each for each in self._recordings if each not in lent]:
                if self._bytes + len(pcm) <= self._limit:
                    break
                self._remove(old)
            self._recordings[name] = pcm
            self._bytes += len(pcm)

    def lend(self, job: SpeechJob, on_drop: Callable[[], object]) -> SampleLoan:
        """Hold the recordings of a job. Call it in the same step in which none was missing."""
        names = [_Name.of(job, digest) for digest in find_digests(job.voice)]
        loan = SampleLoan(self, names, on_drop)
        with self._lock:
            for name in names:
                self._recordings.move_to_end(name)
            self._loans.add(loan)
        return loan

    def give_back(self, loan: SampleLoan) -> None:
        with self._lock:
            self._loans.discard(loan)

    def drop(self, digests: Collection[str]) -> list[SampleLoan]:
        """Forget these recordings and all that was derived from them. The jobs that use them end.

        Returns their loans: what an engine holds itself is gone when they have ended.
        """
        dropped = frozenset(digests)
        with self._lock:
            for name in [each for each in self._recordings if each.digest in dropped]:
                self._remove(name)
            loans = [each for each in self._loans if any(name.digest in dropped for name in each.names)]
        for forget in self._forgetters:
            forget(dropped)
        for loan in loans:
            loan.drop()
        return loans

    def pcm(self, job: SpeechJob, sample: Sample) -> bytes:
        return self._here(job, sample.digest)

    def model(self, job: SpeechJob, voice: Trained) -> bytes:
        return self._here(job, voice.digest)

    def on_drop(self, forget: Callable[[Collection[str]], object]) -> None:
        self._forgetters.append(forget)

    def _here(self, job: SpeechJob, digest: str) -> bytes:
        with self._lock:
            found = self._recordings.get(_Name.of(job, digest))
        if found is None:
            raise VoiceNotFound(DROPPED)
        return found

    def derived(self, job: SpeechJob, samples: Sequence[Sample], make: Callable[[Sequence[bytes]], T]) -> T:
        names = tuple(_Name.of(job, sample.digest) for sample in samples)
        # An engine may derive from the words, too.
        key = _DerivedKey(names, tuple(sample.text for sample in samples))
        recordings = [self.pcm(job, sample) for sample in samples]
        with self._lock:
            known: T | None = self._derived.get(key)
            if known is not None:
                self._derived.move_to_end(key)
        if known is not None:
            return known
        made = make(recordings)
        with self._lock:
            # A recording that was dropped in the meantime must leave nothing behind.
            if all(name in self._recordings for name in names):
                self._derived[key] = made
            while (
                len(self._derived) > _MOST_DERIVED
                or sum(getattr(each, "nbytes", 0) for each in self._derived.values()) > self._derived_limit
            ):
                self._derived.popitem(last=False)
        return made

    def _remove(self, name: _Name) -> None:
        self._bytes -= len(self._recordings.pop(name))
        for key in [each for each in self._derived if name in each.names]:
            del self._derived[key]
