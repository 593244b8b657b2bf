"""Read [consent] and [voices.NAME]: the names for clients, and the engines' voices behind each name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from policies import text_tags
from proxy.config import fields
from proxy.config.reader import Reader, nearest_name
from proxy.config.sections import ConsentSection, EngineSection, VoiceSection

Engines = Mapping[str, EngineSection]
_FORMERLY_BOUND = frozenset({"espeak", "piper", "kokoro", "openai", "realtime", "azure", "assemblyai"})
"""Engines to which older defaults bound OpenAI's names. Copies of those files still do."""
_OWN_KEYS = [field.key for field in fields.fields_of(VoiceSection) if field.key != "bindings"]


def read_voices(
    reader: Reader, value: object, engines: Engines, shipped: Mapping[str, Any]
) -> dict[str, VoiceSection]:
    """Return the file's voices: casts, and voices of configured engines.

    A voice without a configured engine is left out, with a warning. An exact copy of a shipped voice gives
    no warning.
    """
    voices: dict[str, VoiceSection] = {}
    for name, section in reader.table(value, "voices").items():
        key = f"voices.{name}"
        table = reader.table(section, key)
        is_copy = table == shipped.get(name)
        if not is_copy:
            formerly_bound = _FORMERLY_BOUND if _is_known_name(shipped.get(name)) else frozenset[str]()
            _check_engines(reader, table, key, engines, formerly_bound)
        voice = _read_voice(reader, table, key, engines)
        if voice.cast and voice.bindings:
            reader.fault(f"{key}.cast", "a cast has no engines of its own: only its voices have")
        elif voice.cast or voice.bindings or (is_copy and _is_known_name(table)):
            voices[name] = voice
        elif not table.keys() - {*_OWN_KEYS}:
            reader.fault(key, 'binds no engine; add a line such as espeak = "f3"')
    return voices


def _is_known_name(table: Mapping[str, Any] | None) -> bool:
    """Tell whether a shipped voice is one of OpenAI's names: it has no engines."""
    return table is not None and not table.keys() - {*_OWN_KEYS}


def _check_engines(
    reader: Reader, table: Mapping[str, Any], key: str, engines: Engines, formerly_bound: frozenset[str]
) -> None:
    """Report unknown keys: a misspelt name is a fault, and an engine without a section is a warning.

    An engine in `formerly_bound` is never reported.
    """
    known = [*_OWN_KEYS, *engines]
    for name in table:
        if name in formerly_bound - {*known}:
            continue
        if name not in known and nearest_name(name, known):
            reader.fault_unknown_key(f"{key}.{name}", name, known)
        elif name not in known:
            reader.warn(f"{key}.{name}", f"the voice cannot speak there: no [engines.{name}] here")


def shipped_voices(value: Mapping[str, Any], engines: Engines) -> dict[str, VoiceSection]:
    """Return OpenAI's names, and the shipped voices of the configured engines."""
    reader = Reader("defaults")
    voices = {name: _read_voice(reader, table, f"voices.{name}", engines) for name, table in value.items()}
    return {name: voice for name, voice in voices.items() if voice.bindings or _is_known_name(value[name])}


def check_casts(
    reader: Reader, voices: Mapping[str, VoiceSection], voice_tables: Mapping[str, Any], engines: Engines
) -> None:
    """Check that each member of a cast is a configured voice or an engine's voice.

    A voice that was left out is no fault here: there is a warning already.
    """
    for name, voice in voices.items():
        if voice.cast and (wrong := text_tags.cast_fault(list(voice.cast))) is not None:
            reader.fault(f"voices.{name}.cast", wrong)
        for member, speaker in voice.cast.items():
            key = f"voices.{name}.cast.{member}"
            if speaker in voices and voices[speaker].cast:
                reader.fault(key, f"{speaker!r} is a cast itself; name a voice")
            elif speaker not in {*voices, *voice_tables} and speaker.partition("/")[0] not in engines:
                reader.fault(key, f'must be a voice of this file, or "engine/voice"; {speaker!r} is neither')


def _read_voice(reader: Reader, table: Mapping[str, Any], key: str, engines: Engines) -> VoiceSection:
    own = {name: table[name] for name in _OWN_KEYS if name in table}
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


def read_consent(reader: Reader, value: object) -> ConsentSection:
    section = reader.section(ConsentSection, value, "consent") or ConsentSection()
    if section.other_speaker == "refuse" and not section.comparer:
        reader.fault("consent.other_speaker", "needs a comparer: without one, nobody compares speakers")
    return section
