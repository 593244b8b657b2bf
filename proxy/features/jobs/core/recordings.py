"""The recordings of jobs: one file of up to two hours, of which each step reads its stretch."""

from __future__ import annotations

from proxy.audio.recordings.intake import invalid_audio
from proxy.audio.recordings.recording import UnusableRecording
from proxy.errors import InvalidRequest
from proxy.features.transcriptions import long_recordings
from proxy.features.transcriptions.long_decoder import LongDecoder

FILE = "file"


async def survey_file(decoder: LongDecoder, account: str, file: bytes) -> long_recordings.LongSurvey:
    """Measure the recording of a new job. Raises InvalidRequest, DecodingFailed and NoPlace."""
    try:
        survey = await decoder.survey(account, file)
    except UnusableRecording as error:
        raise invalid_audio(str(error), FILE) from None
    if survey.is_cut:
        raise InvalidRequest(
            f"Invalid '{FILE}': it is longer than {long_recordings.LONGEST_S // 3600} hours.",
            param=FILE,
            code="recording_too_long",
        )
    return survey


async def read_stretch(
    decoder: LongDecoder, account: str, stretch: long_recordings.StretchRequest, rate_hz: int | None = None
) -> bytes:
    """Return the sound of a step, as a master without a rate. Raises InvalidRequest, DecodingFailed and
    NoPlace."""
    try:
        if rate_hz is None:
            return await decoder.master(account, stretch)
        return await decoder.stretch(account, stretch, rate_hz)
    except UnusableRecording as error:
        raise invalid_audio(str(error), FILE) from None
