"""Declare the minimax plugin: a cloud engine that runs in the server itself."""

from __future__ import annotations

from plugins.minimax.engine import create
from plugins.minimax.settings import MinimaxSettings
from speech_engine import Plugin


def voxgate_register() -> tuple[Plugin[MinimaxSettings], ...]:
    return (Plugin(kind="engine", name="minimax", settings=MinimaxSettings, create=create),)
