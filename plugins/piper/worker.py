# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker of Piper: the only file that loads piper-tts, and with it espeak-ng, in its own host process.

piper-tts tells how a text sounds. espeak-ng keeps its language in globals of the process, so one text is read
at a time.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache

from piper.phonemize_espeak import EspeakPhonemizer

from plugins.piper.engine import PiperEngine
from plugins.piper.plugin import PiperSettings
from plugins.piper.voice_format import VoiceConfig
from plugins.piper.voices import VoiceList, read_voices
from speech_engine import Context, EngineFailed, EngineUnavailable, Plugin
from speech_engine.model_files import UnusableModel

# Its debugging quotes texts.
logging.getLogger("piper").setLevel(logging.ERROR)


_alone = threading.Lock()


@cache
def phonemizer() -> EspeakPhonemizer:
    """Return the one of this process: after a second start, espeak-ng may read a text in another language."""
    return EspeakPhonemizer()


class _Reader:
    """Tells how texts sound, in any language of espeak-ng."""

    def __init__(self) -> None:
        self._phonemizer = phonemizer()

    def __repr__(self) -> str:
        return "<_Reader>"

    def read(self, text: str, config: VoiceConfig) -> list[list[str]]:
        # A lone surrogate cannot be written as UTF-8.
        clean = text.encode(errors="replace").decode()
        with _alone:
            try:
                sounds: list[list[str]] = self._phonemizer.phonemize(
                    config.espeak_voice, clean, set(config.clusters) or None
                )
            except RuntimeError as error:
                raise EngineFailed(f"espeak-ng has no voice {config.espeak_voice}") from error
        return sounds


@asynccontextmanager
async def _create(name: str, settings: PiperSettings, context: Context) -> AsyncIterator[PiperEngine]:
    if not settings.model_paths:
        raise UnusableModel(
            f"[engines.{name}] has no voice: voxgate models import FILE --engine piper --name …"
        )
    voices = await asyncio.to_thread(read_voices, settings.model_paths, settings.voices_mb * 2**20)
    # Of a voice that it cannot read, the operator hears now, and not the first listener.
    reader = _Reader()
    for voice in voices:
        try:
            reader.read("a", voice.config)
        except EngineFailed as fault:
            raise EngineUnavailable(f"{voice.name}: {fault}") from fault
    # One more than texts: a voice may be loaded meanwhile.
    with ThreadPoolExecutor(settings.slots + 1, thread_name_prefix=name) as threads:
        engine = PiperEngine(settings, context, VoiceList(voices), reader.read, threads)
        context.progress(0.5, "loading the default voice")
        try:
            await engine.warm_up()
            yield engine
        finally:
            await engine.shelf.close()


def voxgate_register() -> tuple[Plugin[PiperSettings], ...]:
    return (Plugin(kind="engine", name="piper", settings=PiperSettings, create=_create),)
