# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker of Kokoro: the only file that loads piper-tts, and with it espeak-ng, in its own host process.

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
from pathlib import Path

from piper.phonemize_espeak import EspeakPhonemizer

from plugins.kokoro.engine import KokoroEngine
from plugins.kokoro.model_format import MODEL_FORMAT, KokoroModel, read_model
from plugins.kokoro.network import Network
from plugins.kokoro.plugin import KokoroSettings
from plugins.kokoro.voices import VoiceList
from speech_engine import Context, EngineFailed, EngineUnavailable, Plugin
from speech_engine.model_files import FolderContents, UnusableModel, check_model, find_manifest

# Its debugging quotes texts.
logging.getLogger("piper").setLevel(logging.ERROR)

_alone = threading.Lock()


@cache
def phonemizer() -> EspeakPhonemizer:
    """Return the one of this process: after a second start, espeak-ng may read a text in another language."""
    return EspeakPhonemizer()


def phonemize(text: str, language: str) -> list[list[str]]:
    """Return the sounds of each sentence, in any language of espeak-ng."""
    # A lone surrogate cannot be written as UTF-8.
    clean = text.encode(errors="replace").decode()
    with _alone:
        try:
            sounds: list[list[str]] = phonemizer().phonemize(language, clean)
        except RuntimeError as error:
            raise EngineFailed(f"espeak-ng has no voice {language}") from error
    return sounds


def _read(folder: Path) -> tuple[KokoroModel, VoiceList]:
    check_model(MODEL_FORMAT, folder)
    manifest = find_manifest(folder)
    model = read_model(FolderContents(MODEL_FORMAT.files, folder))
    digest, languages = (manifest.digest, manifest.languages) if manifest else (folder.name, ())
    voices = VoiceList(model.voices, digest, languages)
    # Of a language that it cannot read, the operator hears now, and not the first listener.
    for language in {voice.reading.espeak for voice in voices.voices}:
        phonemize("a", language)
    return model, voices


@asynccontextmanager
async def _create(name: str, settings: KokoroSettings, context: Context) -> AsyncIterator[KokoroEngine]:
    if not settings.model_path:
        raise UnusableModel(f"[engines.{name}] names no model: import one, or set model_path")
    folder = Path(settings.model_path)
    try:
        model, voices = await asyncio.to_thread(_read, folder)
        context.progress(0.3, "loading the model")
        network = await asyncio.to_thread(Network, folder, model, settings.threads)
    except EngineFailed as fault:
        raise EngineUnavailable(str(fault), detail=fault.detail) from fault
    with ThreadPoolExecutor(settings.slots, thread_name_prefix=name) as threads:
        yield KokoroEngine(settings, context, model, voices, network, phonemize, threads)


def voxgate_register() -> tuple[Plugin[KokoroSettings], ...]:
    return (Plugin(kind="engine", name="kokoro", settings=KokoroSettings, create=_create),)
