"""The loudness of an engine's voices: of the table of their model, or measured before a voice first speaks.
Measured values are stored beside the model's manifest. If they cannot be, each host measures again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from speech_engine.levels import QUIETEST_LUFS

STORED_LEVELS = "levels.json"
_MOST_BYTES = 1024 * 1024
_MOST_VOICES = 4096


class VoiceLevel(NamedTuple):
    """A voice of the model in a folder, and its loudness in the model's table, if that has it."""

    folder: Path
    name: str
    lufs: float | None = None


class VoiceLevels:
    """The loudness of each voice. None is for one that is silent, or too short to be measured."""

    def __init__(self) -> None:
        self._known: dict[VoiceLevel, float | None] = {}

    def find(self, voice: VoiceLevel, measure: Callable[[], float | None]) -> float | None:
        """Call `measure`, which may take long, only if no loudness is stored. A stored 0.0 means None."""
        if voice.lufs is not None:
            return voice.lufs
        if len(self._known) > _MOST_VOICES:
            self._known.clear()
        if voice not in self._known:
            stored = _stored(voice.folder)
            if voice.name not in stored:
                stored[voice.name] = measure() or 0.0
                _store(voice.folder, stored)
            lufs = stored[voice.name]
            self._known[voice] = lufs if QUIETEST_LUFS <= lufs < 0 else None
        return self._known[voice]


def _stored(folder: Path) -> dict[str, float]:
    with suppress(OSError, ValueError):
        if (folder / STORED_LEVELS).stat().st_size <= _MOST_BYTES:
            found = json.loads((folder / STORED_LEVELS).read_bytes())
            if isinstance(found, dict) and all(type(lufs) is float for lufs in found.values()):
                return found
    return {}


def _store(folder: Path, stored: dict[str, float]) -> None:
    new = folder / f".{STORED_LEVELS}-{os.getpid()}"
    with suppress(OSError):
        new.write_text(json.dumps(stored))
        new.replace(folder / STORED_LEVELS)
