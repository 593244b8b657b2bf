"""The voices of an account: made of a recording, in OpenAI's form, or saved as a cast or a mix, in JSON;
changed, exported and deleted."""

from __future__ import annotations

import asyncio
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from proxy.access.callers import Caller, caller_of
from proxy.api.voice_entries import VoiceEntry
from proxy.api.voice_routes import voice_answers
from proxy.api.voices import VoiceTools
from proxy.catalogue.voice_records import VoiceRecord
from proxy.errors import (
    Conflict,
    DecodingFailed,
    IdempotencyKeyReused,
    InvalidRequest,
    NoPlace,
    NotAllowed,
    NotFound,
    RequestUnderWay,
)
from proxy.features.own_voices.bodies import (
    FORM_FIELDS,
    ChangedVoice,
    DeletedVoice,
    DescribedVoice,
    ErasureReceipt,
    NewVoice,
    VoiceForm,
    erasure_receipt,
    read_values,
)
from proxy.features.own_voices.editor import LibraryEditor, not_own
from proxy.features.own_voices.export import VoiceExport
from proxy.features.own_voices.maker import Beginning, VoiceMaker
from proxy.features.own_voices.stream_reply import StreamReply
from proxy.http.body import body
from proxy.http.form import MOST_FILE_BYTES, read_form
from proxy.http.idempotency import KEY_HEADER, sent_key
from proxy.http.replies import encode_json, reply
from proxy.http.resource import Resource
from proxy.kept.once import REPLAYED, KeyedMaking, Once, digest_of_fields
from proxy.speech import speech_request
from proxy.storage import tombstones

DIGESTED: dict[type[DescribedVoice], tuple[str, ...]] = {
    NewVoice: ("name", "cast", "mix", "description", "tags", "labels", "language", "gender", "type"),
    VoiceForm: (
        *("name", "consent", "type", "ref_text", "language", "gender", "description", "tags", "labels"),
        *("engines", "prompt", "script_hint"),
    ),
}
"""The fields in the order in which they are digested: voices that were made before have such digests."""


class VoiceEditing(Resource):
    """The voices of the caller's account. Each revision of the configuration has its own handlers."""

    def __init__(
        self, tools: VoiceTools, editor: LibraryEditor, maker: VoiceMaker, export: VoiceExport
    ) -> None:
        self._tools = tools
        self._editor = editor
        self._maker = maker
        self._export = export
        self._keyed = KeyedMaking(editor.store, "voice", "voice", self._request_of)

    @voice_answers(
        "POST",
        "",
        VoiceEntry,
        body=NewVoice,
        form=VoiceForm,
        files=("audio_sample",),
        request_headers=(KEY_HEADER,),
        some_headers={"x-voxgate-replayed": "`true` if the same Idempotency-Key made the voice before."},
        failures=(
            NotAllowed,
            NotFound,
            Conflict,
            RequestUnderWay,
            IdempotencyKeyReused,
            NoPlace,
            DecodingFailed,
        ),
    )
    async def create_voice(self, request: Request) -> Response:
        """Make a voice of a recording, or save a cast or a mix as a voice"""
        is_form = request.headers.get("content-type", "").lower().startswith("multipart/")
        if not is_form:
            new = await body(request, NewVoice)
            new.check()
            return await self._create(request, new, b"")
        form = await read_form(request, files={"audio_sample": MOST_FILE_BYTES}, fields=FORM_FIELDS)
        described = speech_request.read(VoiceForm, read_values(form))
        described.check()
        if "audio_sample" not in form.files:
            raise InvalidRequest(
                "Missing required parameter: 'audio_sample'.",
                param="audio_sample",
                code="missing_required_parameter",
            )
        return await self._create(request, described, form.files["audio_sample"].data)

    @voice_answers(
        "GET",
        "/{id:path}/export",
        media=("application/zip",),
        failures=(NotFound, NoPlace),
        pace="list",
    )
    async def export_voice(self, request: Request) -> Response:
        """A voice of the account's own: its recordings, and what is known of them, as a zip file"""
        record = self._editor.opened(await own_voice(self._tools, self._editor, request))
        entry = await self._tools.entry(request, record.id)
        return StreamReply(f"{record.id}.zip", await self._export.zip(record, encode_json(entry)))

    @voice_answers("GET", "/erasures/{id}", ErasureReceipt, failures=(NotFound,))
    async def get_voice_erasure(self, request: Request) -> Response:
        """How far the erasure of a deleted voice or recording is"""
        id_, account = request.path_params["id"], caller_of(request.scope).account
        found = await tombstones.get(self._editor.store, account, id_) if id_.isprintable() else None
        if found is None:
            raise NotFound(f"No erasure of '{id_[:80]}' is known.", param="voice", code="voice_not_found")
        return reply(erasure_receipt(found))

    @voice_answers("POST", "/{id:path}", VoiceEntry, body=ChangedVoice, failures=(NotFound, Conflict))
    async def update_voice(self, request: Request) -> Response:
        """Change a voice of the account's own"""
        change = await body(request, ChangedVoice)
        record = self._editor.opened(await own_voice(self._tools, self._editor, request))
        caller = caller_of(request.scope)
        updated = await self._maker.change(record, change, self._tools.plans.terms(caller), caller.key)
        return reply(await self._tools.entry(request, updated.id))

    @voice_answers("DELETE", "/{id:path}", DeletedVoice, failures=(NotFound,))
    async def delete_voice(self, request: Request) -> Response:
        """Delete a voice of the account's own"""
        # Its row is enough: what cannot be opened can be erased.
        record = await own_voice(self._tools, self._editor, request)
        await self._maker.delete(record)
        return reply(DeletedVoice(id=record.id))

    async def _create(self, request: Request, new: NewVoice | VoiceForm, audio: bytes) -> Response:
        caller = caller_of(request.scope)
        key = sent_key(request.headers.getlist("idempotency-key"))
        if key is None:
            made = await self._make(caller, new, audio)
            return reply(await self._tools.entry(request, made.id))
        digest = await asyncio.to_thread(digest_of, new, audio)
        once = Once(request.scope["state"]["request_id"], caller.account, key, digest)
        id_, is_replayed = await self._keyed.run(once, partial(self._make, caller, new, audio))
        return reply(await self._tools.entry(request, id_), headers=REPLAYED if is_replayed else None)

    async def _make(
        self, caller: Caller, new: NewVoice | VoiceForm, audio: bytes, id_: str = "", digest: str = ""
    ) -> VoiceRecord:
        terms = self._tools.plans.terms(caller)
        beginning = Beginning(payer=caller.key, id=id_, request=digest)
        if isinstance(new, VoiceForm):
            return await self._maker.make(caller.account, new, audio, terms, beginning)
        return await self._maker.compose(caller.account, new, beginning, terms.voices)

    async def _request_of(self, account: str, id_: str) -> str | None:
        record = await self._editor.find_voice(account, id_)
        return None if record is None else record.request


async def own_voice(tools: VoiceTools, editor: LibraryEditor, request: Request) -> VoiceRecord:
    """Return the row of the voice of the caller's account that a request names. Raises NotFound."""
    id_ = request.path_params["id"]
    record = await editor.library.find(caller_of(request.scope).account, id_)
    if record is None:
        # It is a voice of others, or there is no such voice at all.
        (await tools.entries(request)).known.find(id_)
        raise not_own(id_)
    return record


def digest_of(new: NewVoice | VoiceForm, audio: bytes) -> bytes:
    return digest_of_fields({name: getattr(new, name) for name in DIGESTED[type(new)]}, audio)
