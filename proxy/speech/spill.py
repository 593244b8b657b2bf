"""Sound on the disk that a client has not taken yet: files without names, and their shared room.

When the room of a worker is used up, the answer of the slowest client that does not keep up breaks off. An
answer that goes out whole gets its room before an engine speaks.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

import structlog

from proxy.audio.formats import Chunk
from proxy.errors import NoDiskSpace, ReaderTooSlow
from proxy.speech.speech_stream import SpeechStream

_MEGABYTE = 1024 * 1024
_CREDIT_S = 2.0
"""The seconds of sound that count as taken at first: a reader that has just begun is not slow yet."""
_KEEPS_UP = 1.0
"""The pace of a listener in seconds of sound a second."""
_WHOLE_SHARE = 3 / 4
"""The share of the room for answers that go out whole. The rest is for streams."""
_MORE_SHARE = 1 / 2
"""The share that an account with a whole answer may fill, so that other accounts have room for one."""

T = TypeVar("T")
_log = structlog.get_logger()


class ReaderPace:
    """The pace at which a client takes ready sound, in seconds of sound a second.

    All files of an answer share one pace, since the sound of a later part waits for the same client.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, account: str = "") -> None:
        self.account = account
        self._clock = clock
        self._began = clock()
        self._taken_s = 0.0
        self._rested_s = 0.0
        self._rests_since: float | None = None

    @property
    def value(self) -> float:
        now = self._clock() if self._rests_since is None else self._rests_since
        return (self._taken_s + _CREDIT_S) / (now - self._began - self._rested_s + 1.0)

    def note_chunk(self, chunk: Chunk) -> None:
        self._taken_s += chunk.samples / chunk.sample_rate_hz

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Exclude the time of the block: the client waits for the server, or is paced by it."""
        self._rests_since = self._clock()
        try:
            yield
        finally:
            self._rested_s += self._clock() - self._rests_since
            self._rests_since = None


class SpillReservation:
    """The room that one whole answer gets before it is spoken. Its files fill it, and may then take more."""

    def __init__(self, room: SpillQuota, account: str, size: int) -> None:
        self.account = account
        self._room = room
        self._reserved_bytes = size
        self._used_bytes = 0

    @property
    def size(self) -> int:
        return max(self._reserved_bytes, self._used_bytes)

    def use(self, count: int) -> int:
        """Note `count` more bytes in files, or fewer if negative. Return the growth of the reservation."""
        size_before = self.size
        self._used_bytes += count
        return self.size - size_before

    def lacks(self, count: int) -> int:
        """Return how many of `count` more bytes are beyond the reservation."""
        return max(0, self._used_bytes + count - self.size)

    def shrink(self) -> int:
        """Give up what files do not use. Return the change of the size, which is 0 or negative."""
        size_before, self._reserved_bytes = self.size, 0
        return self.size - size_before

    def keep_used(self) -> None:
        """Give back the unused bytes: the files are complete."""
        self._room.release(self)

    def close(self) -> None:
        """Give back all bytes that no file uses."""
        self._room.release(self, is_over=True)


class SpillQuota:
    """The room on the disk of one worker for sound that clients have not taken yet.

    The files have no names, so a killed worker leaves none behind.
    """

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.limit_to(megabytes)
        self.memory_bytes = 0  # of sound in memory, before it is put into a file
        self._folder = folder
        self._used_bytes = 0
        self._files: dict[SpillFile, None] = {}
        self._reservations: dict[SpillReservation, None] = {}

    def __repr__(self) -> str:
        return f"<SpillQuota {self._used_bytes} of {self._most_bytes} bytes, {len(self._files)} files>"

    def limit_to(self, megabytes: int) -> None:
        self._most_bytes = megabytes * _MEGABYTE

    def open(self) -> IO[bytes]:
        return tempfile.TemporaryFile(dir=self._folder, buffering=0)

    def reserve(self, account: str, count: int) -> SpillReservation:
        """Reserve room for a whole answer. Only clients that do not keep up lose room. Raises NoDiskSpace."""
        has_some = any(each.account == account and each.size for each in self._reservations)
        most = self._most_bytes * (_MORE_SHARE if has_some else _WHOLE_SHARE)
        while count:
            wholes_over = sum([each.size for each in self._reservations]) + count - most
            all_over = self._used_bytes + count - self._most_bytes
            if wholes_over <= 0 and all_over <= 0:
                break
            slow = self._slow_files()
            slow_wholes = [each for each in slow if each.reservation is not None]
            if wholes_over > _sizes(slow_wholes) or all_over > _sizes(slow):
                # There would not be enough room, so no answer breaks off.
                _log.warning("answer.spill.refused", used=self._used_bytes, files=len(self._files))
                raise NoDiskSpace("There is no room for a whole answer.", retry_after_s=5.0)
            self._break_off(slow_wholes if wholes_over > 0 else slow)
        reservation = SpillReservation(self, account, count)
        self._reservations[reservation] = None
        self._used_bytes += count
        return reservation

    def release(self, reservation: SpillReservation, *, is_over: bool = False) -> None:
        """Take back the unused bytes of a reservation."""
        self._used_bytes += reservation.shrink()
        if is_over:
            self._reservations.pop(reservation, None)

    def take_disk(self, file: SpillFile, count: int) -> None:
        """Take room for `count` bytes. Answers of slow clients break off for it, perhaps this one.

        If all clients keep up, a whole answer breaks off itself. For a stream, a stream of the account with
        the largest streams breaks off.
        """
        self._files[file] = None
        reservation = file.reservation
        lacks = count if reservation is None else reservation.lacks(count)
        while lacks and self._used_bytes + lacks > self._most_bytes and not file.is_broken:
            slow = self._slow_files()
            self._break_off(slow or ([file] if reservation is not None else self._files_of_largest()))
        if not file.is_broken:
            self._used_bytes += count if reservation is None else reservation.use(count)

    def give_back(self, file: SpillFile, count: int) -> None:
        self._files.pop(file, None)
        self._used_bytes += -count if file.reservation is None else file.reservation.use(-count)

    def _slow_files(self) -> list[SpillFile]:
        return [each for each in self._files if each.pace.value < _KEEPS_UP]

    def _files_of_largest(self) -> list[SpillFile]:
        """Return the streams of the account whose streams are the largest together."""
        sizes = Counter[str]()
        streams = [each for each in self._files if each.reservation is None]
        for each in streams:
            sizes[each.pace.account] += each.size
        ((largest, _),) = sizes.most_common(1)
        return [each for each in streams if each.pace.account == largest]

    def _break_off(self, files: list[SpillFile]) -> None:
        _log.warning("answer.spill.refused", used=self._used_bytes, files=len(self._files))
        min(files, key=lambda each: each.pace.value).break_off()


class SpillFile:
    """Bytes on the disk. `on_broken` is called if they are discarded for others, or the disk fails."""

    def __init__(
        self,
        room: SpillQuota,
        on_broken: Callable[[], None],
        pace: ReaderPace | None = None,
        reservation: SpillReservation | None = None,
    ) -> None:
        self.is_broken = False
        self.was_cut = False
        self.reservation = reservation
        self.pace = pace or ReaderPace()
        self.size = 0
        self._room = room
        self._on_broken = on_broken
        self._file: IO[bytes] | None = None
        self._at_work: set[asyncio.Future[Any]] = set()

    async def append(self, data: bytes) -> None:
        """Add bytes. Raises ReaderTooSlow if there is no room for them, or the disk fails."""
        self.check()
        try:
            if self._file is None:
                self._file = self._room.open()
            self._room.take_disk(self, len(data))
            self.check()
            file, offset = self._file, self.size
            self.size += len(data)
            await self._in_thread(lambda: _write_all(file, data, offset))
        except OSError as error:
            self._fail(error)
        if self.is_broken:
            self._shrink()
        self.check()

    async def read(self, offset: int, count: int) -> bytes:
        """Return `count` bytes from `offset` on. Raises ReaderTooSlow if they are gone."""
        self.check()
        file = self._file
        assert file is not None
        try:
            data = await self._in_thread(lambda: os.pread(file.fileno(), count, offset))
        except OSError as error:
            self._fail(error)
        self.check()
        return data

    def check(self) -> None:
        if self.is_broken:
            raise ReaderTooSlow("The client took its answer too slowly, and there was no room to keep it.")

    def break_off(self) -> None:
        """Discard all bytes, because others need the room."""
        self.was_cut = True
        self._break()

    async def empty(self) -> None:
        """Discard all bytes, so that the file can be written again."""
        self._forget()
        if (shrinking := self._shrink()) is not None:
            await asyncio.shield(shrinking)

    async def close(self) -> None:
        self.is_broken = True
        self._forget()
        if self._at_work:
            # A thread still has the file.
            await asyncio.wait(self._at_work)
        if self._file is not None:
            self._file.close()
            self._file = None
        self._on_broken = no_owner

    def _fail(self, error: OSError) -> None:
        _log.warning("answer.spill.failed", error=type(error).__name__)
        self._break()

    def _break(self) -> None:
        self.is_broken = True
        self._forget()
        self._shrink()
        self._on_broken()

    def _forget(self) -> None:
        self._room.give_back(self, self.size)
        self.size = 0

    def _shrink(self) -> asyncio.Future[None] | None:
        """Free the disk at once: the file may stay open until the client reads again."""
        file = self._file
        return None if file is None else self._begin_work(lambda: _cut_off(file))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        # If this call is cancelled, the thread continues, and `close` waits for it.
        return await asyncio.shield(self._begin_work(work))

    def _begin_work(self, work: Callable[[], T]) -> asyncio.Future[T]:
        future = asyncio.get_running_loop().run_in_executor(None, work)
        self._at_work.add(future)
        future.add_done_callback(self._at_work.discard)
        return future


def no_owner() -> None:
    """Stand in for the owner of a closed file: a cycle would keep both in memory until a collection."""


def _sizes(files: list[SpillFile]) -> int:
    return sum([file.size for file in files])


def _cut_off(file: IO[bytes]) -> None:
    # A failing disk was reported before.
    with suppress(OSError):
        os.ftruncate(file.fileno(), 0)


def _write_all(file: IO[bytes], data: bytes, offset: int) -> None:
    rest = memoryview(data)
    while rest:
        count = os.pwrite(file.fileno(), rest, offset)
        rest, offset = rest[count:], offset + count


class PlayClock:
    """The time of a listener that gets sound at most `ahead_s` before it plays, in pieces of `piece_s`: so a
    slow moment of the network is no gap. All answers that are heard as one sound share a clock.

    `given_s` is the sound that the listener got. Where it ran out, the listener waited for more.
    """

    def __init__(self, ahead_s: float = 5.0, piece_s: float = 0.5) -> None:
        self.ahead_s = ahead_s
        self.piece_s = piece_s
        self.given_s = 0.0
        self._began: float | None = None

    @property
    def played_s(self) -> float:
        """The sound that has played by now."""
        if self._began is None:
            return 0.0
        return min(self.given_s, asyncio.get_running_loop().time() - self._began)

    async def give_sound(self, seconds: float, is_hurried: Callable[[], bool]) -> None:
        """Wait until the listener may have so much more. `is_hurried` tells when to stop waiting."""
        now = asyncio.get_running_loop().time()
        if self._began is None or now - self._began > self.given_s:
            self._began = now - self.given_s
        ahead_s = self.given_s + seconds - (now - self._began) - self.ahead_s
        if ahead_s > 0 and not is_hurried():
            await asyncio.sleep(ahead_s)
        self.given_s += seconds


class ReadySound(SpeechStream, Protocol):
    def ready_chunk(self) -> Chunk | None:
        """Return the next chunk if it is ready."""
        ...


class PacedStream:
    """A stream that gives its sound in small pieces, as its clock allows. Smaller chunks that are ready are
    joined: each piece costs the worker a write.

    `is_hurried` tells when to stop waiting: the server stops, or the client has left.
    """

    holds_engine = False

    def __init__(
        self, sound: ReadySound, is_hurried: Callable[[], bool], pace: ReaderPace, clock: PlayClock
    ) -> None:
        self._sound = sound
        self._is_hurried = is_hurried
        self._pace = pace
        self._clock = clock
        self._rest = Chunk()

    async def next_chunk(self) -> Chunk | None:
        if not self._rest.data:
            chunk = await self._sound.next_chunk()
            if chunk is None:
                return None
            self._rest = chunk
        most_s = self._clock.piece_s
        while (seconds := self._rest.samples / self._rest.sample_rate_hz) < most_s:
            if (ready := self._sound.ready_chunk()) is None:
                break
            self._rest += ready
        size = max(1, round(len(self._rest.data) * most_s / max(seconds, most_s)))
        piece, self._rest = self._rest.split(size)
        with self._pace.resting():
            await self._clock.give_sound(piece.samples / piece.sample_rate_hz, self._is_hurried)
        return piece

    def last_chunk(self) -> Chunk:
        return self._sound.last_chunk()

    async def close(self) -> None:
        await self._sound.close()
