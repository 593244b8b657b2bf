"""[voices.NAME]: what clients may name, and which voices of the configured engines stand for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from policies import casting
from proxy.config import fields
from proxy.config.reader import Reader, nearest
from proxy.config.sections import EngineSection, VoiceSection

Engines = Mapping[str, EngineSection]
_OWN = [field.key for field in fields.fields_of(VoiceSection) if field.key != "bindings"]


def read_voices(
    reader: Reader, value: object, engines: Engines, shipped: Mapping[str, Any]
) -> dict[str, VoiceSection]:
    """The file's own: casts, and what is bound to an engine that is there. One of which no engine is there is
    left out, with a warning; one that repeats a shipped voice word for word is as silent as that."""
    voices: dict[str, VoiceSection] = {}
    for name, section in reader.table(value, "voices").items():
        key = f"voices.{name}"
        table = reader.table(section, key)
        if table != shipped.get(name):
            _check_engines(reader, table, key, engines)
        voice = _voice(reader, table, key, engines)
        if voice.cast and voice.bindings:
            reader.fault(f"{key}.cast", "a cast is on no engine itself: its voices are")
        elif voice.cast or voice.bindings:
            voices[name] = voice
        elif not table.keys() - {*_OWN}:
            reader.fault(key, 'binds no engine; add a line such as espeak = "f3"')
    return voices


def _check_engines(reader: Reader, table: Mapping[str, Any], key: str, engines: Engines) -> None:
    """What is like a name that is known is a slip; anything else is an engine that is not there (yet)."""
    known = [*_OWN, *engines]
    for name in table:
        if name not in known and nearest(name, known):
            reader.unknown(f"{key}.{name}", name, known)
        elif name not in known:
            reader.warn(f"{key}.{name}", f"the voice cannot speak there: no [engines.{name}] here")


def shipped_voices(value: Mapping[str, Any], engines: Engines) -> dict[str, VoiceSection]:
    """Those of ours that an engine which is there can speak with."""
    reader = Reader("defaults")
    voices = {name: _voice(reader, table, f"voices.{name}", engines) for name, table in value.items()}
    return {name: voice for name, voice in voices.items() if voice.bindings}


def check_casts(
    reader: Reader, voices: Mapping[str, VoiceSection], written: Mapping[str, Any], engines: Engines
) -> None:
    """Who speaks in a cast is a voice that there is, or an engine's; one that was left out was told of."""
    for name, voice in voices.items():
        if voice.cast and (wrong := casting.fault(list(voice.cast))) is not None:
            reader.fault(f"voices.{name}.cast", wrong)
        for who, wanted in voice.cast.items():
            key = f"voices.{name}.cast.{who}"
            if wanted in voices and voices[wanted].cast:
                reader.fault(key, f"{wanted!r} is a cast itself; name a voice")
            elif wanted not in {*voices, *written} and wanted.partition("/")[0] not in engines:
                reader.fault(key, f'must be a voice of this file, or "engine/voice"; {wanted!r} is neither')


def _voice(reader: Reader, table: Mapping[str, Any], key: str, engines: Engines) -> VoiceSection:
    own = {name: table[name] for name in _OWN if name in table}
    bindings: dict[str, str] = {}
    for engine, voice in table.items():
        if engine in own:
            continue
        if not isinstance(voice, str) or not voice:
            reader.fault(f"{key}.{engine}", "must be the voice's id on that engine, a text in quotes")
        elif engine in engines:
            bindings[engine] = voice
    section = reader.struct(VoiceSection, own, key) or VoiceSection()
    return msgspec.structs.replace(section, bindings=bindings)
