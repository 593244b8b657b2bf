"""Reads long recordings in processes: one for each reading, and two at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec

from proxy.audio.recordings.apart import MOST_TRIES, read_apart
from proxy.audio.recordings.decoder import checked_sound
from proxy.audio.recordings.recording import (
    LEAST_RATE_HZ,
    MOST_RATE_HZ,
    Undecoded,
    UnusableRecording,
)
from proxy.errors import InvalidRequest
from proxy.features.transcriptions.form import FILE
from proxy.features.transcriptions.long_recordings import (
    LEVEL_MS,
    LONGEST_S,
    LongSurvey,
    StretchRequest,
    SurveyRequest,
)
from proxy.helpers.helper import Helper, HelperSpec
from proxy.helpers.limiter import FairLimiter

WITHIN_S = 90.0
AGAIN_WITHIN_S = 4.0
"""If a process dies sooner than this, the file is read once more, since the machine may be the cause. Later,
a second try would keep others waiting for as long again."""
MOST_AT_ONCE = 2
MOST_WAITING = 4
"""Each reading has an upload of 10 MiB in memory."""
_MOST_STEPS = 64
"""More than a worker has steps under way: their number is limited where they begin."""
_MOST_STRETCH_BYTES = 64 * 1024 * 1024

_SPEC = HelperSpec(
    module="proxy.features.transcriptions.long_reading_child",
    is_for_one=True,
    most_tries=MOST_TRIES,
    again_within_s=AGAIN_WITHIN_S,
    most_answer_bytes=_MOST_STRETCH_BYTES,
)
_SUPPORTED = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm")
_T = TypeVar("_T")
_decode_survey = msgspec.msgpack.Decoder(LongSurvey | Undecoded).decode


class LongDecoder:
    """Reads recordings of a worker. Close it: `open_long_decoder` does."""

    def __init__(self, within_s: float = WITHIN_S) -> None:
        self._survey_limiter = FairLimiter(
            "long recordings", places=MOST_AT_ONCE + MOST_WAITING, of_account=2, at_once=MOST_AT_ONCE
        )
        self._stretch_limiter = FairLimiter(
            "stretches of recordings",
            places=_MOST_STEPS,
            of_account=_MOST_STEPS,
            at_once=MOST_AT_ONCE,
            wait_s=within_s,
        )
        self._within_s = within_s
        self._helper = Helper(_SPEC)

    def __repr__(self) -> str:
        return f"<LongDecoder, {self._survey_limiter.taken_weight} surveys begun>"

    async def survey(self, account: str, file: bytes, *, waits: bool = False) -> LongSurvey:
        """Measure the length of a recording, and its quiet places. With `waits`, it waits for a place: only
        callers of a bounded number may do this. Raises InvalidRequest, DecodingFailed and NoPlace."""
        async with self._survey_limiter.hold_turn(account, waits=waits):
            survey = await self._ask_child(SurveyRequest(file), _read_survey)
        if survey.is_cut:
            raise too_long(f"{LONGEST_S // 3600} hours")
        return survey

    async def stretch(self, account: str, request: StretchRequest, rate_hz: int) -> bytes:
        """Return the sound of a stretch: 16-bit mono at this rate. Raises as `survey` does."""
        from proxy.audio.recordings.derivation import whole_sound

        return await asyncio.to_thread(whole_sound, await self.master(account, request), rate_hz)

    async def master(self, account: str, request: StretchRequest) -> bytes:
        """Return a stretch as a master. Raises as `survey` does."""
        from proxy.audio.recordings.master import make_master

        async with self._stretch_limiter.hold_turn(account, waits=True):
            made = await self._ask_child(request, checked_sound)
        return await asyncio.to_thread(make_master, made.pcm, made.rate_hz, made.sample_bytes)

    async def close(self) -> None:
        await self._helper.close()

    async def _ask_child(
        self, question: SurveyRequest | StretchRequest, checked: Callable[[bytes], _T | Undecoded]
    ) -> _T:
        encoded = msgspec.msgpack.encode(question)
        try:
            return await read_apart(self._helper.ask(encoded, within_s=self._within_s), checked)
        except UnusableRecording as error:
            raise unreadable(error) from None


def unreadable(error: UnusableRecording) -> InvalidRequest:
    message = f"Invalid file format: {error}. Supported formats: {[*_SUPPORTED]}"
    return InvalidRequest(message, param=FILE, code="invalid_audio")


def too_long(most: str) -> InvalidRequest:
    message = f"Invalid '{FILE}': it is longer than {most}."
    return InvalidRequest(message, param=FILE, code="recording_too_long")


def _read_survey(answer: bytes) -> LongSurvey | Undecoded:
    """Return the answer, or `Undecoded` if it makes no sense: a hostile file may control the child."""
    made = _decode_survey(answer)
    if isinstance(made, Undecoded):
        return made
    levels = -(-made.whole_ms // LEVEL_MS)
    is_survey = (
        0 < made.whole_ms <= 1000 * (LONGEST_S + 60)
        and len(made.levels) == levels
        and LEAST_RATE_HZ <= made.rate_hz <= MOST_RATE_HZ
    )
    return made if is_survey else Undecoded("lost")


@asynccontextmanager
async def open_long_decoder() -> AsyncIterator[LongDecoder]:
    decoder = LongDecoder()
    try:
        yield decoder
    finally:
        await decoder.close()
