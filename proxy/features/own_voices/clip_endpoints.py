"""…/voices/{id}/samples: the recordings of a voice, for its account, and under /admin for the operator."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from proxy import errors
from proxy.api.answering import TAG
from proxy.api.speech import SPEECH_FAILURES
from proxy.config.fields import missing_parameter
from proxy.feature import AppContext
from proxy.features.own_voices.bodies import RefText
from proxy.features.own_voices.clips import (
    AUDIO_FIELD,
    CLIP_PREFIX,
    ClipForm,
    ReadableRecording,
    VoiceRecordings,
    owner_account,
)
from proxy.features.own_voices.cutting import CUT, CutForm, NoCutting
from proxy.features.own_voices.keyed_creation import KeyedCreation
from proxy.features.own_voices.requested import RequestedVoices, idempotency_key, once_for, voice_endpoint
from proxy.features.own_voices.voice_creation import VoiceOrigin
from proxy.features.voice_list.voice_entries import ComparedSpeakers, VoiceQuality
from proxy.file_store.once import REPLAYED, digest_of_fields
from proxy.http.body import read_body
from proxy.http.endpoint import Endpoint
from proxy.http.form import MOST_FILE_BYTES, form_values, read_form
from proxy.http.replies import reply
from proxy.http.resource import Resource, account_of
from proxy.speech import speech_request
from proxy.storage.rows import new_id


class VoiceSample(msgspec.Struct, frozen=True, kw_only=True):
    """A recording of a voice. The one that the voice was made of is deleted only with the voice. `speaker`
    says whether it is the speaker of the consent, if that was compared. `ref_text_from` says that the server
    has heard the words. A clip of a recording that was cut is for `training`: no speech uses it."""

    object: Literal["audio.voice.sample"] = "audio.voice.sample"
    id: str
    emotion: str | None
    ref_text: str
    ref_text_from: Literal["heard"] | UnsetType = UNSET
    duration_seconds: float
    quality: VoiceQuality
    speaker: ComparedSpeakers | UnsetType = UNSET
    training: Literal[True] | UnsetType = UNSET


class SampleText(msgspec.Struct, frozen=True, kw_only=True):
    """The words of a recording."""

    ref_text: RefText

    def __repr__(self) -> str:
        return "<SampleText>"


class VoiceSampleList(msgspec.Struct, frozen=True, kw_only=True):
    """All recordings of a voice: the one that it was made of, and those that were added, in order."""

    object: Literal["list"] = "list"
    data: list[VoiceSample]


class DeletedVoiceSample(msgspec.Struct, frozen=True, kw_only=True):
    """It is gone."""

    object: Literal["audio.voice.sample.deleted"] = "audio.voice.sample.deleted"
    id: str
    deleted: bool = True


class VoiceSamples(Resource):
    """The endpoints of a voice's recordings. Each revision of the configuration has its own object.

    Each change by an operator is in the audit, without personal texts.
    """

    def __init__(self, voices: RequestedVoices, recordings: VoiceRecordings, context: AppContext) -> None:
        self._cutting = context.find_shared_or(NoCutting())
        self._voices = voices
        self._recordings = recordings
        self._keyed = KeyedCreation(
            voices.library_writer.store, CLIP_PREFIX, "recording", recordings.find_request_digest
        )

    @property
    def endpoints(self) -> list[Endpoint]:
        accepted = self._cutting.accepted
        return [each._replace(accepted=accepted) if each.form else each for each in super().endpoints]

    @voice_endpoint(
        "POST",
        "/{id:path}/samples",
        VoiceSample,
        admin=("add_saved_voice_sample", "Add a recording to an account's voice, with its emotion"),
        status=201,
        form=ClipForm,
        other_forms=(CutForm,),
        files=(AUDIO_FIELD,),
        queries=(CUT,),
        request_headers=(TAG,),
        makes_once="recording",
        failures=(
            *SPEECH_FAILURES,
            errors.UnsupportedMediaType,
            errors.NotAllowed,
            errors.NotFound,
            errors.Conflict,
            errors.NoPlace,
            errors.DecodingFailed,
        ),
    )
    async def add_voice_sample(self, request: Request) -> Response:
        """Add a recording to a voice, with its emotion, or one long recording for trainings"""
        if (cut := request.query_params.get(CUT.name)) is not None:
            return await self._cut(request, cut)
        form, audio = await _read_clip(request)
        voice = await self._voices.requested_voice(request)
        account = owner_account(voice)
        terms = await self._voices.account_terms(request, account)
        if (key := idempotency_key(request)) is None:
            act = await self._voices.admin_tools.act_if_admin(
                request, "sample.created", new_id(CLIP_PREFIX), account, voice=voice.id
            )
            added = await self._recordings.add_clip(voice, form, audio, terms, VoiceOrigin(act))
            return reply(_entry(added), 201)
        fields = (voice.id, form.ref_text, form.emotion)
        digest = await asyncio.to_thread(digest_of_fields, fields, audio)

        async def add(id_: str, digest: str) -> None:
            await self._recordings.add_clip(
                voice, form, audio, terms, VoiceOrigin(id=id_, request_digest=digest)
            )

        id_, is_replayed = await self._keyed.create_once(once_for(request, key, digest), add)
        added = await self._recordings.find_clip(account, id_)
        return reply(_entry(added), 201, REPLAYED if is_replayed else None)

    async def _cut(self, request: Request, cut: str) -> Response:
        if cut not in CUT.values:
            raise errors.InvalidRequest("Invalid value for 'cut': it must be true.", param=CUT.name)
        if account_of(request) is None:
            raise errors.InvalidRequest("Only a key of the account has its recordings cut.", param=CUT.name)
        voice = await self._voices.requested_voice(request)
        owner_account(voice)  # raises unless the voice was made of a recording
        return await self._cutting.cut(request, voice)

    @voice_endpoint(
        "GET",
        "/{id:path}/samples",
        VoiceSampleList,
        admin=("list_saved_voice_samples", "The recordings of an account's voice"),
        failures=(errors.InvalidRequest, errors.NotFound),
        pace="list",
    )
    async def list_voice_samples(self, request: Request) -> Response:
        """The recordings of a voice of the account's own"""
        found = await self._recordings.list_recordings(await self._voices.requested_voice(request))
        return reply(VoiceSampleList(data=[_entry(each) for each in found]))

    @voice_endpoint(
        "POST",
        "/{id:path}/samples/{sample}",
        VoiceSample,
        admin=("update_saved_voice_sample", "Change the words of a recording of an account's voice"),
        body=SampleText,
        failures=(errors.InvalidRequest, errors.NotFound, errors.Conflict),
    )
    async def update_voice_sample(self, request: Request) -> Response:
        """Change the words of a recording"""
        voice, id_ = await self._voices.requested_voice(request), request.path_params["sample"]
        text = await read_body(request, SampleText)
        act = await self._voices.admin_tools.act_if_admin(request, "sample.changed", id_, voice.account)
        return reply(_entry(await self._recordings.change_words(voice, id_, text.ref_text, act)))

    @voice_endpoint(
        "DELETE",
        "/{id:path}/samples/{sample}",
        DeletedVoiceSample,
        admin=("delete_saved_voice_sample", "Delete a recording that was added to an account's voice"),
        failures=(errors.InvalidRequest, errors.NotFound, errors.Conflict),
    )
    async def delete_voice_sample(self, request: Request) -> Response:
        """Delete a recording that was added to a voice"""
        voice, id_ = await self._voices.requested_voice(request), request.path_params["sample"]
        act = await self._voices.admin_tools.act_if_admin(request, "sample.deleted", id_, voice.account)
        await self._recordings.delete_clip(voice, id_, act)
        return reply(DeletedVoiceSample(id=id_))


