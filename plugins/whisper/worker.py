"""The worker of Whisper: it checks the model, loads it, and tries it once."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np

from plugins.whisper.engine import WhisperEngine
from plugins.whisper.measured import HEARS_WELL, KNOWN_WORDS_LATE_S
from plugins.whisper.model_format import MODEL_FORMAT
from plugins.whisper.network import WhisperNetwork
from plugins.whisper.plugin import WhisperSettings, other_names
from plugins.whisper.windows import CHUNK, Window
from speech_engine import Context, EngineUnavailable, Language, ModelInfo, Plugin
from speech_engine.hearing import HEARING_HZ, HearJob
from speech_engine.model_files import FolderContents, UnusableModel, check_model, find_manifest

_THREAD_NICENESS, _SESSION_NICENESS = 10, 5
"""More than that of engines that speak, whose first sound is waited for."""


def _loaded(folder: Path, settings: WhisperSettings) -> WhisperNetwork:
    os.nice(_THREAD_NICENESS)  # of this thread, and of those that the network starts
    facts = check_model(MODEL_FORMAT, folder)
    _refuse_nan(folder)
    network = WhisperNetwork(folder, facts.languages, settings)
    # A fault shows at the start, and the threads are there before the host is confined.
    noise = np.random.default_rng(0).normal(0, 0.1, 64 * CHUNK).astype(np.float32)
    network.detector().likely(noise)
    job = HearJob(id="trial", tenant="", model="", temperature=1.0)
    window = Window(0, noise, len(noise))
    list(network.hear(job, facts.languages[0], window, threading.Event()))
    list(network.score(job, facts.languages[0], window, ("One.",), threading.Event()))
    _give_way()
    return network


def _give_way() -> None:
    """Lower the priority of this host's session: where Linux weighs sessions, that of threads is little."""
    if os.getsid(0) == os.getpid():
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(f"{_SESSION_NICENESS}")


def _refuse_nan(folder: Path) -> None:
    types = {"F32": np.float32, "F16": np.float16}
    data = np.memmap(folder / "model.bin", np.uint8, "r")
    for name, info in FolderContents(MODEL_FORMAT.files, folder).tensors("model").items():
        if (
            info.dtype in types
            and not np.isfinite(data[info.begin : info.begin + info.bytes].view(types[info.dtype])).all()
        ):
            raise UnusableModel(f"model.bin: its tensor {name[:80]} has a number that is none (NaN)")


def _translates(folder: Path) -> bool:
    """Return whether a model translates: those with few layers that decode were not trained to."""
    tensors = FolderContents(MODEL_FORMAT.files, folder).tensors("model")
    decoder, encoder = (sum(f"{side}/layer_" in name for name in tensors) for side in ("decoder", "encoder"))
    return 2 * decoder > encoder


def _info(folder: Path, languages: tuple[str, ...]) -> ModelInfo:
    manifest = find_manifest(folder)
    id_ = (manifest.name if manifest else folder.name).removeprefix("whisper-")
    return ModelInfo(
        id=id_,
        languages=tuple(map(Language, (*languages, *other_names(languages)))),
        sample_rate_hz=HEARING_HZ,
        digest=manifest.digest if manifest else "",
        is_speech=False,
        speaks=False,
        hears=True,
        translates=len(languages) > 1 and _translates(folder),
        scores_text=True,
        hears_well=HEARS_WELL.get(id_, ()),
        known_words_late_s=KNOWN_WORDS_LATE_S.get(id_, ()),
        times_words=True,
        licence=manifest.licence if manifest else "",
    )


@asynccontextmanager
async def _create(name: str, settings: WhisperSettings, context: Context) -> AsyncIterator[WhisperEngine]:
    if not settings.model_path:
        raise UnusableModel(f"[engines.{name}] names no model: import one, or set model_path")
    folder = Path(settings.model_path)
    with ThreadPoolExecutor(1, thread_name_prefix=name) as thread:
        loop = asyncio.get_running_loop()
        try:
            network = await loop.run_in_executor(thread, _loaded, folder, settings)
        except (RuntimeError, ValueError) as fault:
            raise EngineUnavailable(
                "CTranslate2 does not take the model.", detail=str(fault)[:300]
            ) from fault
        yield WhisperEngine(settings, context, _info(folder, network.languages), network, thread)


def voxgate_register() -> tuple[Plugin[WhisperSettings], ...]:
    return (Plugin(kind="engine", name="whisper", settings=WhisperSettings, create=_create),)
