"""An answer that is sent whole: its sound is collected, and then its file is read in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from proxy.audio.formats import Chunk
from proxy.errors import ReaderTooSlow, TooLongToSign
from proxy.ledger import Hold
from proxy.speech.answer import Answer
from proxy.speech.answer_file import AnswerFile
from proxy.speech.call import SpeechCall
from proxy.speech.deadline import StoppableBlock
from proxy.speech.observer import Observer, Observers
from proxy.speech.speech_stream import Speech, WholeBytes
from proxy.speech.spill import ReaderPace, SpillQuota, SpillReservation
from proxy.speech_steps.whole_file import FileStream, SpilledBytes


class WholeAnswer(Answer):
    """An answer that can be collected. It has a `reservation` of room for its files."""

    def __init__(
        self,
        call: SpeechCall,
        speech: Speech,
        hold: Hold,
        room: SpillQuota,
        observers: Observers,
        reservation: SpillReservation | None,
    ) -> None:
        super().__init__(call, speech, hold, room, observers)
        self._reservation = reservation
        self._whole_sound = Chunk()
        self._is_collected = False
        self._spilled_files: list[SpilledBytes] = []
        self._reading: StoppableBlock | None = None

    @property
    def whole_samples(self) -> int:
        return self._whole_sound.samples if self._is_collected else self.samples

    async def collect_file(self) -> int:
        # The sound is stored on the disk, because the client may be slow. A cached clip is there already.
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

    async def read_collected(self) -> bytes:
        assert isinstance(self._sound, FileStream)
        return await self._sound.read_all()

    @contextmanager
    def reading(self) -> Iterator[None]:
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

    def count_broken(self) -> None:
        """Count also all samples of a collected answer, if its client was too slow."""
        super().count_broken()
        if self._is_collected and self._was_cut:
            self._count_whole_sound()

    def count_sent(self, share: float) -> None:
        """Count all of an answer that a provider has made, because the provider bills it."""
        super().count_sent(share)
        totals = self.call.totals
        if any(not each.model.info.is_local and each.output.seconds for each in totals.attempts):
            self._count_whole_sound()

    async def close(self) -> None:
        try:
            await super().close()
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

    def _count_whole_sound(self) -> None:
        """Count all sound that was made for a whole answer, if it is more than the counted sound."""
        totals, whole = self.call.totals, self._whole_sound
        if whole.samples > totals.samples:
            totals.samples, totals.sample_rate_hz = whole.samples, whole.sample_rate_hz
