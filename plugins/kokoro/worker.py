# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker of Kokoro. Only this file loads piper-tts, which contains espeak-ng."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from piper.phonemize_espeak import EspeakPhonemizer

from plugins.kokoro.engine import KokoroEngine
from plugins.kokoro.model_format import MODEL_FORMAT, KokoroModel, read_model
from plugins.kokoro.plugin import KokoroSettings
from plugins.kokoro.voices import VoiceList
from speech_engine import Context, EngineFailed, EngineUnavailable, Plugin
from speech_engine.host.onnx_engine import core_share
from speech_engine.host.onnx_network import OnnxNetwork
from speech_engine.model_files import FolderContents, UnusableModel, check_model, find_manifest
from speech_engine.text.sounds import EspeakReader

reader = EspeakReader(EspeakPhonemizer)


def _read(folder: Path) -> tuple[KokoroModel, VoiceList]:
    check_model(MODEL_FORMAT, folder)
    manifest = find_manifest(folder)
    model = read_model(FolderContents(MODEL_FORMAT.files, folder))
    timed = bool(model.names.lengths)
    if manifest is None:
        voices = VoiceList(model.voices, folder.name, times_words=timed)
    else:
        known = manifest.digest, manifest.languages, manifest.lufs
        voices = VoiceList(model.voices, *known, times_words=timed)
    # An unreadable language fails at the start, and not at the first request.
    for language in {voice.reading.espeak for voice in voices.voices}:
        reader.read("a", language)
    return model, voices


@asynccontextmanager
async def _create(name: str, settings: KokoroSettings, context: Context) -> AsyncIterator[KokoroEngine]:
    if not settings.model_path:
        raise UnusableModel(f"[engines.{name}] names no model: import one, or set model_path")
    folder = Path(settings.model_path)
    share = core_share(settings)
    try:
        model, voices = await asyncio.to_thread(_read, folder)
        context.progress(0.3, "loading the model")
        network = await asyncio.to_thread(
            OnnxNetwork, folder / "model.onnx", share.threads, model.names.inner
        )
    except EngineFailed as fault:
        raise EngineUnavailable(str(fault), detail=fault.detail) from fault
    with ThreadPoolExecutor(share.slots, thread_name_prefix=name) as threads:
        yield KokoroEngine(settings, share, context, model, voices, network, reader.read, threads)


def voxgate_register() -> tuple[Plugin[KokoroSettings], ...]:
    return (Plugin(kind="engine", name="kokoro", settings=KokoroSettings, create=_create),)
