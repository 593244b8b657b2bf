"""The voices of the engine: the speakers of each imported file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from plugins.piper.voice_format import MODEL_FORMAT, VoiceConfig, decoder_reach, read_config
from speech_engine import EngineFailed, ModelInfo, VoiceInfo
from speech_engine.imported_voices import find_voice, one_model
from speech_engine.levels import TARGET_LUFS
from speech_engine.model_files import FolderContents, check_model, find_manifest
from speech_engine.model_files.onnx_windows import Reach
from speech_engine.values import Voice

_MOST_LISTED = 32
"""The most listed speakers of a file. Some files have a thousand. Clients may name the others, too."""


class ImportedVoice(NamedTuple):
    """One imported file. `bytes` estimates its memory. `genders` and `lufs` are by speaker, "" for the only
    one.

    `reach` is that of its decoder, if the voice was cut at its import.
    """

    name: str
    folder: Path
    digest: str
    languages: tuple[str, ...]
    config: VoiceConfig
    bytes: int
    genders: Mapping[str, str] = MappingProxyType({})
    lufs: Mapping[str, float] = MappingProxyType({})
    reach: Reach | None = None

    def __repr__(self) -> str:
        return f"<ImportedVoice {self.name}>"


class Speaker(NamedTuple):
    """A speaker of a file, by its place in `config.speakers`."""

    voice: ImportedVoice
    number: int

    @property
    def gender(self) -> str | None:
        genders, name = self.voice.genders, self.voice.config.speakers[self.number]
        return genders.get(name) or (genders.get("") if len(self.voice.config.speakers) == 1 else None)


class VoiceList:
    """All voices, the default one first. A file's plain name is its first speaker."""

    def __init__(self, voices: Sequence[ImportedVoice]) -> None:
        self.voices = tuple(voices)
        self._by_id = {
            _id(voice, number): Speaker(voice, number)
            for voice in voices
            for number in range(len(voice.config.speakers))
        }
        self._shown = {id_: each for id_, each in self._by_id.items() if each.number < _MOST_LISTED}
        self._by_id |= {voice.name: Speaker(voice, 0) for voice in voices}

    def infos(self) -> tuple[VoiceInfo, ...]:
        return tuple(
            VoiceInfo(
                id=id_,
                name=id_,
                language=speaker.voice.languages[0],
                gender=speaker.gender,
                lufs=TARGET_LUFS,
            )
            for id_, speaker in self._shown.items()
        )

    def unlisted(self) -> tuple[str, ...]:
        return tuple(id_ for id_ in self._by_id if id_ not in self._shown)

    def model(self) -> ModelInfo:
        digest = hashlib.sha256("\n".join(f"{each.name} {each.digest}" for each in self.voices).encode())
        tags = (tag for voice in self.voices for tag in voice.languages)
        return one_model(tags, max(voice.config.rate_hz for voice in self.voices), digest.hexdigest()[:32])

    def find(self, voice: Voice, language: str) -> Speaker:
        """Return the speaker of a voice. Raise VoiceNotFound or UnsupportedLanguage."""
        return find_voice("Piper", self._by_id, lambda speaker: speaker.voice.languages, voice, language)


def _id(voice: ImportedVoice, number: int) -> str:
    speakers = voice.config.speakers
    return voice.name if len(speakers) == 1 else f"{voice.name}:{speakers[number]}"


def read_voices(folders: Sequence[str], most_bytes: int) -> list[ImportedVoice]:
    """Check the folders, and return their voices. Raise UnusableModel or EngineFailed."""
    voices = []
    for path in map(Path, folders):
        check_model(MODEL_FORMAT, path)
        manifest = find_manifest(path)
        contents = FolderContents(MODEL_FORMAT.files, path)
        config = read_config(contents)
        size = (path / "voice.onnx").stat().st_size
        voice = ImportedVoice(
            name=manifest.name if manifest else path.name,
            folder=path,
            digest=manifest.digest if manifest else f"{path.name} {size}",
            languages=(manifest.languages if manifest else ()) or (config.language,),
            config=config,
            bytes=size * 2,
            genders=manifest.genders if manifest else {},
            lufs=manifest.lufs if manifest else {},
            reach=decoder_reach(contents),
        )
        if voice.bytes > most_bytes:
            raise EngineFailed(
                f"voices_mb is too small for {voice.name}, which needs {voice.bytes // 2**20 + 1}"
            )
        voices.append(voice)
    return voices