async def _read_clip(request: Request) -> tuple[ClipForm, bytes]:
    """Read the form of a clip, and the bytes of its file. Raises InvalidRequest."""
    known = (*ClipForm.__struct_fields__, CUT.name)
    fields = await read_form(request, files={AUDIO_FIELD: MOST_FILE_BYTES}, fields=known)
    if fields.fields.pop(CUT.name, None):
        raise errors.InvalidRequest(
            "'cut' is no field of the form: write ?cut=true after the path.", param=CUT.name
        )
    form = speech_request.read(ClipForm, form_values(fields, lists=()))
    form.check()
    if AUDIO_FIELD not in fields.files:
        raise missing_parameter(AUDIO_FIELD)
    return form, fields.files[AUDIO_FIELD].data


def _entry(recording: ReadableRecording) -> VoiceSample:
    row, compared = recording.row, recording.texts.compared
    return VoiceSample(
        id=recording.id,
        emotion=None if row.is_for_training else row.tag or None,
        ref_text=recording.texts.words,
        ref_text_from="heard" if recording.texts.recognised and recording.texts.words else UNSET,
        duration_seconds=row.seconds,
        quality=msgspec.json.decode(row.quality, type=VoiceQuality),
        training=True if row.is_for_training else UNSET,
        speaker=UNSET if compared is None else ComparedSpeakers(answer=compared.answer, score=compared.score),
    )
