"""The upload of trained models of voices to /v1/audio/voice_models, and their download from
…/voices/{id}/model. The operator has both under /admin, for every account.
"""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy import errors
from proxy.access.callers import caller_of
from proxy.catalogue.trained_voice_store import TrainedVoiceStore
from proxy.feature import AppContext
from proxy.features.own_voices.bodies import SavedVoice, read_saved_voice
from proxy.features.own_voices.keyed_creation import KeyedCreation
from proxy.features.own_voices.requested import (
    RequestedVoices,
    idempotency_key,
    once_for,
    terms_in_force,
    voice_endpoint,
)
from proxy.features.own_voices.stream_reply import StreamReply
from proxy.features.own_voices.trained.bodies import FILE, INDEX, SavedVoiceModelForm, VoiceModelForm
from proxy.features.own_voices.trained.intake import TrainedIntake
from proxy.features.own_voices.trained.model_export import QUERIES, ModelExport
from proxy.features.own_voices.trained.model_limiter import ModelLimiter
from proxy.features.own_voices.trained.prompts import Prompts
from proxy.features.own_voices.voice_creation import VoiceCreation, VoiceOrigin
from proxy.features.voice_list.known_voices import voice_not_found
from proxy.features.voice_list.voice_entries import VoiceEntry
from proxy.file_store.once import REPLAYED, digest_of_fields
from proxy.file_store.vault import Vault
from proxy.http.endpoint import Endpoint
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint
from proxy.storage.rows import new_id

MEDIA = "application/octet-stream"
_UPLOAD_FAILURES = (
    errors.NotAllowed,
    errors.NotFound,
    errors.Conflict,
    errors.NoPlace,
    errors.UnsupportedMediaType,
)
_EXPORT_FAILURES = (errors.InvalidRequest, errors.NotFound, errors.NoPlace)


class VoiceModels(Resource):
    """The endpoints of trained models. Each revision of the configuration has its own object. Each change by
    an operator is in the audit."""

    def __init__(self, voices: RequestedVoices, intake: TrainedIntake, export: ModelExport) -> None:
        self._voices = voices
        self._intake = intake
        self._export = export
        self._keyed = KeyedCreation(voices.library_writer.store, "voice", "voice", voices.find_request_digest)

    @endpoint(
        "POST",
        "/v1/audio/voice_models",
        VoiceEntry,
        form=VoiceModelForm,
        files=(FILE, INDEX),
        makes_once="voice",
        failures=_UPLOAD_FAILURES,
    )
    async def bring_voice_model(self, request: Request) -> Response:
        """Make a voice of a model that was trained elsewhere, or give a voice its model"""
        caller, tools = caller_of(request.scope), self._voices.tools
        key = idempotency_key(request)
        async with self._intake.receive_form(request, caller.account, VoiceModelForm) as (form, file):
            format_ = self._intake.format_of(form, tools)
            if form.voice is not None:
                record = await self._voices.own_voice(request, form.voice)
                await self._intake.give_model(record, file, format_)
                return reply(await tools.voice_entry(request, record.id))

            async def make(id_: str = "", digest: str = "") -> str:
                origin = VoiceOrigin(payer=caller.key, id=id_, request_digest=digest)
                terms = tools.plans.terms(caller)
                voice = await self._intake.make_voice(caller.account, form, file, format_, terms, origin)
                return voice.id

            if key is None:
                return reply(await tools.voice_entry(request, await make()))
            digest = digest_of_fields(msgspec.structs.asdict(form), file.digest)
            id_, is_replayed = await self._keyed.create_once(once_for(request, key, digest), make)
            return reply(await tools.voice_entry(request, id_), headers=REPLAYED if is_replayed else None)

    @endpoint(
        "POST",
        "/admin/voice_models",
        SavedVoice,
        status=201,
        form=SavedVoiceModelForm,
        files=(FILE, INDEX),
        failures=_UPLOAD_FAILURES,
    )
    async def bring_saved_voice_model(self, request: Request) -> Response:
        """Make a voice of a trained model for an account or for everybody, or give a voice its model"""
        voices = self._voices
        # "" is the operator.
        async with self._intake.receive_form(request, "", SavedVoiceModelForm) as (form, file):
            format_ = self._intake.format_of(form, voices.voice_tools)
            owner = None if form.account is None else await voices.open_account(form.account)
            account = None if owner is None else owner.id
            if form.voice is not None:
                record = await voices.library_writer.library.find_any(account, form.voice)
                if record is None or account not in (None, record.account):
                    raise voice_not_found(form.voice)
                await voices.record_act(request, "voice.changed", record)
                await self._intake.give_model(record, file, format_)
            else:
                terms = None if owner is None else terms_in_force(voices.admin_tools, owner)
                named = {"name": form.name} if account is None else {}
                act = await voices.admin_tools.act_if_admin(
                    request, "voice.created", new_id("voice"), account, **named
                )
                record = await self._intake.make_voice(account, form, file, format_, terms, VoiceOrigin(act))
        shown = await voices.library_writer.find_voice(record.account, record.id)
        return reply(await read_saved_voice(voices.library_writer.store, shown or record), 201)

    @voice_endpoint(
        "GET",
        "/{id:path}/model",
        media=(MEDIA,),
        admin=(
            "export_saved_voice_model",
            "The trained model of a saved voice, as a file that other programs read",
        ),
        queries=QUERIES,
        failures=_EXPORT_FAILURES,
        pace="list",
    )
    async def export_voice_model(self, request: Request) -> Response:
        """The trained model of a voice of the account's own, as a file that other programs read"""
        record = await self._voices.requested_voice(request)
        await self._voices.record_act(request, "voice.exported", record)
        stream = await self._export.open_stream(record, request)
        return StreamReply(stream.name, stream, MEDIA)


def trained_endpoints(
    context: AppContext, voices: RequestedVoices, voice_creation: VoiceCreation, limiter: ModelLimiter
) -> list[Endpoint]:
    """Return the endpoints of models and prompts. They must come before the other paths of a voice, whose id
    may have slashes."""
    models = TrainedVoiceStore(context.store, context.find(Vault))
    intake = TrainedIntake(models, context.registry, voice_creation, voices.library_writer, limiter)
    export = ModelExport(context.find(Vault), models, intake, limiter)
    return VoiceModels(voices, intake, export).endpoints + Prompts().endpoints
