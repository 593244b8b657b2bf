"""Declare the minimax plugin: a cloud engine that runs in the server itself."""

from __future__ import annotations

from plugins.minimax.settings import MinimaxSettings
from speech_engine.plugin import Plugin, created_late


def voxgate_register() -> tuple[Plugin[MinimaxSettings], ...]:
    create = created_late("plugins.minimax.engine")
    return (Plugin(kind="engine", name="minimax", settings=MinimaxSettings, create=create, clones=True),)
