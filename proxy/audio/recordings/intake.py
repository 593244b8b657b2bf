"""The intake of uploads: each is decoded in a child process, measured, and refused or accepted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from policies.sample_quality import SampleQuality
from proxy.audio.recordings.decoder import Decoder
from proxy.audio.recordings.recording import MOST_S, UnusableRecording
from proxy.errors import InvalidRequest
from speech_engine.redacted import Redacted

_CUT = f"It is long: only its first {MOST_S / 60:g} minutes are kept."


class AcceptedRecording(Redacted, msgspec.Struct, frozen=True):
    """A recording that can be stored. `master` is lossless, at its own rate up to 48 kHz."""

    master: bytes
    seconds: float
    quality: SampleQuality

    @property
    def quality_json(self) -> str:
        return msgspec.json.encode(self.quality).decode()


class RecordingIntake:
    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    @asynccontextmanager
    async def accept_upload(self, account: str, data: bytes, param: str) -> AsyncIterator[AcceptedRecording]:
        """Decode and measure an upload, and yield it.

        The account has its turn during the block, so there are never more than a few recordings in memory.
        Raises InvalidRequest, which names the field `param`, and NoPlace.
        """
        # This loads large libraries of sound, so the first upload imports it, and not the start.
        from proxy.audio.recordings.measures import rate_recording

        async with self._decoder.turn(account):
            try:
                recording = await self._decoder.decode(data)
            except UnusableRecording as error:
                raise invalid_audio(str(error), param) from None
            quality = await rate_recording(recording)
            if quality.refusal:
                raise invalid_audio(quality.refusal, param)
            if recording.is_cut:
                quality = msgspec.structs.replace(quality, reasons=(*quality.reasons, _CUT))
            yield AcceptedRecording(recording.master, recording.seconds, quality)

    async def decode_sound(self, account: str, data: bytes, param: str, rate_hz: int) -> tuple[bytes, float]:
        """Return the PCM of a whole upload, 16-bit mono at this rate, and its seconds.

        The account has its turn until it is decoded. It waits for a place, since the caller limits the
        uploads. Raises InvalidRequest, which names the field `param`, if the recording cannot be used, is too
        long or silent.
        """
        from proxy.audio.recordings.derivation import is_silent, whole_sound

        async with self._decoder.turn(account, waits=True):
            try:
                recording = await self._decoder.decode(data)
            except UnusableRecording as error:
                raise invalid_audio(str(error), param) from None
            if recording.is_cut:
                raise InvalidRequest(
                    f"Invalid '{param}': it is longer than {MOST_S / 60:g} minutes. A job of kind conversion "
                    "takes it: send the same form to /v1/jobs with kind=conversion.",
                    param=param,
                    code="recording_too_long",
                )
            pcm = await asyncio.to_thread(whole_sound, recording.master, rate_hz)
        if await asyncio.to_thread(is_silent, pcm):
            raise invalid_audio("it is silent, or its level is far too low", param)
        return pcm, recording.seconds


def invalid_audio(reason: str, param: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid '{param}': {reason}.", param=param, code="invalid_audio")
