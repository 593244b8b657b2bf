"""Models of voices as files: they come to /v1/audio/voice_models, and leave at …/voices/{id}/model. The
operator has both under /admin, for every account.
"""

from __future__ import annotations

from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.access.callers import caller_of
from proxy.api.admin_tools import ACCOUNT_QUERY, AdminTools, check_open
from proxy.api.named_voice import find_voice, terms_of
from proxy.api.voice_entries import VoiceEntry
from proxy.api.voice_routes import voice_answers
from proxy.api.voices import VoiceTools
from proxy.catalogue.known_voices import no_voice
from proxy.catalogue.voice_records import VoiceRecord
from proxy.errors import (
    Conflict,
    IdempotencyKeyReused,
    InvalidRequest,
    NoPlace,
    NotAllowed,
    NotFound,
    RequestUnderWay,
    UnsupportedMediaType,
)
from proxy.features.own_voices.admin_endpoints import SavedVoice, saved_voice
from proxy.features.own_voices.editing import own_voice
from proxy.features.own_voices.editor import LibraryEditor, not_own
from proxy.features.own_voices.maker import Beginning
from proxy.features.own_voices.stream_reply import StreamReply
from proxy.features.own_voices.trained.bodies import FILE, INDEX, SavedVoiceModelForm, VoiceModelForm
from proxy.features.own_voices.trained.intake import SentForm, TrainedIntake
from proxy.features.own_voices.trained.leaving import QUERIES, ModelExport
from proxy.http.idempotency import KEY_HEADER, sent_key
from proxy.http.replies import reply
from proxy.http.resource import Resource, answers
from proxy.kept.once import REPLAYED, KeyedMaking, Once, digest_of_fields
from proxy.storage import audit
from proxy.storage.rows import new_id
from speech_engine.trained_files import TrainedFormat

MEDIA = "application/octet-stream"
_OF_BRINGING = (NotAllowed, NotFound, Conflict, NoPlace, UnsupportedMediaType)
_OF_TAKING = (InvalidRequest, NotFound, NoPlace)


class VoiceModels(Resource):
    """Models of the caller's voices. Each revision of the configuration has its own handlers."""

    def __init__(
        self, tools: VoiceTools, editor: LibraryEditor, intake: TrainedIntake, export: ModelExport
    ) -> None:
        self._tools = tools
        self._editor = editor
        self._intake = intake
        self._export = export
        self._keyed = KeyedMaking(editor.store, "voice", "voice", self._request_of)

    @answers(
        "POST",
        "/v1/audio/voice_models",
        VoiceEntry,
        form=VoiceModelForm,
        files=(FILE, INDEX),
        request_headers=(KEY_HEADER,),
        some_headers={"x-voxgate-replayed": "`true` if the same Idempotency-Key made the voice before."},
        failures=(*_OF_BRINGING, RequestUnderWay, IdempotencyKeyReused),
    )
    async def bring_voice_model(self, request: Request) -> Response:
        """Make a voice of a model that was trained elsewhere, or give a voice its model"""
        caller = caller_of(request.scope)
        key = sent_key(request.headers.getlist("idempotency-key"))
        async with self._intake.received(request, caller.account, VoiceModelForm) as (form, sent):
            format_ = self._intake.format_of(form, self._tools)
            if form.voice is not None:
                record = await self._own(request, form.voice)
                await self._intake.give(record, sent, format_)
                return reply(await self._tools.entry(request, record.id))
            make = partial(self._make, request, form, sent, format_)
            if key is None:
                return reply(await self._tools.entry(request, await make()))
            digest = digest_of_fields(msgspec.structs.asdict(form), sent.digest)
            once = Once(request.scope["state"]["request_id"], caller.account, key, digest)
            id_, is_replayed = await self._keyed.run(once, make)
            return reply(await self._tools.entry(request, id_), headers=REPLAYED if is_replayed else None)

    @voice_answers(
        "GET",
        "/{id:path}/model",
        media=(MEDIA,),
        queries=QUERIES,
        failures=_OF_TAKING,
        pace="list",
    )
    async def export_voice_model(self, request: Request) -> Response:
        """The trained model of a voice of the account's own, as a file that other programs read"""
        record = await own_voice(self._tools, self._editor, request)
        stream = await self._export.stream(record, request)
        return StreamReply(stream.name, stream, MEDIA)

    async def _make(
        self,
        request: Request,
        form: VoiceModelForm,
        sent: SentForm,
        format_: TrainedFormat,
        id_: str = "",
        digest: str = "",
    ) -> str:
        caller = caller_of(request.scope)
        beginning = Beginning(payer=caller.key, id=id_, request=digest)
        terms = self._tools.plans.terms(caller)
        made = await self._intake.make(caller.account, form, sent, format_, terms, beginning)
        return made.id

    async def _own(self, request: Request, name: str) -> VoiceRecord:
        record = await self._editor.library.find(caller_of(request.scope).account, name)
        if record is None:
            (await self._tools.entries(request)).known.find(name)
            raise not_own(name)
        return record

    async def _request_of(self, account: str, id_: str) -> str | None:
        record = await self._editor.find_voice(account, id_)
        return None if record is None else record.request


