"""The voices of the engine: each imported file, each of its speakers, and OpenAI's thirteen names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from plugins.piper.voice_format import MODEL_FORMAT, VoiceConfig, read_config
from speech_engine import (
    EngineFailed,
    EngineVoice,
    Language,
    ModelInfo,
    UnsupportedLanguage,
    VoiceInfo,
    VoiceNotFound,
)
from speech_engine.model_files import FolderContents, check_model, find_manifest
from speech_engine.values import Voice

MODEL = "standard"
NAMES = (
    *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage"),
    *("shimmer", "verse"),
)
"""The names that clients know. The first one is the default voice; the others share what else there is."""

MOST_CHARACTERS = 400
"""Of a sentence: about half a minute, which the network makes in one piece."""

_MOST_LISTED = 32
"""Of one file's speakers. Some files have a thousand; clients may name the others all the same."""


class ImportedVoice(NamedTuple):
    """One imported file. `bytes` is the memory that it needs once it is loaded, as an estimate."""

    name: str
    folder: Path
    digest: str
    languages: tuple[str, ...]
    config: VoiceConfig
    bytes: int

    def __repr__(self) -> str:
        return f"<ImportedVoice {self.name}>"


class Speaker(NamedTuple):
    """One speaker of a file."""

    voice: ImportedVoice
    number: int


class VoiceList:
    """All voices, the default one first."""

    def __init__(self, voices: Sequence[ImportedVoice]) -> None:
        self.voices = tuple(voices)
        self._by_id = {
            self._id(voice, number): Speaker(voice, number)
            for voice in voices
            for number in range(len(voice.config.speakers))
        }
        # A file's plain name is its first speaker.
        self._by_id |= {voice.name: Speaker(voice, 0) for voice in voices}
        self._shown = {
            id_: speaker
            for id_, speaker in self._by_id.items()
            if speaker.number < _MOST_LISTED and id_ == self._id(*speaker)
        }

    def __repr__(self) -> str:
        return f"<VoiceList of {len(self.voices)} files>"

    def infos(self) -> tuple[VoiceInfo, ...]:
        return tuple(
            VoiceInfo(id=id_, name=id_, language=speaker.voice.languages[0])
            for id_, speaker in self._shown.items()
        )

    def unlisted(self) -> tuple[str, ...]:
        return (*NAMES, *(id_ for id_ in self._by_id if id_ not in self._shown and id_ not in NAMES))

    def model(self) -> ModelInfo:
        """Describe all voices as one model: so clients choose between voices, as they do elsewhere."""
        tags = dict.fromkeys(tag for voice in self.voices for tag in voice.languages)
        bases = dict.fromkeys(tag.partition("-")[0] for tag in tags)
        digest = hashlib.sha256("\n".join(f"{each.name} {each.digest}" for each in self.voices).encode())
        return ModelInfo(
            id=MODEL,
            languages=tuple(Language(tag) for tag in dict.fromkeys((*tags, *bases))),
            sample_rate_hz=max(voice.config.rate_hz for voice in self.voices),
            digest=digest.hexdigest()[:32],
            max_characters=MOST_CHARACTERS,
            speed=(0.5, 2.0),
            times_words=False,
            # It reads digits, but it reads neither "R$ 1.234,50" nor "20/11" as people do.
            reads_numbers=False,
        )

    def find(self, wanted: Voice, language: str) -> Speaker:
        """Return the speaker that a voice means. Raise VoiceNotFound or UnsupportedLanguage."""
        id_ = wanted.id if isinstance(wanted, EngineVoice) else ""
        if id_ not in self._by_id and id_ not in NAMES:
            raise VoiceNotFound(
                f"Piper has no voice {id_[:80]!r}." if id_ else "Piper has only voices of its own."
            )
        chosen = self._by_id.get(id_)
        able = speaking(self.voices, language)
        if not able or (chosen is not None and not speaking((chosen.voice,), language)):
            raise UnsupportedLanguage(f"This voice of Piper does not speak the language {language!r}.")
        if chosen is not None:
            return chosen
        # First one speaker of each file, then the second ones: so that names sound as different as can be.
        most = max(len(voice.config.speakers) for voice in able)
        each = [
            Speaker(voice, number)
            for number in range(min(most, len(NAMES)))
            for voice in able
            if number < len(voice.config.speakers)
        ]
        return each[NAMES.index(id_) % len(each)]

    @staticmethod
    def _id(voice: ImportedVoice, number: int) -> str:
        speakers = voice.config.speakers
        return voice.name if len(speakers) == 1 else f"{voice.name}:{speakers[number]}"


def speaking(voices: Sequence[ImportedVoice], language: str) -> list[ImportedVoice]:
    """Return the voices of a language: of its region if there are any, else of any region."""
    exact = [voice for voice in voices if language.lower() in map(str.lower, voice.languages)]
    base = language.partition("-")[0].lower()
    return exact or [
        voice for voice in voices if base in (tag.partition("-")[0].lower() for tag in voice.languages)
    ]


def read_voices(folders: Sequence[str], most_bytes: int) -> list[ImportedVoice]:
    """Check each voice's folder, and return what is in it. Raise UnusableModel or EngineFailed."""
    voices = []
    for path in map(Path, folders):
        check_model(MODEL_FORMAT, path)
        manifest = find_manifest(path)
        config = read_config(FolderContents(MODEL_FORMAT.files, path))
        size = (path / "voice.onnx").stat().st_size
        voice = ImportedVoice(
            name=manifest.name if manifest else path.name,
            folder=path,
            digest=manifest.digest if manifest else f"{path.name} {size}",
            languages=(manifest.languages if manifest else ()) or (config.language,),
            config=config,
            bytes=size * 2,
        )
        if voice.bytes > most_bytes:
            raise EngineFailed(
                f"voices_mb is too small for {voice.name}, which needs {voice.bytes // 2**20 + 1}"
            )
        voices.append(voice)
    return voices
