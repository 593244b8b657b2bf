"""An answer that has begun: what its client took of the sound, and what it pays for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import ceil

import msgspec

from proxy.audio.formats import Chunk, OutputForm, whole_wav
from proxy.ledger import Hold
from proxy.provenance.clip_digest import ClipDigest
from proxy.speech.cache import CacheLookup
from proxy.speech.call import SpeechCall
from proxy.speech.clip_facts import clip_facts
from proxy.speech.live_pace import PacedStream
from proxy.speech.prefetch import Prefetch
from proxy.speech.sound_queue import ReaderPace, SpillRoom
from proxy.speech.speech_stream import Speech, SpeechStream
from proxy.storage.receipts import ManifestPlace
from proxy.voices.erased_voices import ErasedVoices

Finish = Callable[[bytes, OutputForm, int, int], Awaitable[bytes]]
"""Makes the file that is sent of a whole one, its form, its samples and their rate in Hz.

It gives the same bytes back if it embeds no manifest.
"""


class Answer:
    """An answer that has begun: its first bytes exist, so its headers may go out.

    Its `digest` is of the audio as the client gets it: receipts and manifests beside the clip need it.
    """

    def __init__(
        self,
        call: SpeechCall,
        speech: Speech,
        hold: Hold,
        lookup: CacheLookup,
        room: SpillRoom,
        erased: ErasedVoices,
        digest: ClipDigest | None = None,
        finish: Finish | None = None,
    ) -> None:
        self.call = call
        self.speech = speech
        self.digest = digest
        self.is_whole = False
        self.manifest: ManifestPlace = ""
        # Under which a manifest beside the clip can be had.
        self.manifest_id = ""
        self.has_receipt = False
        self._finish = finish
        self._hold = hold
        self._lookup = lookup
        self._room = room
        self._erased = erased
        self._own_voices = call.plan.own_voices
        self._sound: SpeechStream = speech
        self._prefetch: Prefetch[Speech] | None = None
        # The chunks that were given out and have not been taken by the client yet.
        self._unwritten: list[Chunk] = []
        # The samples that were given out when the client left: a recorded answer goes on without it.
        self._given_at_departure: int | None = None

    def __repr__(self) -> str:
        return f"<Answer {self.speech!r}, {self._hold!r}>"

    def note_manifest(self, id_: str) -> None:
        """Note the id of the manifest beside the clip. Without one, there is none."""
        self.manifest_id = id_
        self.manifest = "sidecar" if id_ else ""

    async def next_chunk(self) -> bytes | None:
        """Return the next bytes, or None before the last ones. They count as written at the next call."""
        self._count_written()
        self._lookup.resume()
        chunk = await self._sound.next_chunk()
        if self._own_voices:
            self._erased.check(self._own_voices)
        if chunk is None:
            return None
        self._lookup.record(chunk.data)
        self._unwritten.append(chunk)
        if self.digest is not None:
            self.digest.add(chunk.data)
        return chunk.data

    def last(self) -> bytes:
        """Return the end of the sound, which is never empty. Send it only after `settle`."""
        chunk = self._sound.last_chunk()
        self._lookup.record(chunk.data)
        self._unwritten.append(chunk)
        self.is_whole = True
        if self.digest is not None:
            self.digest.add(chunk.data)
        return chunk.data

    @property
    def samples(self) -> int:
        """The samples that were given out so far."""
        return self.call.tally.samples + sum(chunk.samples for chunk in self._unwritten)

    @property
    def seconds(self) -> float:
        return self.samples / self.speech.sample_rate_hz

    async def settle(self) -> None:
        """Settle the request as finished, and return when that is on the disk.

        What goes out after that counts as written. If the client leaves before, it does not.
        """
        tally = self.call.tally
        before = tally.samples
        self._count_written()
        try:
            spent = tally.spent()
            if self.digest is not None:
                facts = clip_facts(self.call, self.speech, self.digest, spent.samples, self.manifest)
                facts = msgspec.structs.replace(facts, has_receipt=self.has_receipt)
                spent = msgspec.structs.replace(spent, facts=facts)
            await self._hold.settle("finished", spent)
        except BaseException:
            tally.samples = before
            raise

    async def whole(self) -> bytes:
        """Return the file as it is sent, for an answer in one piece. It counts as written at `settle`."""
        while (chunk := await self._sound.next_chunk()) is not None:
            self._erased.check(self._own_voices)
            self._lookup.record(chunk.data)
            self._lookup.resume()
            self._unwritten.append(chunk)
        self._erased.check(self._own_voices)
        self.last()
        body = await self._file(b"".join(chunk.data for chunk in self._unwritten))
        if self.digest is not None:
            self.digest = ClipDigest.of(body)
        return body

    def run_ahead(self) -> None:
        """Read the rest in a task of its own, because the client is slow: the engine must not wait for it."""
        if self._prefetch is None and self.speech.holds_engine:
            self._sound = self._prefetch = Prefetch(self._begun, self._room)

    def keep_live_pace(self, is_hurried: Callable[[], bool]) -> None:
        """Give the sound at the pace at which it is heard. The engine does not wait for that."""
        self._lookup.go_alone()
        pace = ReaderPace()
        self._prefetch = Prefetch(self._begun, self._room, pace)
        self._sound = PacedStream(self._prefetch, is_hurried, pace)

    def note_departure(self) -> None:
        """Note that the client has left: of what is made from now on, nothing reaches it."""
        self._given_at_departure = self.samples

    def forget_unheard(self) -> None:
        """Count as written only what was given out before the client left."""
        tally = self.call.tally
        if self._given_at_departure is not None:
            tally.samples = min(tally.samples, self._given_at_departure)

    def count_sent(self, share: float) -> None:
        """Count only this share as written: the client left, and the rest of the sound did not reach it."""
        self._count_written()
        self.forget_unheard()
        self.call.tally.samples = ceil(self.call.tally.samples * share)

    async def close(self) -> None:
        if self._prefetch is not None:
            await self._prefetch.close()
        await self.speech.close()

    async def _file(self, sound: bytes) -> bytes:
        form, samples, rate_hz = self.call.form, self.samples, self.speech.sample_rate_hz
        if form.format == "wav":
            # It began as a stream of unknown length; now the sizes are known, and players trust them.
            sound = whole_wav(sound, rate_hz, is_tagged=bool(form.source))
        if self._finish is None:
            return sound
        file = await self._finish(sound, form, samples, rate_hz)
        if file is not sound:
            self.manifest = "embedded"
        return file

    def _count_written(self) -> None:
        for chunk in self._unwritten:
            self.call.tally.add(chunk)
        self._unwritten.clear()

    async def _begun(self) -> Speech:
        return self.speech
