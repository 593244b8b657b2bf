"""The front of the ElevenLabs engine: light, since it runs in the server, and all there is but the fake."""

from __future__ import annotations

from plugins.elevenlabs.engine import create
from plugins.elevenlabs.settings import ElevenLabsSettings
from speech_engine.plugin import Plugin


def voxgate_register() -> tuple[Plugin[ElevenLabsSettings], ...]:
    return (Plugin(kind="engine", name="elevenlabs", settings=ElevenLabsSettings, create=create),)
