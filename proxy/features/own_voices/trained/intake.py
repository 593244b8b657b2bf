"""The upload of a trained model: a child process reads it, it is sealed, and one commit gives it to a
voice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from functools import partial
from typing import BinaryIO, NamedTuple, TypeVar

import structlog
from starlette.requests import Request

from policies.plans import Terms
from proxy.catalogue.trained_voice_store import TrainedVoiceStore
from proxy.catalogue.voice_records import VoiceRecord
from proxy.config.fields import missing_parameter
from proxy.engines.registry import Registry
from proxy.errors import Conflict, InvalidRequest, RequestTimeout
from proxy.features.models import voice_reading
from proxy.features.own_voices.library_writer import LibraryWriter
from proxy.features.own_voices.recording_storage import consent_condition
from proxy.features.own_voices.trained.bodies import FILE, MOST_BYTES, UploadedModel, VoiceModelForm
from proxy.features.own_voices.trained.model_limiter import FREE_BYTES, TOO_SLOW, ModelLimiter, ModelPlaces
from proxy.features.own_voices.voice_creation import VoiceCreation, VoiceOrigin
from proxy.features.voice_list.known_voices import voice_not_found
from proxy.features.voice_list.voices import VoiceTools
from proxy.file_store.memory_file import open_memory_file
from proxy.http.body import connection_of
from proxy.http.form import RequestForm, form_values, stream_form
from proxy.speech import speech_request
from proxy.storage.trained_model import TrainedModel
from speech_engine.model_files import UnusableModel
from speech_engine.trained_files import TrainedFormat, UnusableSource

UPLOAD_S = 600.0
"""The longest time of an upload."""
_DEFAULT_FORMAT = "rvc"

_log = structlog.get_logger()
F = TypeVar("F", bound=VoiceModelForm)


class ModelUpload(NamedTuple):
    """The files of a form, by its fields, and the places that they hold in memory."""

    files: Mapping[str, UploadedModel]
    places: ModelPlaces

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
    async def receive_form(
        self, request: Request, account: str, type_: type[F]
    ) -> AsyncIterator[tuple[F, ModelUpload]]:
        """Read a form, and yield it with its files until the block ends. Raises NoPlace, and a form's
        errors."""
        with (
            closing(ModelPlaces(self._limiter, account)) as places,
            connection_of(request).counted_body(FREE_BYTES),
        ):
            async with AsyncExitStack() as files:
                sinks = {
                    name: UploadedModel(await files.enter_async_context(open_memory_file(name)), most_bytes)
                    for name, most_bytes in MOST_BYTES.items()
                }
                form = await _read_form(request, sinks, type_, places)
                read = speech_request.read(type_, form_values(form, lists=("tags",)))
                read.check()
                if FILE not in form.files:
                    raise missing_parameter(FILE)
                await places.grow(0)  # a small form took no place while it came
                yield read, ModelUpload({name: sinks[name] for name in sinks if name in form.files}, places)

    def format_of(self, form: VoiceModelForm, tools: VoiceTools | None) -> TrainedFormat:
        """Return the format of a model. Raises InvalidRequest if no engine here takes it."""
        known = self.formats
        if tools is None or not known:
            raise InvalidRequest("Models of voices come while a server runs.", param="format")
        accepted = {model.info.trained_format for model in tools.catalogue.models()} & set(known)
        name = form.format or (
            _DEFAULT_FORMAT if _DEFAULT_FORMAT in accepted or len(accepted) != 1 else next(iter(accepted))
        )
        if name not in accepted:
            names = ", ".join(sorted(accepted)) or "none"
            raise InvalidRequest(
                f"Invalid value for 'format': no model on this server takes voices of the format "
                f"'{name}'; it takes: {names}.",
                param="format",
                code="unsupported_value",
            )
        return known[name]

    async def make_voice(
        self,
        account: str | None,
        form: VoiceModelForm,
        upload: ModelUpload,
        format_: TrainedFormat,
        terms: Terms | None,
        origin: VoiceOrigin,
    ) -> VoiceRecord:
        """Make a voice of a model. Without an account, all accounts have the voice.

        Raises InvalidRequest for an unusable file, and the errors of making a voice.
        """
        consent = await self._voice_creation.check_model_voice(
            account, form.voice_description, form.consent, terms
        )

        async def put(voice: str) -> TrainedModel:
            return await self._seal_model(account or "", voice, upload, format_)

        return await self._voice_creation.create_from_model(
            account, form.voice_description, consent, None if terms is None else terms.voices, origin, put
        )

    async def give_model(
        self, record: VoiceRecord, upload: ModelUpload, format_: TrainedFormat
    ) -> TrainedModel:
        """Give a model to an existing voice. It replaces the voice's model of the same format.

        Raises InvalidRequest for an unusable file or a voice that can have none, NotAllowed and
        RequestUnderWay for its consent, and NotFound.
        """
        if record.kind not in ("sample", "catalogue"):
            raise InvalidRequest(
                f"Invalid value for 'voice': a {record.kind} speaks with other voices; name one of those.",
                param="voice",
            )
        account = record.account or ""
        await self._voice_creation.grants.find_grant_of(account, record.consent, "voice")
        model = await self._seal_model(account, record.id, upload, format_)
        replaced = await self._trained.replaced_by(model)
        needs = consent_condition(record, self._voice_creation.grants)
        try:
            await self._library_writer.store.write(*self._trained.statements(model, needs))
        except BaseException:
            await self._trained.drop(model)
            raise
        if not await self._trained.is_stored(model):
            await self._trained.drop(model)
            if await self._library_writer.find_voice(record.account, record.id) is None:
                raise voice_not_found(record.id)
            raise Conflict("The voice is being changed by others; send it again.")
        await self._library_writer.drop_caches(record.account, record.id)
        for old in replaced:
            await self._trained.drop(old)
        return model

    async def _seal_model(
        self, account: str, voice: str, upload: ModelUpload, format_: TrainedFormat
    ) -> TrainedModel:
        sources = _sources(upload, format_)
        async with upload.places.turn():
            async with open_memory_file("kept") as stored:
                try:
                    await voice_reading.import_voice(format_, sources, stored)
                except UnusableSource as fault:
                    raise _unusable(_field_of(fault.role, format_), str(fault)) from None
                except UnusableModel as fault:
                    raise _unusable(FILE, str(fault)) from None
                except TimeoutError:
                    raise _unusable(FILE, "to read it takes too long") from None
                data = await asyncio.to_thread(_read, stored)
            return await self._trained.put(account, voice, format_.name, data, origin="import")


async def _read_form(
    request: Request, sinks: Mapping[str, UploadedModel], type_: type[VoiceModelForm], places: ModelPlaces
) -> RequestForm:
    """Read the form, and its files into `sinks`. It takes places after the first MiB. Raises RequestTimeout
    if it is too slow while others wait."""
    size = 0

    async def grow(count: int) -> None:
        nonlocal size
        size += count
        places.moved_bytes += count
        if size > FREE_BYTES:
            await places.grow(size)

    try:
        async with asyncio.timeout(None) as limit:
            # A deadline in the past ends the wait for the form at once.
            places.begin_transfer(partial(limit.reschedule, 0.0))
            return await stream_form(request, sinks, type_.__struct_fields__, UPLOAD_S, grow)
    except TimeoutError:
        raise RequestTimeout(f"The form came with {TOO_SLOW}.") from None
    finally:
        # From here on, the client has nothing to send, so it cannot be too slow.
        places.begin_transfer(places.rest)
        places.rest()


def _sources(upload: ModelUpload, format_: TrainedFormat) -> dict[str, BinaryIO]:
    """Return the files by their roles in the format. Raises InvalidRequest for a file that the format does
    not have, or that is too large."""
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
    """Return the form's field for a role. The format's first file comes as `file`, the others by role."""
    return FILE if role == format_.sources[0].role else role


def _unusable(field: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid value for '{field}': {why}.", param=field, code="unusable_model")


def _read(stored: BinaryIO) -> bytes:
    stored.seek(0)
    return stored.read()
