"""Open the runner that the settings ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from plugins.runpod.pod_runner import PodRunner
from plugins.runpod.serverless import ServerlessRunner
from plugins.runpod.settings import RunpodSettings
from speech_engine import Context


@asynccontextmanager
async def create(
    name: str, settings: RunpodSettings, context: Context
) -> AsyncIterator[ServerlessRunner | PodRunner]:
    del name
    yield ServerlessRunner(settings, context) if settings.pods is None else PodRunner(settings, context)
