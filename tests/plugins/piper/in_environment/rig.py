"""An engine over tiny voices, with the real reader and the real runtime."""

import json
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from plugins.piper.engine import PiperEngine
from plugins.piper.plugin import PiperSettings
from plugins.piper.worker import voxgate_register
from speech_engine import Audio, Context, EngineVoice, Segment, SpeechJob
from speech_engine.host.log import HostLogger
from speech_engine.host.voice_levels import STORED_LEVELS
from speech_engine.levels import TARGET_LUFS
from speech_engine.model_files.onnx_halves import cut_graph
from tests.plugins.piper import tiny, vits


@asynccontextmanager
async def opened(
    voices: Mapping[str, Mapping[str, Any]], *, are_measured: bool = False, **settings: Any
) -> AsyncIterator[PiperEngine]:
    """Open an engine with these voices, by name; each has what `tiny.voice` takes, or is `cut`, with
    its speakers. They need no gain, unless they are to be measured."""
    with tempfile.TemporaryDirectory(prefix="piper-") as folder:
        paths = [
            cut(Path(folder) / name, *voice["cut"])
            if "cut" in voice
            else stored(Path(folder) / name, **voice)
            for name, voice in voices.items()
        ]
        for path, voice in zip(paths, voices.values(), strict=True):
            names = ("", *voice.get("speakers", ()), *voice.get("cut", ()))
            if not are_measured:
                (Path(path) / STORED_LEVELS).write_text(json.dumps(dict.fromkeys(names, TARGET_LUFS)))
        made = msgspec.convert({"model_paths": paths, **settings}, PiperSettings)
        (plugin,) = voxgate_register()
        assert callable(plugin.create)
        async with plugin.create("piper", made, Context(HostLogger("piper"))) as engine:
            yield engine


def cut(folder: Path, *speakers: str) -> str:
    """Write a voice in halves, as an import stores it."""
    path = vits.voice(folder, *speakers)
    halves = cut_graph(memoryview(path.read_bytes()), vits.PRE, vits.COND)
    assert halves is not None
    for name, pieces in zip(("encoder.onnx", "decoder.onnx"), halves, strict=True):
        (folder / name).write_bytes(b"".join(pieces))
    return _renamed(path)


def stored(folder: Path, **voice: Any) -> str:
    return _renamed(tiny.voice(folder, **voice))


def _renamed(path: Path) -> str:
    folder = path.parent
    path.with_name(f"{path.name}.json").rename(folder / "voice.json")
    path.rename(folder / "voice.onnx")
    return str(folder)


def job(*texts: str, voice: str = "amy", language: str = "en", speed: float = 1.0) -> SpeechJob:
    return SpeechJob(
        id="job",
        tenant="acc_1",
        model="standard",
        voice=EngineVoice(voice),
        segments=tuple(Segment(text, 0, len(text)) for text in texts),
        language=language,
        speed=speed,
    )


async def spoken(engine: PiperEngine, asked: SpeechJob) -> list[bytes]:
    """Return the sound of each segment."""
    sounds = [b"" for _ in asked.segments]
    async with aclosing(engine.speak(asked)) as events:
        async for event in events:
            if isinstance(event, Audio):
                sounds[event.segment] += event.pcm
    return sounds