class AdminVoiceModels(Resource):
    """Models of any account's voices, and of everybody's. Each change is in the audit."""

    def __init__(
        self,
        admin_tools: AdminTools,
        tools: VoiceTools | None,
        editor: LibraryEditor,
        intake: TrainedIntake,
        export: ModelExport,
    ) -> None:
        self._admin_tools = admin_tools
        self._tools = tools
        self._editor = editor
        self._intake = intake
        self._export = export

    @answers(
        "POST",
        "/admin/voice_models",
        SavedVoice,
        status=201,
        form=SavedVoiceModelForm,
        files=(FILE, INDEX),
        failures=_OF_BRINGING,
    )
    async def bring_saved_voice_model(self, request: Request) -> Response:
        """Make a voice of a trained model for an account or for everybody, or give a voice its model"""
        async with self._intake.received(request, "", SavedVoiceModelForm) as (form, sent):
            format_ = self._intake.format_of(form, self._tools)
            owner = None if form.account is None else await self._admin_tools.account(form.account)
            if owner is not None:
                check_open(owner)
            account = None if owner is None else owner.id
            if form.voice is not None:
                record = await self._editor.library.find_any(account, form.voice)
                if record is None or account not in (None, record.account):
                    raise no_voice(form.voice)
                await self._audit(request, "voice.changed", record)
                await self._intake.give(record, sent, format_)
            else:
                terms = None if owner is None else terms_of(self._admin_tools, owner)
                named = {"name": form.name} if account is None else {}
                act = await self._admin_tools.audit_row(
                    request, "voice.created", new_id("voice"), account or "", **named
                )
                record = await self._intake.make(account, form, sent, format_, terms, Beginning(act))
        shown = await self._editor.find_voice(record.account, record.id)
        return reply(await saved_voice(self._admin_tools.store, shown or record), 201)

    @answers(
        "GET",
        "/admin/voices/{id}/model",
        media=(MEDIA,),
        queries=(ACCOUNT_QUERY, *QUERIES),
        failures=_OF_TAKING,
    )
    async def export_saved_voice_model(self, request: Request) -> Response:
        """The trained model of a saved voice, as a file that other programs read"""
        record = await find_voice(self._admin_tools, self._editor.library, request)
        # Before anything is sent: each export of what was made of a person is on record.
        await self._audit(request, "voice.exported", record)
        stream = await self._export.stream(record, request)
        return StreamReply(stream.name, stream, MEDIA)

    async def _audit(self, request: Request, event: str, record: VoiceRecord) -> None:
        act = await self._admin_tools.audit_row(request, event, record.id, record.account or "")
        await self._admin_tools.store.write(*audit.insert_statements(act))
