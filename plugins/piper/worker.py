# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker of Piper. Only this file loads piper-tts, which contains espeak-ng."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from piper.phonemize_espeak import EspeakPhonemizer

from plugins.piper.engine import PiperEngine
from plugins.piper.plugin import PiperSettings
from plugins.piper.voices import VoiceList, read_voices
from speech_engine import Context, EngineFailed, EngineUnavailable, Plugin
from speech_engine.host.onnx_engine import core_share
from speech_engine.model_files import UnusableModel
from speech_engine.text.sounds import EspeakReader

reader = EspeakReader(EspeakPhonemizer)


@asynccontextmanager
async def _create(name: str, settings: PiperSettings, context: Context) -> AsyncIterator[PiperEngine]:
    if not settings.model_paths:
        raise UnusableModel(
            f"[engines.{name}] has no voice: voxgate models import FILE --engine piper --name …"
        )
    voices = await asyncio.to_thread(read_voices, settings.model_paths, settings.voices_mb * 2**20)
    # An unreadable voice fails at the start, and not at the first request.
    for voice in voices:
        try:
            reader.read("a", voice.config.espeak_voice)
        except EngineFailed as fault:
            raise EngineUnavailable(f"{voice.name}: {fault}") from fault
    share = core_share(settings)
    # One more thread than texts, to load a voice.
    with ThreadPoolExecutor(share.slots + 1, thread_name_prefix=name) as threads:
        engine = PiperEngine(settings, share, context, VoiceList(voices), reader.read, threads)
        context.progress(0.5, "loading the default voice")
        try:
            # So the first listener does not wait for it.
            async with engine.loaded_models.lend(voices[0]):
                pass
            yield engine
        finally:
            await engine.loaded_models.close()


def voxgate_register() -> tuple[Plugin[PiperSettings], ...]:
    return (Plugin(kind="engine", name="piper", settings=PiperSettings, create=_create),)
