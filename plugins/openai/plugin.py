"""Declare two engines: one for servers with OpenAI's speech API, one for Realtime APIs."""

from __future__ import annotations

from plugins.openai.realtime.settings import RealtimeSettings
from plugins.openai.settings import OpenAISettings
from speech_engine.plugin import Plugin, created_late


def voxgate_register() -> tuple[Plugin[OpenAISettings] | Plugin[RealtimeSettings], ...]:
    return (
        Plugin(
            kind="engine",
            name="openai",
            settings=OpenAISettings,
            create=created_late("plugins.openai.engine"),
            names=OpenAISettings.names,
        ),
        Plugin(
            kind="engine",
            name="openai-realtime",
            settings=RealtimeSettings,
            create=created_late("plugins.openai.realtime.engine"),
            names=RealtimeSettings.names,
        ),
    )
