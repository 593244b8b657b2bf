"""The plugin of the ElevenLabs engine. It has no worker: all of it is light and runs in the server."""

from __future__ import annotations

from plugins.elevenlabs.settings import ElevenLabsSettings
from speech_engine.plugin import Plugin, created_late


def voxgate_register() -> tuple[Plugin[ElevenLabsSettings], ...]:
    create = created_late("plugins.elevenlabs.engine")
    return (
        Plugin(kind="engine", name="elevenlabs", settings=ElevenLabsSettings, create=create, clones=True),
    )
