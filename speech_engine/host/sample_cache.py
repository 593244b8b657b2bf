"""The recordings of an engine's jobs, and the values that the engine derived from them: in memory alone, and
bounded. The files of trained voices are stored like recordings.

The key of a recording is its tenant, its model and its digest. So no tenant gets the recording of another,
and each model has it at its own rate and length. The operator's recordings have no tenant. Jobs borrow
recordings; the longest unused one goes first.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Generator, Sequence
from threading import Lock
from typing import Any, NamedTuple, TypeVar

import msgspec

from speech_engine.errors import EngineBusy, VoiceNotFound
from speech_engine.host.messages import PutSample
from speech_engine.redacted import Redacted
from speech_engine.values import Sample, SpeechJob, Trained, find_digests, owner_of

T = TypeVar("T")

CACHE_BYTES = 128 * 1024 * 1024
"""About ninety recordings of 30 seconds."""

MODEL_BYTES = 1024 * 1024 * 1024
"""The most bytes of the files of trained voices. Each may have hundreds of megabytes."""

_MOST_DERIVED = 512
"""The most derived values. A recording may have several. The longest unused value goes first."""

DERIVED_BYTES = 1024 * 1024 * 1024
"""The most bytes of all derived values that tell their size (`nbytes`): states of a large model take
megabytes each."""

DROPPED = "The voice was deleted."


class _Name(NamedTuple):
    tenant: str
    model: str
    digest: str

    @classmethod
    def of(cls, job: SpeechJob, digest: str) -> _Name:
        return cls(owner_of(job), job.model, digest)


class ModelPiece(Redacted, msgspec.Struct, frozen=True):
    """A piece of a file of `size` bytes: from the byte `begin` on."""

    data: bytes
    begin: int
    size: int


class _File:
    def __init__(self, size: int, data: bytes = b"") -> None:
        self.size = size
        self.data: bytes | bytearray = data if len(data) == size else bytearray(data)

    def add(self, piece: ModelPiece) -> bool:
        """Add the new part of a piece. Return False if it is of another file, or if a piece before it is
        missing."""
        known = len(self.data) - piece.begin
        if known < 0 or piece.size != self.size or piece.begin + len(piece.data) > self.size:
            return False
        if isinstance(self.data, bytearray):
            self.data += piece.data[known:]
            if len(self.data) == self.size:
                self.data = bytes(self.data)
        return True


class _DerivedKey(NamedTuple):
    names: tuple[_Name, ...]
    texts: tuple[str, ...]


class _FileStore:
    """Files of one kind with at most `limit` bytes, the longest unused first. Some files are incomplete."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._files: OrderedDict[_Name, _File] = OrderedDict()

    def __len__(self) -> int:
        return len(self._files)

    def get(self, name: _Name) -> bytes | None:
        file = self._files.get(name)
        return file.data if file is not None and isinstance(file.data, bytes) else None

    def add(self, name: _Name, file: _File, loaned: Collection[_Name]) -> list[_Name]:
        """Add a file. Return the names of the longest unused files, which make room for it.

        Raises EngineBusy if `loaned` files need the room.
        """
        in_use = [self._files[each].size for each in loaned if each in self._files and each != name]
        free_bytes = self._limit - file.size - sum(in_use)
        if free_bytes < 0:
            raise EngineBusy("The engine has no room for more recordings.", retry_after_s=1.0)
        self._files.pop(name, None)
        others = [each for each in self._files if each not in loaned]
        free_bytes -= sum(self._files[each].size for each in others)
        removed: list[_Name] = []
        while free_bytes < 0:
            removed.append(others[len(removed)])
            free_bytes += self._files.pop(removed[-1]).size
        self._files[name] = file
        return removed

    def add_piece(self, name: _Name, piece: ModelPiece, loaned: Collection[_Name]) -> None:
        """Add a piece behind those before it. A piece that another worker has sent already is passed over."""
        if name not in self._files and not piece.begin:
            self.add(name, _File(piece.size), loaned)
        if name not in self._files or not self._files[name].add(piece):
            raise EngineBusy("The model of the voice has to come once more.", retry_after_s=1.0)
        self._files.move_to_end(name)

    def names(self) -> list[_Name]:
        return list(self._files)

    def note_use(self, name: _Name) -> None:
        self._files.move_to_end(name)

    def remove(self, digests: Collection[str]) -> None:
        for name in [each for each in self._files if each.digest in digests]:
            del self._files[name]


class SampleLoan:
    """A job's use of its recordings, until `end`. To await a loan is to wait for its end. Only a drop takes
    the recordings away before, and ends the job."""

    def __init__(
        self, sample_cache: SampleCache, names: Collection[_Name], on_drop: Callable[[], object]
    ) -> None:
        self.names = frozenset(names)
        self.is_dropped = False
        self.ended = asyncio.Event()
        self._sample_cache = sample_cache
        self._on_drop = on_drop

    def __await__(self) -> Generator[Any, None, bool]:
        return self.ended.wait().__await__()

    def drop(self) -> None:
        self.is_dropped = True
        self._on_drop()

    def end(self) -> None:
        self._sample_cache.give_back(self)
        self.ended.set()


