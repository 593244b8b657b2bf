"""The events of one response: the sound and the transcript of a sentence, in the order of the real ones."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from itertools import zip_longest
from math import ceil
from typing import Any, Literal

import msgspec

from fakes.realtime.script import Misdeed, other_words
from plugins.tone.frames import Clock, frame_symbols, symbol_pcm

RATE_HZ = 24_000
_SLOW_HZ = 22_050
_DELTA_BYTES = 9_601
"""An odd number: a sample may be cut in the middle."""
_LETTERS = 12

Lead = Literal["transcript", "audio", "even"]


class Manner(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How the fake speaks: which of sound and transcript comes first, after what time, and how fast."""

    lead: Lead = "even"
    first_s: float = 0.0
    pace: float = 0.0
    expires_s: float = 3600.0


class Speech:
    """One response while it is spoken. `tokens` are what it has cost so far."""

    def __init__(
        self, id_: str, text: str, instructions: str, speed: float, misdeed: Misdeed | None, manner: Manner
    ) -> None:
        self.id = id_
        self.misdeed = misdeed
        self.instructions = instructions
        self.text = text
        self.sent_bytes = 0
        self._manner = manner
        self._speed = speed
        self._text = other_words(text, misdeed)

    def __repr__(self) -> str:
        return f"<Speech {self.id}, {self.sent_bytes} bytes>"

    def does(self, what: str) -> bool:
        return self.misdeed is not None and self.misdeed.do == what

    async def deltas(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the deltas of sound and words, each named as its event is."""
        parts = self._text.split(" ") if self.does("two_items") else [self._text]
        half = len(parts) // 2
        items = [" ".join(parts[:half]), " ".join(parts[half:])] if half else parts
        for index, text in enumerate(items):
            place = {"response_id": self.id, "item_id": f"item_{index}", "output_index": index}
            place["content_index"] = 0
            words = self._words(text, place)
            sounds = self._sounds(text, place)
            async for event in self._ordered(words, sounds):
                yield event
            name = "audio" if self.does("old_names") else "output_audio"
            yield {"type": f"response.{name}.done", **place}
            yield {"type": f"response.{name}_transcript.done", "transcript": text, **place}

    def usage(self) -> dict[str, Any]:
        audio = ceil(self.sent_bytes / 48_000 * 20)
        read, spoken = ceil((len(self.text) + len(self.instructions)) / 4), ceil(len(self._text) / 4)
        return {
            "total_tokens": read + spoken + audio,
            "input_tokens": read,
            "output_tokens": spoken + audio,
            "input_token_details": {"text_tokens": read, "audio_tokens": 0, "cached_tokens": 0},
            "output_token_details": {"text_tokens": spoken, "audio_tokens": audio},
        }

    async def _ordered(
        self, words: list[dict[str, Any]], sounds: list[dict[str, Any]]
    ) -> AsyncIterator[dict[str, Any]]:
        match self._manner.lead:
            case "transcript":
                ordered = [*words, *sounds]
            case "audio":
                ordered = [*sounds, *words]
            case "even":
                pairs = zip_longest(sounds, words)
                ordered = [event for pair in pairs for event in pair if event is not None]
        for event in ordered:
            if "audio.delta" in event["type"] or "output_audio.delta" in event["type"]:
                count = len(base64.b64decode(event["delta"]))
                self.sent_bytes += count
                if pace := 1.0 if self.does("slow") else self._manner.pace:
                    await asyncio.sleep(count / 48_000 / pace)
            yield event
            # A client may cancel between any two of them.
            await asyncio.sleep(0)

    def _words(self, text: str, place: dict[str, Any]) -> list[dict[str, Any]]:
        name = "audio_transcript" if self.does("old_names") else "output_audio_transcript"
        return [
            {"type": f"response.{name}.delta", "delta": text[at : at + _LETTERS], **place}
            for at in range(0, len(text), _LETTERS)
        ]

    def _sounds(self, text: str, place: dict[str, Any]) -> list[dict[str, Any]]:
        if self.does("no_audio"):
            return []
        name = "audio" if self.does("old_names") else "output_audio"
        rate_hz = _SLOW_HZ if self.does("wrong_rate") else RATE_HZ
        transcript_text = "Something else." if self.does("disagree") else text
        pcm = b"".join(symbol_pcm(frame_symbols(transcript_text), Clock(rate_hz, self._speed), 0))
        if self.does("talk_on"):
            pcm *= 60
        return [
            {
                "type": f"response.{name}.delta",
                "delta": base64.b64encode(pcm[at : at + _DELTA_BYTES]).decode(),
                **place,
            }
            for at in range(0, len(pcm), _DELTA_BYTES)
        ]
