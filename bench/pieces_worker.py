"""Speaks long sentences where Kokoro's runtime is: `bench.pieces` starts this in its environment.

It reads JSON, and prints a line of JSON for each sentence: the lengths of its pieces divided by those of the
same sounds in the whole sentence, and the steps at the joins divided by those of the sound.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import aclosing
from typing import Any

import msgspec
import numpy as np

from plugins.kokoro import reading
from plugins.kokoro.engine import KokoroEngine
from plugins.kokoro.worker import voxgate_register
from speech_engine import Audio, Context, EngineVoice, Hosted, Segment, SpeechJob, Words
from speech_engine.host.listeners import SpokenText
from speech_engine.host.log import HostLogger
from speech_engine.text.sounds import Piece

WHOLE = 10_000
"""More sounds than a sentence has."""
JOIN = slice(-1, 601)
"""The samples behind the end of a piece that are faded into the next one."""

Given = list[tuple[tuple[int, ...], Any]]
"""The numbers that the network was given, and the lengths that it told."""


async def main() -> None:
    asked = json.load(sys.stdin)
    (plugin,) = voxgate_register()
    assert not isinstance(plugin.create, Hosted)
    # No piece is cut for a late listener.
    SpokenText.is_behind = lambda *_: False  # type: ignore[method-assign]
    made = msgspec.convert({"model_path": asked["folder"]}, plugin.settings)
    async with plugin.create("kokoro", made, Context(HostLogger("kokoro"))) as engine:
        assert isinstance(engine, KokoroEngine)
        given = await _remember(engine, asked["sentences"][0])
        for sentence in asked["sentences"]:
            print(json.dumps(await _row(engine, given, *sentence)), flush=True)


async def _remember(engine: KokoroEngine, sentence: list[str]) -> Given:
    given: Given = []
    async with engine.lend(engine.find(EngineVoice(sentence[0]), sentence[1]), 60) as network:
        run = network.sound_and

    def sound_and(outputs: Any, values: Any, *more: Any) -> Any:
        made = run(outputs, values, *more)
        tokens = next(each for each in values.values() if each.dtype == np.int64)
        given.append((tuple(tokens[0].tolist()), made[1].ravel()))
        return made

    network.sound_and = sound_and  # type: ignore[method-assign, assignment]
    return given


async def _row(
    engine: KokoroEngine, given: Given, voice: str, language: str, text: str
) -> dict[str, list[float]]:
    speaker = engine.find(EngineVoice(voice), language)

    async def lengths(numbers: tuple[int, ...]) -> Any:
        piece = Piece(numbers, len(numbers) - 2)
        async with engine.lend(speaker, 60) as network:
            await engine.run(lambda stop: [*engine.sounds(network, piece, speaker, 1.0, stop)])
        return given.pop()[1]

    most, reading.MOST_SOUNDS = reading.MOST_SOUNDS, WHOLE
    (whole,) = engine.read(text, speaker, WHOLE)
    reading.MOST_SOUNDS = most
    in_whole = await lengths(whole.numbers)
    given.clear()
    pcm, joins = await _heard(engine, voice, language, text)
    pieces = given[:]
    row: dict[str, list[float]] = {kind: [] for kind in ("alone", "first", "middle", "rest")}
    begin = 1
    for number, (_, made) in enumerate(pieces):
        follows = pieces[number + 1][0][1:-1] if number + 1 < len(pieces) else ()
        end = _place(whole.numbers, follows, begin) - 1 if follows else len(whole.numbers) - 1
        true = in_whole[begin:end].sum()
        kind = "rest" if not follows else "middle" if number else "first"
        row[kind].append(made[1 : 1 + end - begin].sum() / true)
        if follows:
            alone = await lengths((0, *whole.numbers[begin:end], 0))
            row["alone"].append(alone[1:-1].sum() / true)
        begin = end + 1
    steps = np.abs(np.diff(np.frombuffer(pcm, "<i2").astype(float)))
    usual = np.percentile(steps, 99.9)
    row["steps"] = [steps[at + JOIN.start : at + JOIN.stop].max() / usual for at in joins[:-1]]
    return row


def _place(numbers: tuple[int, ...], part: tuple[int, ...], begin: int) -> int:
    """Return where a part begins: each part is longer than what may be repeated."""
    return next(at for at in range(begin, len(numbers)) if numbers[at : at + len(part)] == part)


async def _heard(engine: KokoroEngine, voice: str, language: str, text: str) -> tuple[bytes, list[int]]:
    """Return the sound of a stream, and the samples at which its pieces end."""
    segment = Segment(text, 0, len(text))
    job = SpeechJob(
        id="job",
        tenant="t",
        model="standard",
        voice=EngineVoice(voice),
        segments=(segment,),
        language=language,
    )
    pcm, ends = b"", list[int]()
    async with aclosing(engine.speak(job)) as events:
        async for event in events:
            if isinstance(event, Audio):
                pcm += event.pcm
            elif isinstance(event, Words):
                ends.append(len(pcm) // 2)
    return pcm, ends


if __name__ == "__main__":
    asyncio.run(main())