class SampleCache:
    """A `SampleReader`. Engines read in any thread; all else is for the event loop of the cache's owner."""

    def __init__(
        self,
        limit_bytes: int = CACHE_BYTES,
        derived_bytes: int = DERIVED_BYTES,
        model_bytes: int = MODEL_BYTES,
    ) -> None:
        self._derived_limit = derived_bytes
        self._recordings = _FileStore(limit_bytes)
        self._models = _FileStore(model_bytes)
        self._derived: OrderedDict[_DerivedKey, Any] = OrderedDict()
        self._loans: set[SampleLoan] = set()
        self._forgetters: list[Callable[[Collection[str]], Awaitable[Any] | None]] = []
        self._lock = Lock()

    def __repr__(self) -> str:
        files = len(self._recordings) + len(self._models)
        return f"<SampleCache {files} recordings, {len(self._loans)} loans>"

    def missing(self, job: SpeechJob) -> tuple[str, ...]:
        """Return the digests of the recordings that the job needs and that are not here."""
        digests = find_digests(job.voice)
        room = self._files_for(job)
        return tuple(each for each in digests if room.get(_Name.of(job, each)) is None)

    def receive(self, sample: PutSample) -> None:
        """Store a recording or a piece of a file that the server sends. Raises EngineBusy."""
        if sample.size:
            piece = ModelPiece(sample.pcm, sample.begin, sample.size)
            self.put_piece(sample.tenant, sample.model, sample.digest, piece)
        else:
            self.put(sample.tenant, sample.model, sample.digest, sample.pcm)

    def put(self, tenant: str, model: str, digest: str, pcm: bytes) -> None:
        """Store a recording. Raises EngineBusy if jobs that run now need all the room."""
        name = _Name(tenant, model, digest)
        with self._lock:
            removed = self._recordings.add(name, _File(len(pcm), pcm), self._loaned)
            self._forget_derived([name, *removed])

    def put_piece(self, tenant: str, model: str, digest: str, piece: ModelPiece) -> None:
        """Store a piece of a trained voice's file, which is there once the last one is. They come in order.

        Raises EngineBusy if there is no room, or if an earlier piece was given up meanwhile.
        """
        with self._lock:
            self._models.add_piece(_Name(tenant, model, digest), piece, self._loaned)

    def lend(self, job: SpeechJob, on_drop: Callable[[], object]) -> SampleLoan:
        """Hold the recordings of a job. Call it in the same step in which none was missing."""
        names = [_Name.of(job, digest) for digest in find_digests(job.voice)]
        loan = SampleLoan(self, names, on_drop)
        with self._lock:
            for name in names:
                self._files_for(job).note_use(name)
            self._loans.add(loan)
        return loan

    def give_back(self, loan: SampleLoan) -> None:
        with self._lock:
            self._loans.discard(loan)

    def drop(self, digests: Collection[str]) -> list[Awaitable[Any]]:
        """Forget these recordings and all values derived from them. The jobs that use them end.

        Returns their loans, and awaitables of the engine: its own copies are removed when all of these are
        over.
        """
        dropped = frozenset(digests)
        with self._lock:
            self._recordings.remove(dropped)
            self._models.remove(dropped)
            self._forget_derived(
                [name for key in self._derived for name in key.names if name.digest in dropped]
            )
            loans = [each for each in self._loans if any(name.digest in dropped for name in each.names)]
        forgetting = [forget(dropped) for forget in self._forgetters]
        for loan in loans:
            loan.drop()
        return [*loans, *filter(None, forgetting)]

    def drop_all(self) -> list[Awaitable[Any]]:
        """Forget all recordings, as `drop` does."""
        with self._lock:
            digests = {name.digest for room in (self._recordings, self._models) for name in room.names()}
            digests |= {name.digest for key in self._derived for name in key.names}
            digests |= {name.digest for loan in self._loans for name in loan.names}
        return self.drop(digests)

    def pcm(self, job: SpeechJob, sample: Sample) -> bytes:
        return self._stored_file(job, sample.digest)

    def model(self, job: SpeechJob, voice: Trained) -> bytes:
        return self._stored_file(job, voice.digest)

    def on_drop(self, forget: Callable[[Collection[str]], Awaitable[Any] | None]) -> None:
        self._forgetters.append(forget)

    def _stored_file(self, job: SpeechJob, digest: str) -> bytes:
        with self._lock:
            found = self._files_for(job).get(_Name.of(job, digest))
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
            # No derived value may outlive a recording that was dropped in the meantime.
            if all(self._recordings.get(name) is not None for name in names):
                self._derived[key] = made
            while (
                len(self._derived) > _MOST_DERIVED
                or sum(getattr(each, "nbytes", 0) for each in self._derived.values()) > self._derived_limit
            ):
                self._derived.popitem(last=False)
        return made

    @property
    def _loaned(self) -> set[_Name]:
        return {each for loan in self._loans for each in loan.names}

    def _files_for(self, job: SpeechJob) -> _FileStore:
        return self._models if isinstance(job.voice, Trained) else self._recordings

    def _forget_derived(self, removed: Collection[_Name]) -> None:
        for key in [each for each in self._derived if any(name in removed for name in each.names)]:
            del self._derived[key]
