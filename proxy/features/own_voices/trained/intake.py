"""Accept a trained model: read it in a child process, seal it, and give it to a voice in one commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from functools import partial
from typing import BinaryIO, NamedTuple, TypeVar

import structlog
from starlette.requests import Request

from policies.plans import Terms
from proxy.api.voices import VoiceTools
from proxy.catalogue.known_voices import no_voice
from proxy.catalogue.trained_voice_store import TrainedVoiceStore
from proxy.catalogue.voice_records import VoiceRecord
from proxy.engines.registry import Registry
from proxy.errors import Conflict, InvalidRequest, RequestTimeout
from proxy.features.models import voice_reading
from proxy.features.own_voices.library_writer import LibraryWriter
from proxy.features.own_voices.trained.bodies import FILE, MOST_BYTES, UploadedModel, VoiceModelForm
from proxy.features.own_voices.trained.model_limiter import FREE_BYTES, TOO_SLOW, ModelLimiter, ModelPlaces
from proxy.features.own_voices.voice_creation import Beginning, VoiceCreation, needs_of
from proxy.file_store.memory_file import open_memory_file
from proxy.http.body import connection_of
from proxy.http.form import RequestForm, form_values, stream_form
from proxy.speech import speech_request
from proxy.storage.trained_model import TrainedModel
from speech_engine.model_files import UnusableModel
from speech_engine.trained_files import TrainedFormat, UnusableSource

UPLOAD_S = 600.0
"""The longest time in which a form with a model may come."""
_USUAL = "rvc"

_log = structlog.get_logger()
F = TypeVar("F", bound=VoiceModelForm)


class ModelUpload(NamedTuple):
    files: Mapping[str, UploadedModel]
    slots: ModelPlaces

    def __repr__(self) -> str:
        return f"<ModelUpload {list(self.files)}>"

    @property
    def digest(self) -> bytes:
        return b"".join(name.encode() + model.digest.digest() for name, model in self.files.items())


class TrainedIntake:
    def __init__(
        self,
        trained: TrainedVoiceStore,
        registry: Registry,
        voice_creation: VoiceCreation,
        library_writer: LibraryWriter,
        limiter: ModelLimiter,
    ) -> None:
        self._trained = trained
        self._registry = registry
        self._voice_creation = voice_creation
        self._library_writer = library_writer
        self._limiter = limiter

    @property
    def formats(self) -> dict[str, TrainedFormat]:
        plugins = self._registry.plugins("engine").values()
        return {each.trained_format.name: each.trained_format for each in plugins if each.trained_format}

    @asynccontextmanager
    async def received(
        self, request: Request, account: str, type_: type[F]
    ) -> AsyncIterator[tuple[F, ModelUpload]]:
        """Read a form, and hold its files while the block runs. Raises NoPlace, and a form's errors."""
        with (
            closing(ModelPlaces(self._limiter, account)) as slots,
            connection_of(request).counted_body(FREE_BYTES),
        ):
            async with AsyncExitStack() as files:
                sinks = {
                    name: UploadedModel(await files.enter_async_context(open_memory_file(name)), most_bytes)
                    for name, most_bytes in MOST_BYTES.items()
                }
                form = await _streamed(request, sinks, type_, slots)
                read = speech_request.read(type_, form_values(form, lists=("tags",)))
                read.check()
                if FILE not in form.files:
                    raise InvalidRequest(
                        f"Missing required parameter: '{FILE}'.",
                        param=FILE,
                        code="missing_required_parameter",
                    )
                await slots.grow(0)
                yield read, ModelUpload({name: sinks[name] for name in sinks if name in form.files}, slots)

    def format_of(self, form: VoiceModelForm, tools: VoiceTools | None) -> TrainedFormat:
        """Return the format of a model. Raises InvalidRequest if no engine here takes it."""
        known = self.formats
        if tools is None or not known:
            raise InvalidRequest("Models of voices come while a server runs.", param="format")
        accepted = {model.info.trained_format for model in tools.catalogue.models()} & set(known)
        name = form.format or (_USUAL if _USUAL in accepted or len(accepted) != 1 else next(iter(accepted)))
        if name not in accepted:
            names = ", ".join(sorted(accepted)) or "none"
            raise InvalidRequest(
                f"Invalid value for 'format': no model on this server takes voices of the format "
                f"'{name}'; it takes: {names}.",
                param="format",
                code="unsupported_value",
            )
        return known[name]

    async def make(
        self,
        account: str | None,
        form: VoiceModelForm,
        upload: ModelUpload,
        format_: TrainedFormat,
        terms: Terms | None,
        beginning: Beginning,
    ) -> VoiceRecord:
        """Make a voice of a model, of the account or, without one, of all accounts.

        Raises InvalidRequest for an unusable file, and the errors of making a voice.
        """
        consent = await self._voice_creation.check_model(account, form.described, form.consent, terms)

        async def put(voice: str) -> TrainedModel:
            return await self._put(account or "", voice, upload, format_)

        return await self._voice_creation.make_of_model(
            account, form.described, consent, None if terms is None else terms.voices, beginning, put
        )

    async def give(self, record: VoiceRecord, upload: ModelUpload, format_: TrainedFormat) -> TrainedModel:
        """Give a model to an existing voice. It replaces one of the same format.

        Raises InvalidRequest for an unusable file or a voice that can have none, and NotFound.
        """
        if record.kind not in ("sample", "catalogue"):
            raise InvalidRequest(
                f"Invalid value for 'voice': a {record.kind} speaks with other voices; name one of those.",
                param="voice",
            )
        account = record.account or ""
        model = await self._put(account, record.id, upload, format_)
        before = await self._trained.replaced_by(model)
        needs = needs_of(record, self._voice_creation.grants)
        try:
            await self._library_writer.store.write(*self._trained.statements(model, needs))
        except BaseException:
            await self._trained.drop(model)
            raise
        if not await self._trained.is_stored(model):
            await self._trained.drop(model)
            if await self._library_writer.find_voice(record.account, record.id) is None:
                raise no_voice(record.id)
            raise Conflict("The voice is being changed by others; send it again.")
        await self._library_writer.forget(record.account, record.id)
        for old in before:
            await self._trained.drop(old)
        return model

    async def _put(
        self, account: str, voice: str, upload: ModelUpload, format_: TrainedFormat
    ) -> TrainedModel:
        sources = _sources(upload, format_)
        async with upload.slots.turn():
            async with open_memory_file("kept") as stored:
                try:
                    await voice_reading.bring(format_, sources, stored)
                except UnusableSource as fault:
                    raise _unusable(_field_of(fault.role, format_), str(fault)) from None
                except UnusableModel as fault:
                    raise _unusable(FILE, str(fault)) from None
                except TimeoutError:
                    raise _unusable(FILE, "to read it takes too long") from None
                data = await asyncio.to_thread(_read, stored)
            return await self._trained.put(account, voice, format_.name, data, origin="import")


