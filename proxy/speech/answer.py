"""An answer that has begun: the sound that its client took, and the charged samples."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from math import ceil

from proxy.audio.formats import Chunk
from proxy.ledger import Hold
from proxy.speech.call import SpeechCall
from proxy.speech.observer import Observers
from proxy.speech.prefetch import Prefetch
from proxy.speech.speech_stream import Speech, SpeechStream
from proxy.speech.spill import PacedStream, PlayClock, ReaderPace, SpillQuota


class Answer:
    """An answer that has begun: its first bytes exist, so its headers may be sent. Only one that is sent
    whole can be collected: `proxy/speech_steps/whole_answer.py` has that class."""

    def __init__(
        self,
        call: SpeechCall,
        speech: Speech,
        hold: Hold,
        room: SpillQuota,
        observers: Observers,
    ) -> None:
        self.call = call
        self.speech = speech
        self.observers = observers
        self._hold = hold
        self._room = room
        # The observers' hooks for sound that is given out, and for bytes that the client has taken.
        self._sound_hooks, self._taken_hooks = observers.chunk, observers.taken
        self._sound: SpeechStream = speech
        self._prefetch: Prefetch[Speech] | None = None
        # The chunks that were given out, but not yet taken by the client.
        self._unwritten: list[Chunk] = []
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
        return self.samples

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

    async def collect_file(self) -> int:
        """Wait for all sound, and return the size of its file. Later chunks are pieces of that file.

        Only an answer whose call `goes_whole` can be collected: see `WholeQuota.begin_answer`.
        """
        raise NotImplementedError("the call does not go whole")

    async def read_collected(self) -> bytes:
        """Return the file of a collected answer before its first piece. Raises EngineError if it is gone."""
        raise NotImplementedError("the call does not go whole")

    def reading(self) -> AbstractContextManager[None]:
        """Raise ReaderTooSlow in the block when others need the room of the collected sound."""
        raise NotImplementedError("the call does not go whole")

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
        """Count the samples of an answer that broke off: those that were given out before the client left."""
        self._forget_unheard()

    def count_sent(self, share: float) -> None:
        """Count only this share as written, because the client left before it got the rest."""
        self._count_written()
        self._forget_unheard()
        totals = self.call.totals
        totals.samples = ceil(totals.samples * share)

    async def close(self) -> None:
        if self._prefetch is not None:
            await self._prefetch.close()
        await self.speech.close()

    def _new_pace(self) -> ReaderPace:
        return ReaderPace(account=self.call.caller.account)

    def _forget_unheard(self) -> None:
        totals = self.call.totals
        if self._released_at_departure is not None:
            totals.samples = min(totals.samples, self._released_at_departure)

    def _count_written(self) -> None:
        totals = self.call.totals
        for chunk in self._unwritten:
            totals.samples += chunk.samples
            totals.sample_rate_hz = chunk.sample_rate_hz
        self._unwritten.clear()

    async def _return_speech(self) -> Speech:
        return self.speech
