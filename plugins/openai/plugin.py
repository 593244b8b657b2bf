"""Declare two engines: one for servers with OpenAI's speech API, one for Realtime APIs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from plugins.openai.engine import OpenAIEngine
from plugins.openai.realtime import engine as realtime
from plugins.openai.realtime.settings import RealtimeSettings
from plugins.openai.settings import OpenAISettings
from speech_engine import Context, Plugin


@asynccontextmanager
async def create(_name: str, settings: OpenAISettings, context: Context) -> AsyncIterator[OpenAIEngine]:
    yield OpenAIEngine(settings, context.http, context.samples)


def voxgate_register() -> tuple[Plugin[OpenAISettings] | Plugin[RealtimeSettings], ...]:
    return (
        Plugin(kind="engine", name="openai", settings=OpenAISettings, create=create),
        Plugin(kind="engine", name="openai-realtime", settings=RealtimeSettings, create=realtime.create),
    )
