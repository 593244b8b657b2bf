"""An answer that has begun: the sound that its client took, and the charged samples."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil

from proxy.audio.formats import Chunk
from proxy.errors import ReaderTooSlow, TooLongToSign
from proxy.ledger import Hold
from proxy.speech.call import SpeechCall
from proxy.speech.deadline import StoppableBlock
from proxy.speech.observer import Observer, Observers
from proxy.speech.prefetch import Prefetch
from proxy.speech.speech_stream import Speech, SpeechStream, WholeBytes
from proxy.speech.spill import PacedStream, PlayClock, ReaderPace, SpillQuota, SpillReservation
from proxy.speech.whole_file import AnswerFile, FileStream, SpilledBytes


class Answer:
    """An answer that has begun: its first bytes exist, so its headers may be sent.

    An answer that is sent whole has a `reservation` of room for its files.
    """

    def __init__(
        self,
        call: SpeechCall,
        speech: Speech,
        hold: Hold,
        room: SpillQuota,
        observers: Observers,
        reservation: SpillReservation | None = None,
    ) -> None:
        self.call = call
        self.speech = speech
        self.observers = observers
        self._hold = hold
        self._room = room
        self._reservation = reservation
        # The observers' hooks for sound that is given out, and for bytes that the client has taken.
        self._sound_hooks, self._taken_hooks = observers.chunk, observers.taken
        self._sound: SpeechStream = speech
        self._prefetch: Prefetch[Speech] | None = None
        # The chunks that were given out, but not yet taken by the client.
        self._unwritten: list[Chunk] = []
        # The sound of an answer that is sent whole, and its files.
        self._whole_sound = Chunk()
        self._is_collected = False
        self._spilled_files: list[SpilledBytes] = []
        self._reading: StoppableBlock | None = None
        # The samples that were given out when the client left: a recorded answer continues without it.
        self._released_at_departure: int | None = None

    async def next_chunk(self) -> bytes | None:
        """Return the next bytes, or None before the last ones. They count as written at the next call."""
        if self._unwritten:
            self._count_written()
        for note_taken in self._taken_hooks:
            note_taken()
        chunk = await self._sound.next_chunk()
        if chunk is None:
            return None
        for note_sound in self._sound_hooks:
            note_sound(chunk.data)
        self._unwritten.append(chunk)
        return chunk.data

    def last_bytes(self) -> bytes:
        """Return the last bytes. They count as written in `settle`."""
        chunk = self._sound.last_chunk()
        for note_sound in self._sound_hooks:
            note_sound(chunk.data)
        self._unwritten.append(chunk)
        return chunk.data

    @property
    def samples(self) -> int:
        return self.call.totals.samples + sum(chunk.samples for chunk in self._unwritten)

    @property
    def whole_samples(self) -> int:
        """The samples so far, or those of a collected answer."""
        return self._whole_sound.samples if self._is_collected else self.samples

    @property
    def seconds(self) -> float:
        return self.whole_samples / self.speech.sample_rate_hz

    async def settle(self) -> None:
        """Settle the request as finished, and return when that is on the disk.

        The last bytes, sent after that, count as written. If the client leaves before, they do not.
        """
        totals = self.call.totals
        samples_before = totals.samples
        self._count_written()
        try:
            spent = totals.spent()
            for add_rows in self.observers.settle:
                spent = add_rows(spent)
            await self._hold.settle("finished", spent)
        except BaseException:
            totals.samples = samples_before
            raise

    async def collect(self) -> int:
        """Wait for all sound, and return the size of its file. Later chunks are pieces of that file.

        The sound is stored on the disk, because the client may be slow. A cached clip is there already.
        """
        pace = self._new_pace()
        with pace.resting():
            streamed = await self._collect_speech(pace)
            rate_hz = self.speech.sample_rate_hz
            form = self.call.form_by(self.speech.engine)
            whole = await self._file_to_send(AnswerFile(streamed, form, rate_hz), pace)
        if self._reservation is not None:
            self._reservation.keep_used()
        # The observers have had the sound. Now they get its file.
        self._sound_hooks, self._taken_hooks = self.observers.piece, []
        self._is_collected = True
        self._sound = FileStream(whole, self._whole_sound.samples, rate_hz, pace)
        return whole.size

    async def read_file(self) -> bytes:
        """Return the file of a collected answer before its first piece. Raises EngineError if it is gone."""
        assert isinstance(self._sound, FileStream)
        return await self._sound.read_all()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Raise ReaderTooSlow in the block when others need the room of the collected sound."""
        block = self._reading = StoppableBlock()
        try:
            with block:
                yield
        except TimeoutError:
            if not self._was_cut:
                raise
            raise ReaderTooSlow("The client took its whole answer too slowly.") from None
        finally:
            self._reading = None

    def run_ahead(self) -> None:
        """Read the rest in a separate task, so that the engine does not wait for a slow client."""
        if self._prefetch is None and self.speech.holds_engine:
            self._sound = self._prefetch = Prefetch(self._return_speech, self._room, self._new_pace())

    def keep_live_pace(self, is_hurried: Callable[[], bool], clock: PlayClock | None = None) -> asyncio.Event:
        """Send the sound only shortly before it plays, until `is_hurried` returns true. Return the event that
        is set when all of it is made."""
        pace = self._new_pace()
        self._prefetch = Prefetch(self._return_speech, self._room, pace)
        self._sound = PacedStream(self._prefetch, is_hurried, pace, clock or PlayClock())
        return self._prefetch.finished

    def note_departure(self) -> None:
        """Note that the client has left: it gets no more sound."""
        self._released_at_departure = self.samples

    def count_broken(self) -> None:
        """Count the samples of an answer that broke off: those that were given out before the client left.

        If a whole answer was collected and its client was too slow, all samples count.
        """
        self._forget_unheard()
        if self._is_collected and self._was_cut:
            self._count_whole_sound()

    def count_sent(self, share: float) -> None:
        """Count only this share as written, because the client left before it got the rest.

        If a provider has made a whole answer, all of it counts, because the provider bills it.
        """
        self._count_written()
        self._forget_unheard()
        totals = self.call.totals
        totals.samples = ceil(totals.samples * share)
        if any(not each.model.info.is_local and each.output.seconds for each in totals.attempts):
            self._count_whole_sound()

    async def close(self) -> None:
        if self._prefetch is not None:
            await self._prefetch.close()
        try:
            await self.speech.close()
        finally:
            for spilled in self._spilled_files:
                await spilled.close()

    async def _collect_speech(self, pace: ReaderPace) -> WholeBytes:
        speech, rate_hz = self.speech, self.speech.sample_rate_hz
        if speech.stored is not None and self._rewriter is None:
            self._whole_sound = Chunk(b"", speech.stored.samples, rate_hz)
            return speech.stored
        spilled, is_over = self._new_spilled(pace), False
        while not is_over:
            chunk = await self._sound.next_chunk()
            for note_taken in self._taken_hooks:
                note_taken()
            if chunk is None:
                is_over, chunk = True, self._sound.last_chunk()
            for note_sound in self._sound_hooks:
                note_sound(chunk.data)
            self._whole_sound = Chunk(b"", self._whole_sound.samples + chunk.samples, rate_hz)
            await spilled.add(chunk.data)
        return spilled

    async def _file_to_send(self, file: AnswerFile, pace: ReaderPace) -> WholeBytes:
        """Return the file to send: this file, or the file that an observer writes from it."""
        if (observer := self._rewriter) is None:
            return file
        finished = self._new_spilled(pace)
        try:
            if not await observer.whole(file, finished):
                return file
        except TooLongToSign:
            # All sound was made, even if the client has left.
            self._released_at_departure = None
            self._count_whole_sound()
            raise
        # Only the observer's file is sent.
        await self._spilled_files[0].close()
        return finished

    def _new_pace(self) -> ReaderPace:
        return ReaderPace(account=self.call.caller.account)

    def _new_spilled(self, pace: ReaderPace) -> SpilledBytes:
        spilled = SpilledBytes(self._room, pace, self._reservation, self._stop_reading)
        self._spilled_files.append(spilled)
        return spilled

    @property
    def _rewriter(self) -> Observer | None:
        observer = self.observers.rewriter
        return observer if observer is not None and observer.rewrites else None

    @property
    def _was_cut(self) -> bool:
        return any(spilled.was_cut for spilled in self._spilled_files)

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.expire()

    def _forget_unheard(self) -> None:
        totals = self.call.totals
        if self._released_at_departure is not None:
            totals.samples = min(totals.samples, self._released_at_departure)

    def _count_whole_sound(self) -> None:
        """Count all sound that was made for a whole answer, if it is more than the counted sound."""
        totals, whole = self.call.totals, self._whole_sound
        if whole.samples > totals.samples:
            totals.samples, totals.sample_rate_hz = whole.samples, whole.sample_rate_hz

    def _count_written(self) -> None:
        totals = self.call.totals
        for chunk in self._unwritten:
            totals.samples += chunk.samples
            totals.sample_rate_hz = chunk.sample_rate_hz
        self._unwritten.clear()

    async def _return_speech(self) -> Speech:
        return self.speech
