"""Declare the openai plugin: an engine for any server with OpenAI's speech API.

The server may be OpenAI itself or another voxgate.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from plugins.openai.engine import OpenAIEngine
from plugins.openai.settings import OpenAISettings
from speech_engine import Context, Plugin


@asynccontextmanager
async def create(_name: str, settings: OpenAISettings, context: Context) -> AsyncIterator[OpenAIEngine]:
    yield OpenAIEngine(settings, context.http, context.samples)


def voxgate_register() -> tuple[Plugin[OpenAISettings], ...]:
    return (Plugin(kind="engine", name="openai", settings=OpenAISettings, create=create),)
