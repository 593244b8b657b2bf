"""POST /v1/audio/voice_quality: a recording is judged before a consent is asked for, and nothing of it is
stored."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from policies.sample_rules import LEAST_SPEECH_S
from proxy import errors
from proxy.audio.recordings.intake import AcceptedRecording, RecordingIntake, invalid_audio
from proxy.features.consents.comparison import RatedRecording, SpeakerComparison
from proxy.features.voice_list.voice_entries import VoiceQuality
from proxy.http.form import MOST_FILE_BYTES, read_form
from proxy.http.replies import reply, struct_from
from proxy.http.resource import Resource, account_of, endpoint, second_path

_AUDIO = "audio_sample"
_OPERATOR = "operator"
_TWO_PEOPLE = "two people speak in it: record one of them alone"


class RecordingForm(msgspec.Struct, frozen=True):
    """A recording, `audio_sample`."""


class RecordingQuality(msgspec.Struct, frozen=True, kw_only=True):
    """How good a recording is for a voice. `advice` names the one thing to change first, or is empty."""

    duration_seconds: float
    quality: VoiceQuality
    advice: str


class RecordingChecks(Resource):
    def __init__(self, intake: RecordingIntake, comparison: SpeakerComparison) -> None:
        self._intake = intake
        self._comparison = comparison

    @endpoint(
        "POST",
        "/v1/audio/voice_quality",
        RecordingQuality,
        form=RecordingForm,
        files=(_AUDIO,),
        failures=(errors.NoPlace, errors.DecodingFailed),
        also=second_path("/admin/voice_quality", "judge_recording_for_operator"),
    )
    async def judge_recording(self, request: Request) -> Response:
        """Judge a recording for a voice. Nothing of it is stored"""
        form = await read_form(request, files={_AUDIO: MOST_FILE_BYTES}, fields=())
        if _AUDIO not in form.files:
            raise errors.InvalidRequest(
                f"Missing required parameter: '{_AUDIO}'.", param=_AUDIO, code="missing_required_parameter"
            )
        account, data = account_of(request) or _OPERATOR, form.files[_AUDIO].data
        async with self._intake.accept_upload(account, data, _AUDIO) as accepted:
            if await self._has_two_speakers(accepted):
                raise invalid_audio(_TWO_PEOPLE, _AUDIO)
            quality = struct_from(VoiceQuality, accepted.quality, reasons=list(accepted.quality.reasons))
            advice = next(iter(quality.reasons), "")
            return reply(RecordingQuality(duration_seconds=accepted.seconds, quality=quality, advice=advice))

    async def _has_two_speakers(self, accepted: AcceptedRecording) -> bool:
        """Compare the halves of the speech, if there is a comparer and each half has enough."""
        quality = accepted.quality
        if quality.speech_s < 2 * LEAST_SPEECH_S:
            return False
        middle_s = (quality.starts_s + quality.ends_s) / 2
        first = msgspec.structs.replace(quality, ends_s=middle_s)
        second = msgspec.structs.replace(quality, starts_s=middle_s)
        found = await self._comparison.compare(
            *(RatedRecording(accepted.master, each) for each in (first, second))
        )
        return found is not None and found.answer == "other"
