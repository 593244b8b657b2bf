"""[models] and [voices.NAME]: what clients may name, and what stands for it on the configured engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from proxy.reading.reader import Reader
from proxy.sections import EngineSection, VoiceSection

Engines = Mapping[str, EngineSection]


def read_voices(reader: Reader, value: object, engines: Engines) -> dict[str, VoiceSection]:
    """The file's own: each must bind an engine that is there."""
    voices: dict[str, VoiceSection] = {}
    for name, section in reader.table(value, "voices").items():
        key = f"voices.{name}"
        table = reader.table(section, key)
        known = ["language", "gender", *engines]
        for engine in table:
            if engine not in known:
                reader.unknown(f"{key}.{engine}", engine, known)
        voice = _voice(reader, table, key, engines)
        if voice.bindings:
            voices[name] = voice
        else:
            reader.fault(key, 'binds no engine; add a line such as espeak = "f3"')
    return voices


def shipped_voices(value: Mapping[str, Any], engines: Engines) -> dict[str, VoiceSection]:
    """Those of ours that an engine which is there can speak with."""
    reader = Reader("defaults")
    voices = {name: _voice(reader, table, f"voices.{name}", engines) for name, table in value.items()}
    return {name: voice for name, voice in voices.items() if voice.bindings}


def _voice(reader: Reader, table: Mapping[str, Any], key: str, engines: Engines) -> VoiceSection:
    own = {name: table[name] for name in ("language", "gender") if name in table}
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


def read_models(reader: Reader, value: object, engines: Engines) -> dict[str, tuple[str, ...]]:
    models: dict[str, tuple[str, ...]] = {}
    for alias, listed in reader.table(value, "models").items():
        key = f"models.{alias}"
        names = [listed] if isinstance(listed, str) else listed
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            reader.fault(key, 'must be a list of models, ["engine/model"]')
            continue
        for name in names:
            _check_model(reader, key, name, engines)
        models[alias] = tuple(name for name in names if name.partition("/")[0] in engines)
    return {alias: names for alias, names in models.items() if names}


def shipped_models(value: Mapping[str, Any], engines: Engines) -> dict[str, tuple[str, ...]]:
    """Those of ours whose engine is there."""
    return read_models(Reader("defaults"), dict(value), engines)


def _check_model(reader: Reader, key: str, name: str, engines: Engines) -> None:
    engine, slash, model = name.partition("/")
    if not slash or not model:
        reader.fault(key, f'{name!r} must be written "engine/model"')
    elif engine not in engines:
        reader.fault(key, f"{name!r}: no [engines.{engine}] here; known: {', '.join(engines) or 'none'}")
