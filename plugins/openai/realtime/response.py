"""One response of a session, for one sentence. The session fills it, and a job reads it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

from plugins.openai.deltas import audio_bytes
from plugins.openai.realtime.messages import ResponseBody, TokenUsage, TranscriptDelta, estimate_tokens
from plugins.openai.refusals import RefusalDetail, error_in_place_of_audio
from speech_engine import ContentRefused, EngineError, EngineFailed

_CHARACTER_S = 0.5
_LEAST_S = 10.0
"""An answer is too long if it is longer than this and `_CHARACTER_S` for each character."""
_SECOND_BYTES = 48_000
_MOST_TRANSCRIPT_CHARACTERS = 64 * 1024


class Response:
    """The response so far. If `is_done`, no more will come. If `is_complete`, the answer is whole."""

    def __init__(self, number: int, text: str, speed: float) -> None:
        self.number = number
        self.id = ""
        self.is_done = False
        self.is_complete = False
        self.is_abandoned = False
        self.is_too_long = False
        self.pcm_bytes = 0
        self.failure: EngineError | None = None
        self._most_bytes = int((_LEAST_S + _CHARACTER_S * len(text)) / speed) * _SECOND_BYTES
        self._audio: deque[bytes] = deque()
        self._transcripts: dict[tuple[int, int], str] = {}
        self._usage: TokenUsage | None = None
        self._changed = asyncio.Event()

    @property
    def transcript(self) -> str:
        """The words so far of all parts of the answer, in order."""
        return " ".join(self._transcripts[place] for place in sorted(self._transcripts))

    def tokens(self, weights: Mapping[Any, float]) -> float:
        """Return the price in tokens: the provider's count, or else an estimate by the audio."""
        return (
            estimate_tokens(self.pcm_bytes) if self._usage is None else self._usage.weighted_tokens(weights)
        )

    async def change(self) -> None:
        """Wait until something came since the last call."""
        await self._changed.wait()
        self._changed.clear()

    def take_audio(self) -> bytes:
        audio = b"".join(self._audio)
        self._audio.clear()
        return audio

    def add_audio(self, encoded: str) -> None:
        data = audio_bytes(encoded)
        self.pcm_bytes += len(data)
        # A model that does not stop must not fill the memory.
        self.is_too_long = self.is_too_long or self.pcm_bytes > self._most_bytes
        if not self.is_abandoned and not self.is_too_long:
            self._audio.append(data)
        self._changed.set()

    def add_words(self, event: TranscriptDelta) -> None:
        if self.is_abandoned or self.is_too_long:
            return
        place = (event.output_index, event.content_index)
        before = self._transcripts.get(place, "")
        self._transcripts[place] = before + event.delta if event.transcript is None else event.transcript
        self.is_too_long = sum(map(len, self._transcripts.values())) > _MOST_TRANSCRIPT_CHARACTERS
        self._changed.set()

    def finish(self, body: ResponseBody) -> None:
        self._usage = body.usage
        self.failure = _failure(body)
        self.is_complete = body.status == "completed"
        self._end()

    def fail(self, failure: EngineError) -> None:
        if not self.is_done:
            self.failure = failure
            self._end()

    def abandon(self) -> None:
        """Drop the audio, because the reader has left."""
        self.is_abandoned = True
        self._audio.clear()

    def _end(self) -> None:
        self.is_done = True
        self._changed.set()


def _failure(body: ResponseBody) -> EngineError | None:
    """Return the failure of a response, if any. An answer that is only too long is judged by its words."""
    details = body.status_details
    reason = details.reason if details else None
    match body.status:
        case "completed":
            return None
        case "incomplete" if reason == "content_filter":
            return ContentRefused("The provider's moderation refuses this text.", detail="content_filter")
        case "incomplete":
            return None
        case "failed":
            error = details.error if details else None
            return error_in_place_of_audio(
                RefusalDetail(code=(error.code or error.type or "") if error else "")
            )
    return EngineFailed("The provider broke off its answer.")
