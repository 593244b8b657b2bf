"""The saved voices: made of a recording, or saved as a cast or a mix; listed, changed, exported and deleted.

Those of the caller are under /v1/audio/voices, and those of all accounts under /admin/voices."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from proxy import errors
from proxy.access.callers import Caller, caller_of
from proxy.api.admin_tools import ACCOUNT_QUERY
from proxy.api.answering import TAG
from proxy.catalogue.voice_records import VoiceRecord
from proxy.engines.plugin_instances import known_by
from proxy.features.own_voices import bodies, records
from proxy.features.own_voices.export import VoiceExport
from proxy.features.own_voices.keyed_creation import KeyedCreation
from proxy.features.own_voices.requested import (
    RequestedVoices,
    idempotency_key,
    once_for,
    terms_in_force,
    voice_endpoint,
)
from proxy.features.own_voices.stream_reply import StreamReply
from proxy.features.own_voices.voice_creation import VoiceCreation, VoiceOrigin
from proxy.features.voice_list.voice_entries import VoiceEntry, VoiceQuality
from proxy.file_store.once import REPLAYED, digest_of_fields
from proxy.http.body import read_body
from proxy.http.form import MOST_FILE_BYTES, read_form
from proxy.http.lists import PAGE, read_page
from proxy.http.replies import encode_json, reply
from proxy.http.resource import Resource, account_of, endpoint
from proxy.speech import speech_request
from proxy.speech.usage_tag import TAG_HEADER, read_tag
from proxy.storage import samples, tombstones, trained_models
from proxy.storage.rows import new_id

_AUDIO = "audio_sample"
_DELETE = (
    "delete_saved_voice",
    "Delete a saved voice by its id, or by its name: the account's, or everybody's",
)
N = TypeVar("N", bound=bodies.NewVoice)
F = TypeVar("F", bound=bodies.VoiceForm)

DIGESTED: dict[type[bodies.DescribedVoice], tuple[str, ...]] = {
    bodies.NewVoice: ("name", "cast", "mix", "description", "tags", "labels", "language", "gender", "type"),
    bodies.VoiceForm: (
        *("name", "consent", "type", "ref_text", "language", "gender", "description", "tags", "labels"),
        *("engines", "prompt", "script_hint"),
    ),
}
"""The fields that are digested, in this order. Neither the fields nor the order may change: rows of existing
voices store such digests."""


class VoiceEditing(Resource):
    """The endpoints of saved voices. Each revision of the configuration has its own object.

    What an operator does is in the audit. The audit never has the name of a person's voice, because its
    entries stay after the erasure of the voice.
    """

    def __init__(self, voices: RequestedVoices, voice_creation: VoiceCreation, export: VoiceExport) -> None:
        self._voices = voices
        self._admin_tools, self._library_writer = voices.admin_tools, voices.library_writer
        self._voice_creation = voice_creation
        self._export = export
        self._keyed = KeyedCreation(
            voices.library_writer.store, prefix="voice", noun="voice", find=voices.find_request_digest
        )

    @voice_endpoint(
        "POST",
        "",
        VoiceEntry,
        body=bodies.NewVoice,
        form=bodies.VoiceForm,
        files=(_AUDIO,),
        request_headers=(TAG,),
        makes_once="voice",
        failures=(errors.NotAllowed, errors.NotFound, errors.Conflict, errors.NoPlace, errors.DecodingFailed),
    )
    async def create_voice(self, request: Request) -> Response:
        """Make a voice of a recording, or save a cast or a mix as a voice"""
        new, audio = await _read(request, bodies.NewVoice, bodies.VoiceForm)
        tools, key = self._voices.tools, idempotency_key(request)
        tag = read_tag(request.headers.getlist(TAG_HEADER))
        make = partial(self._create, caller_of(request.scope), new, audio, tag)
        if key is None:
            return reply(await tools.voice_entry(request, (await make()).id))
        digest = await asyncio.to_thread(digest_of, new, audio)
        id_, is_replayed = await self._keyed.create_once(once_for(request, key, digest), make)
        return reply(await tools.voice_entry(request, id_), headers=REPLAYED if is_replayed else None)

    @endpoint(
        "POST",
        "/admin/voices",
        bodies.SavedVoice,
        status=201,
        body=bodies.NewSavedVoice,
        form=bodies.SavedVoiceForm,
        files=(_AUDIO,),
        failures=(
            errors.NotFound,
            errors.Conflict,
            errors.NoPlace,
            errors.DecodingFailed,
            errors.UpstreamFailed,
        ),
    )
    async def save_voice(self, request: Request) -> Response:
        """Save a cast, a mix or a name for an engine's voice, or make an account's voice of a recording"""
        new, audio = await _read(request, bodies.NewSavedVoice, bodies.SavedVoiceForm)
        owner = None if new.account is None else await self._voices.open_account(new.account)
        account = None if owner is None else owner.id
        # Only casts and bindings have names that surely name no person.
        members = (
            {} if isinstance(new, bodies.SavedVoiceForm) else {"cast": new.cast, "bindings": new.bindings}
        )
        details = {key: value for key, value in members.items() if value is not None}
        named = {"name": new.name, **details} if details else {}
        # The voice gets the id of the act's subject.
        origin = VoiceOrigin(
            await self._admin_tools.act_if_admin(request, "voice.created", new_id("voice"), account, **named)
        )
        # Reasons why a recording is not good, or warnings about bindings.
        reasons: Sequence[str] | UnsetType = UNSET
        if isinstance(new, bodies.SavedVoiceForm):
            assert owner is not None, "the form names an account"
            terms = terms_in_force(self._admin_tools, owner)
            record = await self._voice_creation.create_from_recording(owner.id, new, audio, terms, origin)
            stored, *_ = await samples.list_of_voice(self._library_writer.store, record.id)
            reasons = msgspec.json.decode(stored.quality, type=VoiceQuality).reasons
        elif new.bindings is not None:
            record, reasons = await self._voice_creation.create_binding(new, new.bindings, origin)
        else:
            record = await self._voice_creation.create_cast_or_mix(account, new, origin)
        return reply(msgspec.structs.replace(bodies.saved_voice_body(record), reasons=reasons), 201)

    @endpoint(
        "GET",
        "/admin/voices",
        bodies.SavedVoiceList,
        queries=(ACCOUNT_QUERY, *PAGE),
        failures=(errors.InvalidRequest, errors.NotFound),
    )
    async def list_saved_voices(self, request: Request) -> Response:
        """Saved voices, the newest first, and those of the configuration"""
        account = await self._admin_tools.query_account(request)
        store = self._library_writer.store
        # `None`: the row after which a page begins may be of any account.
        listed = await read_page(
            request, partial(records.place_of, store, None), partial(records.page, store, account)
        )
        formats = await trained_models.list_formats(store, [row.id for row in listed.rows])
        return await listed.list_response(
            bodies.SavedVoiceList,
            lambda row: bodies.saved_voice_body(
                self._library_writer.open_if_possible(row), formats.get(row.id, ())
            ),
            configured=self._configured(),
        )

    @voice_endpoint(
        "GET",
        "/{id:path}/export",
        media=("application/zip",),
        admin=("export_saved_voice", "A voice's recordings, and what is known of them, as a zip file"),
        failures=(errors.NotFound, errors.NoPlace),
        pace="list",
    )
    async def export_voice(self, request: Request) -> Response:
        """A voice of the account's own: its recordings, and what is known of them, as a zip file"""
        record = await self._voices.requested_voice(request)
        if account_of(request) is None:
            # Under /admin, `requested_voice` has opened the record.
            await self._voices.record_act(request, "voice.exported", record)
            facts = encode_json(await bodies.read_saved_voice(self._library_writer.store, record))
        else:
            record = self._library_writer.open_voice(record)
            facts = encode_json(await self._voices.tools.voice_entry(request, record.id))
        return StreamReply(f"{record.id}.zip", await self._export.open_zip(record, facts))

    @voice_endpoint("GET", "/erasures/{id}", bodies.ErasureReceipt, failures=(errors.NotFound,))
    async def get_voice_erasure(self, request: Request) -> Response:
        """How far the erasure of a deleted voice or recording is"""
        id_, account = request.path_params["id"], caller_of(request.scope).account
        found = await tombstones.get(self._library_writer.store, account, id_) if id_.isprintable() else None
        if found is None:
            raise errors.NotFound(
                f"No erasure of '{id_[:80]}' is known.", param="voice", code="voice_not_found"
            )
        return reply(bodies.erasure_receipt(found))

    @voice_endpoint(
        "POST",
        "/{id:path}",
        VoiceEntry,
        body=bodies.ChangedVoice,
        request_headers=(TAG,),
        failures=(errors.NotFound, errors.Conflict),
    )
    async def update_voice(self, request: Request) -> Response:
        """Change a voice of the account's own"""
        if request.path_params["id"] == "combine":
            raise HTTPException(404)  # an endpoint of other servers, and not the name of a voice
        change = await read_body(request, bodies.ChangedVoice)
        record = self._library_writer.open_voice(await self._voices.requested_voice(request))
        caller, tools = caller_of(request.scope), self._voices.tools
        terms, tag = tools.plans.terms(caller), read_tag(request.headers.getlist(TAG_HEADER))
        updated = await self._voice_creation.change(record, change, terms, caller.key, tag)
        return reply(await tools.voice_entry(request, updated.id))

    @voice_endpoint("DELETE", "/{id:path}", bodies.DeletedVoice, admin=_DELETE, failures=(errors.NotFound,))
    async def delete_voice(self, request: Request) -> Response:
        """Delete a voice of the account's own"""
        # The row need not be opened: a voice whose texts cannot be opened can still be erased.
        record = await self._voices.requested_voice(request)
        named = {} if record.is_sealed else {"name": record.name}
        act = await self._admin_tools.act_if_admin(
            request, "voice.deleted", record.id, record.account, **named
        )
        await self._voice_creation.delete(record, act)
        return reply(bodies.DeletedVoice(id=record.id))

    async def _create(
        self,
        caller: Caller,
        new: bodies.NewVoice | bodies.VoiceForm,
        audio: bytes,
        tag: str,
        id_: str = "",
        digest: str = "",
    ) -> VoiceRecord:
        terms = self._voices.tools.plans.terms(caller)
        origin = VoiceOrigin(payer=caller.key, id=id_, request_digest=digest, tag=tag)
        if isinstance(new, bodies.VoiceForm):
            return await self._voice_creation.create_from_recording(caller.account, new, audio, terms, origin)
        return await self._voice_creation.create_cast_or_mix(caller.account, new, origin, terms.voices)

    def _configured(self) -> list[bodies.ConfiguredVoice]:
        names = self._admin_tools.known_names()
        # A command without a server knows no engine's models.
        models = [] if self._voices.voice_tools is None else self._voices.voice_tools.catalogue.models()
        # All models of an engine agree.
        natural = {model.engine: model.info.is_trained for model in models}
        voices: list[bodies.ConfiguredVoice] = []
        for name, section in self._admin_tools.config.voices.items():
            engines = [*section.bindings] or known_by(name, names)
            # A configured name that no engine knows is left out, unless it is a cast.
            if engines or section.cast:
                voice = bodies.ConfiguredVoice(
                    name=name,
                    language=section.language,
                    gender=section.gender,
                    engines=engines,
                    natural={engine: natural[engine] for engine in engines if engine in natural},
                    cast=dict(section.cast),
                )
                voices.append(voice)
        return voices


async def _read(request: Request, new_type: type[N], form_type: type[F]) -> tuple[N | F, bytes]:
    """Read a voice as JSON, or as a form with its recording. Raises InvalidRequest."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/"):
        new = await read_body(request, new_type)
        new.check()
        return new, b""
    fields = bodies.FORM_FIELDS | frozenset(form_type.__struct_fields__)
    form = await read_form(request, files={_AUDIO: MOST_FILE_BYTES}, fields=fields)
    described = speech_request.read(form_type, bodies.read_values(form))
    described.check()
    if _AUDIO not in form.files:
        raise errors.InvalidRequest(
            f"Missing required parameter: '{_AUDIO}'.",
            param=_AUDIO,
            # The form under /admin never had a code, and codes of the API stay.
            code=None if form_type is bodies.SavedVoiceForm else "missing_required_parameter",
        )
    return described, form.files[_AUDIO].data


def digest_of(new: bodies.NewVoice | bodies.VoiceForm, audio: bytes) -> bytes:
    """Return the digest of a request with an Idempotency-Key: of its fields and its recording."""
    # Only /v1 has Idempotency-Keys, so only these two types come here.
    return digest_of_fields({name: getattr(new, name) for name in DIGESTED[type(new)]}, audio)