async def _streamed(
    request: Request, sinks: Mapping[str, UploadedModel], type_: type[VoiceModelForm], slots: ModelPlaces
) -> RequestForm:
    """Read the form into its files. It has its place from the first MiB on, and loses it if it is slow."""
    size = 0

    async def grow(count: int) -> None:
        nonlocal size
        size += count
        slots.moved += count
        if size > FREE_BYTES:
            await slots.grow(size)

    try:
        async with asyncio.timeout(None) as limit:
            slots.begin_transfer(partial(limit.reschedule, 0.0))
            return await stream_form(request, sinks, type_.__struct_fields__, UPLOAD_S, grow)
    except TimeoutError:
        raise RequestTimeout(f"The form came with {TOO_SLOW}.") from None
    finally:
        # The time that follows is not the client's.
        slots.begin_transfer(slots.rest)
        slots.rest()


def _sources(upload: ModelUpload, format_: TrainedFormat) -> dict[str, BinaryIO]:
    """Return the files by their roles. Raises InvalidRequest for a role that the format lacks."""
    by_field = {_field_of(file.role, format_): file for file in format_.sources}
    sources: dict[str, BinaryIO] = {}
    for field, model in upload.files.items():
        file = by_field.get(field)
        if file is None:
            raise _unusable(field, f"voices of the format '{format_.name}' have no such file")
        if model.size > file.most_bytes:
            raise InvalidRequest(
                f"Invalid value for '{field}': the file is larger than {file.most_bytes} bytes.",
                param=field,
                code="file_too_large",
            )
        sources[file.role] = model.file
    return sources


def _field_of(role: str, format_: TrainedFormat) -> str:
    return FILE if role == format_.sources[0].role else role


def _unusable(field: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid value for '{field}': {why}.", param=field, code="unusable_model")


def _read(stored: BinaryIO) -> bytes:
    stored.seek(0)
    return stored.read()
