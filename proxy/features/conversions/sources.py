"""The recordings that are to be converted: decoded apart, in memory alone, and gone with their request."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

from proxy.audio.recordings.intake import RecordingIntake
from proxy.audio.recordings.recording import MOST_S
from proxy.errors import NoPlace
from proxy.features.consents.grants import Grant
from proxy.features.conversions.form import FILE, SentConversion, source_sound
from proxy.speech.speech_request import SOURCE_HZ, SourceSound

MOST_BYTES = 512 * 1024 * 1024
"""Of all recordings under way in one worker, with their files: at least twenty of five minutes."""
_MOST_SOUND_BYTES = round(MOST_S * SOURCE_HZ * 2)


class Sources:
    """The recordings of the conversions that are under way in a worker.

    Half of the room is for accounts that have nothing in it, as half of all places are.
    """

    def __init__(self, intake: RecordingIntake, most_bytes: int = MOST_BYTES) -> None:
        self._intake = intake
        self._most_bytes = most_bytes
        self._bytes = Counter[str]()

    def __repr__(self) -> str:
        return f"<Sources {self._bytes.total()} of {self._most_bytes} bytes>"

    @asynccontextmanager
    async def taken(
        self, account: str, sent: SentConversion, grant: Grant | None
    ) -> AsyncIterator[SourceSound]:
        """Give the recording of a request until the block is left. Its account's turn to decode is over then.

        Raises InvalidRequest, DecodingFailed and NoPlace.
        """
        # How much will come of a file is not known before it is decoded.
        held = len(sent.audio) + _MOST_SOUND_BYTES
        most = self._most_bytes // 2 if self._bytes[account] else self._most_bytes
        if self._bytes.total() + held > most:
            raise NoPlace("conversions")
        self._bytes[account] += held
        try:
            sound = await self._intake.sound(account, sent.audio, FILE, SOURCE_HZ)
            self._bytes[account] -= held
            held = len(sent.audio) + len(sound.pcm)
            self._bytes[account] += held
            digest = (await asyncio.to_thread(sha256, sent.audio)).hexdigest()
            yield source_sound(sound.pcm, sound.seconds, digest, grant, sent.audio)
        finally:
            self._bytes[account] -= held
            if not self._bytes[account]:
                del self._bytes[account]
