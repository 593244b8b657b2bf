"""Engines over tiny models, as their host creates them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from plugins.pocket import model_format, networks, worker
from plugins.pocket.plugin import PocketSettings
from plugins.pocket.worker import PocketEngine
from speech_engine import Audio, Context, SpeechJob
from speech_engine.host.log import HostLogger
from speech_engine.host.sample_cache import SampleCache
from speech_engine.plugin import worker_plugin
from tests.plugins.pocket.in_environment.rig import SIZES, recording, rig
from tests.plugins.pocket.tiny import write_manifest


def publish(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the worker take tiny models for published ones."""
    monkeypatch.setattr(worker, "find_sizes", lambda contents: model_format.find_sizes(contents, SIZES))
    monkeypatch.setattr(worker, "load_networks", lambda folder: networks.load_networks(folder, SIZES))


def imported(folder: Path, name: str, sizes_number: int, *languages: str) -> Path:
    """Make a tiny model look like an imported one."""
    home = folder / name
    home.mkdir()
    for file in ("model.safetensors", "tokenizer.json"):
        (home / file).symlink_to(rig(SIZES[sizes_number]).folder / file)
    write_manifest(home, name, *languages)
    return home


@asynccontextmanager
async def engine(
    paths: Sequence[Path], models_mb: int = 64, sample_cache: SampleCache | None = None
) -> AsyncIterator[PocketEngine]:
    sample_cache = sample_cache or SampleCache()
    for number in range(3):
        for name in ("mine", "other"):
            sample_cache.put("acc_1", name, f"s{number}", recording(number))
    settings = PocketSettings(model_paths=tuple(map(str, paths)), models_mb=models_mb)
    _, create = worker_plugin("plugins.pocket.worker")
    async with create("pocket", settings, Context(HostLogger("pocket"), samples=sample_cache)) as made:
        yield made


async def said(made: PocketEngine, each: SpeechJob) -> bytes:
    async with aclosing(made.speak(each)) as events:
        return b"".join([event.pcm async for event in events if isinstance(event, Audio)])
