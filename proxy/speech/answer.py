"""An answer that has begun: what its client took of the sound, and what it pays for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil

from proxy.audio.formats import Chunk
from proxy.errors import ReaderTooSlow, TooLongToSign
from proxy.ledger import Hold
from proxy.speech.call import SpeechCall
from proxy.speech.deadline import Deadline
from proxy.speech.prefetch import Prefetch
from proxy.speech.speech_stream import Speech, SpeechStream, WholeBytes
from proxy.speech.spill import PacedStream, ReaderPace, RoomPromise, SpillRoom
from proxy.speech.tap import Tap, Taps
from proxy.speech.whole_file import AnswerFile, FileStream, SpilledBytes


class Answer:
    """An answer that has begun: its first bytes exist, so its headers may go out.

    One that goes out whole has a `promise` of room.
    """

    def __init__(
        self,
        call: SpeechCall,
        speech: Speech,
        hold: Hold,
        room: SpillRoom,
        taps: Taps,
        promise: RoomPromise | None = None,
    ) -> None:
        self.call = call
        self.speech = speech
        self.taps = taps
        self._hold = hold
        self._room = room
        self._promise = promise
        # What taps do with the bytes as they are given out, and when the client has taken them.
        self._listeners, self._taken = taps.chunk, taps.taken
        self._sound: SpeechStream = speech
        self._prefetch: Prefetch[Speech] | None = None
        # The chunks that were given out and have not been taken by the client yet.
        self._unwritten: list[Chunk] = []
        # Of an answer that goes out whole: the sound that was made, and what is kept of it until it has gone.
        self._made = Chunk()
        self._is_collected = False
        self._kept: list[SpilledBytes] = []
        self._reading: Deadline | None = None
        # The samples that were given out when the client left: a recorded answer goes on without it.
        self._given_at_departure: int | None = None

    async def next_chunk(self) -> bytes | None:
        """Return the next bytes, or None before the last ones. They count as written at the next call."""
        if self._unwritten:
            self._count_written()
        for note_taken in self._taken:
            note_taken()
        chunk = await self._sound.next_chunk()
        if chunk is None:
            return None
        for listen in self._listeners:
            listen(chunk.data)
        self._unwritten.append(chunk)
        return chunk.data

    def last(self) -> bytes:
        """Return the end of the sound, which is never empty. Send it only after `settle`."""
        chunk = self._sound.last_chunk()
        for listen in self._listeners:
            listen(chunk.data)
        self._unwritten.append(chunk)
        return chunk.data

    @property
    def samples(self) -> int:
        """The samples that were given out so far."""
        return self.call.tally.samples + sum(chunk.samples for chunk in self._unwritten)

    @property
    def seconds(self) -> float:
        """The length of what was given out so far, or of all sound once it is collected."""
        samples = self._made.samples if self._is_collected else self.samples
        return samples / self.speech.sample_rate_hz

    async def settle(self) -> None:
        """Settle the request as finished, and return when that is on the disk.

        What goes out after that counts as written. If the client leaves before, it does not.
        """
        tally = self.call.tally
        before = tally.samples
        self._count_written()
        try:
            spent = tally.spent()
            for add in self.taps.settle:
                spent = add(spent)
            await self._hold.settle("finished", spent)
        except BaseException:
            tally.samples = before
            raise

    async def collect(self) -> int:
        """Wait for all sound, and return the size of its file. From now on, the chunks are that file's.

        The sound is kept on the disk, as the client may be slow. A clip of the cache is there already.
        """
        pace = self._new_pace()
        with pace.resting():
            streamed = await self._streamed(pace)
            rate_hz = self.speech.sample_rate_hz
            form = self.call.form_by(self.speech.engine)
            whole = await self._finished(AnswerFile(streamed, form, rate_hz), pace)
        if self._promise is not None:
            self._promise.keep_used()
        # The taps have had the sound. From now on, they get its file.
        self._listeners, self._taken = self.taps.piece, []
        self._is_collected = True
        self._sound = FileStream(whole, self._made.samples, rate_hz, pace)
        return whole.size

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Raise ReaderTooSlow as soon as others need the room of what was collected: the client may stall."""
        deadline = self._reading = Deadline()
        try:
            with deadline:
                yield
        except TimeoutError:
            if not self._was_cut:
                raise
            raise ReaderTooSlow("The client took its whole answer too slowly.") from None
        finally:
            self._reading = None

    def run_ahead(self) -> None:
        """Read the rest in a task of its own, because the client is slow: the engine must not wait for it."""
        if self._prefetch is None and self.speech.holds_engine:
            self._sound = self._prefetch = Prefetch(self._begun, self._room, self._new_pace())

    def keep_live_pace(self, is_hurried: Callable[[], bool]) -> None:
        """Give the sound at the pace at which it plays. The engine does not wait for that."""
        pace = self._new_pace()
        self._prefetch = Prefetch(self._begun, self._room, pace)
        self._sound = PacedStream(self._prefetch, is_hurried, pace)

    def note_departure(self) -> None:
        """Note that the client has left: of what is made from now on, nothing reaches it."""
        self._given_at_departure = self.samples

    def count_broken(self) -> None:
        """Count as written what was given out before the client left, as the answer broke off.

        What was collected for a client that then was too slow counts whole.
        """
        self._forget_unheard()
        if self._is_collected and self._was_cut:
            self._count_made()

    def count_sent(self, share: float) -> None:
        """Count only this share as written: the client left, and the rest of the sound did not reach it.

        Of a whole answer, all that a provider has made counts: it bills that, whatever reached the client.
        """
        self._count_written()
        self._forget_unheard()
        tally = self.call.tally
        tally.samples = ceil(tally.samples * share)
        if any(not each.model.info.is_local and each.output.seconds for each in tally.attempts):
            self._count_made()

    async def close(self) -> None:
        if self._prefetch is not None:
            await self._prefetch.close()
        try:
            await self.speech.close()
        finally:
            for kept in self._kept:
                await kept.close()

    async def _streamed(self, pace: ReaderPace) -> WholeBytes:
        """Return the bytes as a stream would have them."""
        speech, rate_hz = self.speech, self.speech.sample_rate_hz
        if speech.kept is not None and self._rewriter is None:
            self._made = Chunk(b"", speech.kept.samples, rate_hz)
            return speech.kept
        kept, is_over = self._keep(pace), False
        while not is_over:
            chunk = await self._sound.next_chunk()
            for note_taken in self._taken:
                note_taken()
            if chunk is None:
                is_over, chunk = True, self._sound.last_chunk()
            for listen in self._listeners:
                listen(chunk.data)
            self._made = Chunk(b"", self._made.samples + chunk.samples, rate_hz)
            await kept.add(chunk.data)
        return kept

    async def _finished(self, file: AnswerFile, pace: ReaderPace) -> WholeBytes:
        """Return the file that goes out: this one, or the one that a tap writes in its place."""
        if (tap := self._rewriter) is None:
            return file
        finished = self._keep(pace)
        try:
            if not await tap.whole(file, finished):
                return file
        except TooLongToSign:
            # The sound was made in full, wherever its client is now.
            self._given_at_departure = None
            self._count_made()
            raise
        # Only the tap's file goes out.
        await self._kept[0].close()
        return finished

    def _new_pace(self) -> ReaderPace:
        return ReaderPace(account=self.call.caller.account)

    def _keep(self, pace: ReaderPace) -> SpilledBytes:
        kept = SpilledBytes(self._room, pace, self._promise, self._stop_reading)
        self._kept.append(kept)
        return kept

    @property
    def _rewriter(self) -> Tap | None:
        tap = self.taps.rewriter
        return tap if tap is not None and tap.rewrites else None

    @property
    def _was_cut(self) -> bool:
        return any(kept.was_cut for kept in self._kept)

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.expire()

    def _forget_unheard(self) -> None:
        tally = self.call.tally
        if self._given_at_departure is not None:
            tally.samples = min(tally.samples, self._given_at_departure)

    def _count_made(self) -> None:
        """Count all sound that was made for a whole answer, if that is more than what was given out."""
        tally = self.call.tally
        if self._made.samples > tally.samples:
            tally.samples = 0
            tally.add(self._made)

    def _count_written(self) -> None:
        for chunk in self._unwritten:
            self.call.tally.add(chunk)
        self._unwritten.clear()

    async def _begun(self) -> Speech:
        return self.speech
