"""Speaks lines of dialogue where Kokoro's runtime is: `bench.dialogue` starts this in its environment.

It reads JSON, and prints a line of JSON for each line of dialogue: the seconds and the longest pause of the
bare network, which gets the whole line at once, of an answer that is made whole, and of a stream.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from piper import espeakbridge

from plugins.kokoro.engine import KokoroEngine
from plugins.kokoro.model_format import MODEL_FORMAT, read_model
from plugins.kokoro.reading import own_alphabet
from plugins.kokoro.worker import reader, voxgate_register
from speech_engine import Audio, Context, EngineVoice, Hosted, Segment, SpeechJob
from speech_engine.host.log import HostLogger
from speech_engine.host.onnx_network import OnnxNetwork, StopSwitch
from speech_engine.model_files import FolderContents
from speech_engine.text.sounds import Piece, safe_text

FRAME_S = 0.01
SILENT_SHARE = 0.01
"""The share of its peak below which a sound is silent, as in `speech_engine.host.silence`."""

Sound = NDArray[np.float32]


async def main() -> None:
    asked = json.load(sys.stdin)
    (plugin,) = voxgate_register()
    settings = {"model_path": asked["folder"], "threads": 1, "slots": 1}
    made = msgspec.convert(settings, plugin.settings)
    assert not isinstance(plugin.create, Hosted)
    async with plugin.create("kokoro", made, Context(HostLogger("kokoro"))) as engine:
        assert isinstance(engine, KokoroEngine)
        first, language, _ = asked["lines"][0]
        async with engine.lend(engine.find(EngineVoice(first), language), 60) as network:
            known = _remember(network)
        for number, (voice, language, texts) in enumerate(asked["lines"]):
            said = " ".join(texts)
            sounds = {
                "bare": _trimmed(await _bare(engine, known, Path(asked["folder"]), voice, language, said)),
                "whole": await _spoken(engine, voice, language, texts, is_whole=True),
                "stream": await _spoken(engine, voice, language, texts, is_whole=False),
            }
            known.clear()
            for kind, sound in sounds.items():
                if asked["sounds"]:
                    np.save(Path(asked["sounds"]) / f"{number}-{kind}", sound)
            row = {kind: [len(sound) / 24_000, _longest_pause_s(sound)] for kind, sound in sounds.items()}
            print(json.dumps(row), flush=True)


def _remember(network: OnnxNetwork) -> dict[Any, list[Sound]]:
    """Let the network run once for the same numbers: its chance is not what is measured."""
    known: dict[Any, list[Sound]] = {}
    run = network.sound_and

    def sound_and(
        outputs: Sequence[str], values: Mapping[str, Any], rate_hz: float, stop: StopSwitch
    ) -> list[Sound]:
        key = tuple(each.tobytes() for each in values.values())
        if key not in known:
            known[key] = run(outputs, values, rate_hz, stop)
        return known[key]

    network.sound_and = sound_and  # type: ignore[method-assign]
    return known


async def _bare(
    engine: KokoroEngine, known: dict[Any, list[Sound]], folder: Path, voice: str, language: str, text: str
) -> Sound:
    found = engine.find(EngineVoice(voice), language)
    assert reader.phonemizer
    espeakbridge.set_voice(found.reading.espeak)
    clauses = espeakbridge.get_phonemes(safe_text(text))
    written = " ".join(sounds + (sign or "…") for sounds, sign, _ in clauses).removesuffix("…")
    symbols = read_model(FolderContents(MODEL_FORMAT.files, folder)).symbols
    numbers = [symbols[each] for each in own_alphabet(written, found.reading) if each in symbols]
    piece = Piece((0, *numbers, 0), len(numbers))
    async with engine.lend(found, 60) as network:
        await engine.run(lambda stop: list(engine.sounds(network, piece, found, 1.0, stop)))
    ((sound, *_),) = known.values()
    return sound


async def _spoken(
    engine: KokoroEngine, voice: str, language: str, texts: list[str], *, is_whole: bool
) -> Sound:
    job = SpeechJob(
        id="job",
        tenant="t",
        model="standard",
        voice=EngineVoice(voice),
        segments=tuple(Segment(text, 0, len(text)) for text in texts),
        language=language,
        goes_whole=is_whole,
    )
    async with aclosing(engine.speak(job)) as events:
        pcm = b"".join([event.pcm async for event in events if isinstance(event, Audio)])
    return _trimmed(np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768))


def _trimmed(sound: Sound) -> Sound:
    loud = np.flatnonzero(np.abs(sound) > SILENT_SHARE * np.max(np.abs(sound)))
    return sound[loud[0] : loud[-1] + 1]


def _longest_pause_s(sound: Sound) -> float:
    loud = np.flatnonzero(np.abs(sound) > SILENT_SHARE * np.max(np.abs(sound)))
    return float(np.max(np.diff(loud) - 1, initial=0)) / 24_000


if __name__ == "__main__":
    asyncio.run(main())
