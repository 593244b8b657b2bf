"""The file of a trained voice of tone: a timbre in JSON, so that tests can import and export voices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO, Final

import msgspec

from plugins.tone.timbre import Timbre
from speech_engine.model_files import ModelFile, UnusableModel
from speech_engine.trained_files import TrainedFacts, TrainedFiles, TrainedFormat

FORMAT: Final = "tone"
_MOST_BYTES: Final = 64 * 1024


class ToneVoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A timbre as a file. `seconds` is the length of the recordings. `step` is the step of the training that
    made this voice."""

    format: str
    pitch_hz: float
    brightness: float
    seconds: float
    step: int

    @property
    def timbre(self) -> Timbre:
        return Timbre(self.pitch_hz, self.brightness, self.seconds)


def read_voice(data: bytes) -> ToneVoice:
    """Return the voice of a file. Raise ValueError for any other file."""
    voice = msgspec.json.decode(data, type=ToneVoice)
    if voice.format != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    return voice


class ToneFiles:
    """Import and export of voices of tone, as the JSON that is stored."""

    def bring(self, sources: Mapping[str, BinaryIO], target: BinaryIO) -> None:
        voice = _read(sources["model"])
        if not 50 <= voice.pitch_hz <= 500 or not 0 <= voice.brightness <= 1:
            values = f"its pitch is {voice.pitch_hz:g} Hz and its brightness {voice.brightness:g}"
            raise UnusableModel(f"{values}; they must be 50 to 500 and 0 to 1")
        target.write(msgspec.json.encode(voice))

    def check(self, file: BinaryIO, size: int) -> TrainedFacts:
        return TrainedFacts(parameters=len(Timbre._fields), words={"pitch_hz": f"{_read(file).pitch_hz:g}"})

    def export(self, file: BinaryIO, size: int, form: str, target: BinaryIO) -> None:
        if form != "json":
            raise UnusableModel(f"a voice of tone has no form {form[:20]!r}; known is json")
        target.write(msgspec.json.encode(_read(file)))


FILES: TrainedFiles = ToneFiles()

TRAINED_FORMAT = TrainedFormat(
    name=FORMAT,
    module="plugins.tone.voice_format",
    sources=(ModelFile(role="model", kind="json", name="voice.json", most_bytes=_MOST_BYTES),),
    exports=("json",),
)


def _read(file: BinaryIO) -> ToneVoice:
    file.seek(0)
    try:
        return read_voice(file.read(_MOST_BYTES + 1))
    except ValueError as fault:
        raise UnusableModel(f"it is no voice of tone: {str(fault)[:100]}") from None
