"""The plugin of the ElevenLabs engine. It has no worker: all of it is light and runs in the server."""

from __future__ import annotations

from plugins.elevenlabs.engine import create
from plugins.elevenlabs.settings import ElevenLabsSettings
from speech_engine.plugin import Plugin


def voxgate_register() -> tuple[Plugin[ElevenLabsSettings], ...]:
    return (Plugin(kind="engine", name="elevenlabs", settings=ElevenLabsSettings, create=create),)
