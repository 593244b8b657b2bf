"""The download of a trained model: it is opened, converted to a public form and sent, and is never on the
disk in plain."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from proxy.catalogue.trained_voice_store import TrainedVoiceStore
from proxy.catalogue.voice_records import VoiceRecord
from proxy.errors import InvalidRequest, NotFound, RequestTimeout
from proxy.features.models import voice_reading
from proxy.features.own_voices.trained.intake import TrainedIntake
from proxy.features.own_voices.trained.model_limiter import TOO_SLOW, ModelLimiter, ModelPlaces
from proxy.file_store.memory_file import memory_file, open_memory_file
from proxy.file_store.vault import Vault
from proxy.http.endpoint import Query
from proxy.storage.trained_model import TrainedModel
from speech_engine.model_files import UnusableModel

QUERIES = (
    Query("form", "The form of the file: `pth`, or `index` if the voice has one. Without it, the first."),
    Query("format", "The format of the model, if the voice has several."),
)
_PART_BYTES = 64 * 1024


class ModelStream:
    """A file in memory that is read in chunks. It holds its places until it is closed. If its reader is too
    slow while others wait, it is closed early."""

    def __init__(self, name: str, places: ModelPlaces) -> None:
        self.name = name
        self.file = memory_file("made")
        self.places = places
        self._is_closed = False

    async def next_chunk(self) -> bytes | None:
        if self._is_closed:
            raise RequestTimeout(f"The model was read with {TOO_SLOW}.")
        part = self.file.read(_PART_BYTES)
        self.places.moved_bytes += len(part)
        return part or None

    def close(self) -> None:
        self._is_closed = True
        # In a thread: to free hundreds of MiB takes long.
        freed = asyncio.get_running_loop().run_in_executor(None, self.file.close)
        freed.add_done_callback(lambda _: self.places.close())


class ModelExport:
    def __init__(
        self, vault: Vault, trained: TrainedVoiceStore, intake: TrainedIntake, limiter: ModelLimiter
    ) -> None:
        self._vault = vault
        self._trained = trained
        self._intake = intake
        self._limiter = limiter

    async def open_stream(self, record: VoiceRecord, request: Request) -> ModelStream:
        """Return a voice's model in the form that the request names.

        Raises NotFound if it has none, InvalidRequest, NoPlace, and VaultFailed if it was erased meanwhile.
        """
        query = request.query_params
        model = await self._find_model(record, query.get("format"))
        format_ = self._intake.formats.get(model.format)
        if format_ is None:
            raise NotFound(f"No plugin here knows the format '{model.format}'.", param="format")
        form = query.get("form") or format_.exports[0]
        if form not in format_.exports:
            known = ", ".join(format_.exports)
            raise InvalidRequest(f"Invalid value for 'form': it must be one of {known}.", param="form")
        stream = ModelStream(f"{record.id}.{form}", ModelPlaces(self._limiter, record.account or ""))
        try:
            await stream.places.grow(model.bytes)
            async with stream.places.turn(), open_memory_file("kept") as stored:
                reader = await self._vault.reader(model.account, model.digest)
                while part := await reader.next_part():
                    stored.write(part)
                try:
                    await voice_reading.export_voice(format_, stored, form, stream.file)
                except (UnusableModel, TimeoutError) as fault:
                    raise InvalidRequest(f"Invalid value for 'form': {fault}.", param="form") from None
        except BaseException:
            stream.close()
            raise
        stream.file.seek(0)
        stream.places.begin_transfer(stream.close)
        return stream

    async def _find_model(self, record: VoiceRecord, format_: str | None) -> TrainedModel:
        models = await self._trained.of_voice(record.account or "", record.id)
        found = [model for model in models if format_ in (None, model.format)]
        if not found:
            which = "no model" if format_ is None else f"no model of the format '{format_[:50]}'"
            raise NotFound(f"The voice has {which}.", param="voice", code="model_not_found")
        if len(found) > 1:
            names = ", ".join(model.format for model in found)
            raise InvalidRequest(f"The voice has several models: name its 'format', {names}.", param="format")
        return found[0]
