"""Reads long recordings in processes: one for each reading. Where something is sold, those who pay nothing
have few places of their own."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, TypeVar

import msgspec

from proxy.access.limits import Limits
from proxy.access.windows import Limit
from proxy.audio.recordings.apart import MOST_TRIES, read_apart
from proxy.audio.recordings.decoder import checked_sound
from proxy.audio.recordings.recording import (
    LEAST_RATE_HZ,
    MOST_RATE_HZ,
    Undecoded,
    UnusableRecording,
)
from proxy.errors import InvalidRequest, LimitsUnavailable
from proxy.features.transcriptions.form import FILE
from proxy.features.transcriptions.long_recordings import (
    LEVEL_MS,
    LONGEST_S,
    MOST_CPU_S,
    LongSurvey,
    StretchRequest,
    SurveyAnswer,
    SurveyRequest,
)
from proxy.helpers.helper import Helper, HelperSpec
from proxy.helpers.limiter import FairLimiter
from proxy.ledger import Payer

WITHIN_S = 90.0
AGAIN_WITHIN_S = 4.0
"""If a process dies sooner than this, the file is read once more, since the machine may be the cause. Later,
a second try would keep others waiting for as long again."""
MOST_AT_ONCE = 2
MOST_WAITING = 4
"""Each reading has an upload of 10 MiB in memory."""
MOST_UNPAID = 3
"""The places of all accounts that pay nothing where others pay: anybody can have many such accounts."""
CPU_S_A_REQUEST = 5
"""A recording that is refused counts as one request for each so many seconds of processor."""
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
_decode_survey = msgspec.msgpack.Decoder(SurveyAnswer | Undecoded).decode


class LengthLimit(NamedTuple):
    """The longest recording that is taken, and how a refusal names it."""

    seconds: int
    text: str


LONGEST = LengthLimit(LONGEST_S, f"{LONGEST_S // 3600} hours")


class LongDecoder:
    """Reads recordings of a worker, and counts refused ones under its limits. Close it. Each revision sets
    whether its configuration sells something."""

    sells = False

    def __init__(self, limits: Limits, within_s: float = WITHIN_S) -> None:
        self._limits = limits
        self._survey_limiter = FairLimiter(
            "long recordings", places=MOST_AT_ONCE + MOST_WAITING, of_account=2, at_once=MOST_AT_ONCE
        )
        self._unpaid_limiter = FairLimiter("long recordings", places=MOST_UNPAID, of_account=1, at_once=1)
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
        begun = self._survey_limiter.taken_weight + self._unpaid_limiter.taken_weight
        return f"<LongDecoder, {begun} surveys begun>"

    async def survey(
        self, payer: Payer, file: bytes, longest: LengthLimit = LONGEST, *, waits: bool = False
    ) -> LongSurvey:
        """Measure the length of a recording, and its quiet places. With `waits`, it waits for a place: only
        callers of a bounded number may do this. Raises InvalidRequest, DecodingFailed and NoPlace."""
        limiter = self._unpaid_limiter if self.sells and not payer.terms.is_paid else self._survey_limiter
        async with limiter.hold_turn(payer.account, waits=waits):
            clock = asyncio.get_running_loop().time
            begun_s = clock()
            try:
                answer = await self._ask_child(SurveyRequest(file, longest.seconds), _read_survey)
            except (InvalidRequest, asyncio.CancelledError):
                # Its process has ended without an answer, or its client has hung up.
                await self._count_refused(payer, min(clock() - begun_s, MOST_CPU_S))
                raise
        if isinstance(answer.survey, LongSurvey) and not answer.survey.is_cut:
            return answer.survey
        await self._count_refused(payer, answer.cpu_s)
        if isinstance(answer.survey, Undecoded):
            raise unreadable(UnusableRecording.of(answer.survey.fault))
        raise too_long(longest.text)

    async def _count_refused(self, payer: Payer, cpu_s: float) -> None:
        """Count the further requests that a refused recording is worth, beside the one that was counted."""
        terms = payer.terms
        limits = (("key", payer.key, terms.key.rpm), ("account", payer.account, terms.rpm))
        with suppress(LimitsUnavailable):
            # One by one, so that a window that has not enough room for all is full then.
            for _ in range(math.ceil(cpu_s / CPU_S_A_REQUEST) - 1):
                for kind, name, most in limits:
                    if most is not None:
                        await self._limits.count_request(Limit(kind, name, most))

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

    async def aclose(self) -> None:
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


def _read_survey(answer: bytes) -> SurveyAnswer | Undecoded:
    """Return the answer, or `Undecoded` if it makes no sense: a hostile file may control the child."""
    found: SurveyAnswer | Undecoded = _decode_survey(answer)
    if isinstance(found, Undecoded) or not 0 <= found.cpu_s <= MOST_CPU_S + 1:
        return Undecoded("lost")
    if isinstance(made := found.survey, Undecoded):
        return found
    levels = -(-made.whole_ms // LEVEL_MS)
    is_survey = (
        0 < made.whole_ms <= 1000 * (LONGEST_S + 60)
        and len(made.levels) == levels
        and LEAST_RATE_HZ <= made.rate_hz <= MOST_RATE_HZ
    )
    return found if is_survey else Undecoded("lost")
