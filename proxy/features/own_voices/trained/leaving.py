"""A trained model as it leaves: opened, written in a form that others read, and sent: never on the disk."""

from __future__ import annotations

from contextlib import ExitStack
from typing import BinaryIO

from starlette.requests import Request

from proxy.catalogue.trained_reading import TrainedReading
from proxy.catalogue.trained_voices import TrainedVoices
from proxy.catalogue.voice_records import VoiceRecord
from proxy.errors import InvalidRequest, NotFound
from proxy.features.own_voices.trained.intake import TrainedIntake
from proxy.helpers.places import WAIT_S, FairPlace, FairPlaces
from proxy.http.endpoint import Query
from proxy.kept.memory_file import memory_file
from proxy.kept.vault import Vault
from proxy.storage.trained_models import TrainedModel
from speech_engine.model_files import UnusableModel

QUERIES = (
    Query("form", "The form of the file: `pth`, or `index` if the voice has one. Without it, the first."),
    Query("format", "The format of the model, if the voice has several."),
)
_PART_BYTES = 256 * 1024


class ModelStream:
    """A file in parts. It has a place until it is closed."""

    def __init__(self, name: str, file: BinaryIO, place: FairPlace) -> None:
        self.name = name
        self._file = file
        self._place = place

    async def next_chunk(self) -> bytes | None:
        return self._file.read(_PART_BYTES) or None

    def close(self) -> None:
        self._file.close()
        self._place.leave()


class ModelExport:
    def __init__(
        self,
        vault: Vault,
        trained: TrainedVoices,
        reading: TrainedReading,
        intake: TrainedIntake,
        places: FairPlaces,
    ) -> None:
        self._vault = vault
        self._trained = trained
        self._reading = reading
        self._intake = intake
        self._places = places

    def __repr__(self) -> str:
        return f"<ModelExport by {self._intake!r}>"

    async def stream(self, record: VoiceRecord, request: Request) -> ModelStream:
        """Return a voice's model in the form that the request names.

        Raises NotFound if it has none, InvalidRequest, NoPlace, and VaultFailed if it was erased meanwhile.
        """
        asked = request.query_params
        model = await self._model(record, asked.get("format"))
        format_ = self._intake.formats.get(model.format)
        if format_ is None:
            raise NotFound(f"No plugin here knows the format '{model.format}'.", param="format")
        form = asked.get("form") or format_.exports[0]
        if form not in format_.exports:
            known = ", ".join(format_.exports)
            raise InvalidRequest(f"Invalid value for 'form': it must be one of {known}.", param="form")
        with ExitStack() as held:
            place = held.enter_context(self._places.take(record.account or ""))
            made = held.enter_context(memory_file("made"))
            async with place.turn(WAIT_S):
                with memory_file("kept") as kept:
                    await self._open(model, kept)
                    try:
                        await self._reading.export(format_, kept, form, made)
                    except (UnusableModel, TimeoutError) as fault:
                        raise InvalidRequest(f"Invalid value for 'form': {fault}.", param="form") from None
            made.seek(0)
            held.pop_all()
        return ModelStream(f"{record.id}.{form}", made, place)

    async def _model(self, record: VoiceRecord, format_: str | None) -> TrainedModel:
        models = await self._trained.of_voice(record.account or "", record.id)
        found = [model for model in models if format_ in (None, model.format)]
        if not found:
            which = "no model" if format_ is None else f"no model of the format '{format_[:50]}'"
            raise NotFound(f"The voice has {which}.", param="voice", code="model_not_found")
        if len(found) > 1:
            names = ", ".join(model.format for model in found)
            raise InvalidRequest(f"The voice has several models: name its 'format', {names}.", param="format")
        return found[0]

    async def _open(self, model: TrainedModel, target: BinaryIO) -> None:
        reader = await self._vault.reader(model.account, model.digest)
        while part := await reader.next_part():
            target.write(part)
