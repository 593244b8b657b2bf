"""The recordings to convert: decoded in a child process, in memory alone, for one request each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

from proxy.audio.recordings.intake import RecordingIntake
from proxy.audio.recordings.recording import MOST_S
from proxy.features.consents.grants import Grant
from proxy.features.conversions.form import FILE, ConversionUpload, source_sound
from proxy.helpers.limiter import FairLimiter
from proxy.speech.speech_request import SOURCE_HZ, SourceSound

MOST_BYTES = 512 * 1024 * 1024
"""Of all recordings under way in one worker, with their files: at least twenty of five minutes."""
_MOST_SOUND_BYTES = round(MOST_S * SOURCE_HZ * 2)


class Sources:
    """The recordings of a worker's conversions. Each byte in `places` is a place."""

    def __init__(self, intake: RecordingIntake, most_bytes: int = MOST_BYTES) -> None:
        self.places = FairLimiter("conversions", places=most_bytes, of_account=most_bytes, at_once=1)
        self._intake = intake

    @asynccontextmanager
    async def taken(
        self, account: str, upload: ConversionUpload, grant: Grant | None
    ) -> AsyncIterator[SourceSound]:
        """Yield the decoded recording. Its account's turn to decode ends before that.

        Raises InvalidRequest, DecodingFailed and NoPlace.
        """
        # The size of the sound is unknown until the file is decoded.
        with self.places.take(account, len(upload.audio) + _MOST_SOUND_BYTES) as place:
            pcm, seconds = await self._intake.sound(account, upload.audio, FILE, SOURCE_HZ)
            place.lighten(len(upload.audio) + len(pcm))
            digest = (await asyncio.to_thread(sha256, upload.audio)).hexdigest()
            yield source_sound(pcm, seconds, digest, grant, upload.audio)
