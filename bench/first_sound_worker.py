"""How soon a voice is heard, and how many listeners hear it without a pause.

`bench.first_sound` measures a server with this, and starts it as a program where piper-tts and kokoro-onnx
are, to measure these alone.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

SENTENCES = (
    "The boat is on the lake this morning, and nobody knows who left it there yet.",
    "We walked along the river until the rain came down and the old bridge was closed.",
    "Please keep the letters in the small drawer beside the window of the front room upstairs.",
    "My brother plays the violin every evening after dinner, while the children listen from the stairs.",
    "A long train of empty wagons passed the station at noon without stopping for the mail.",
    "The bakery on the corner opens at six, and its bread is gone before the school.",
    "She wrote the number on a piece of paper, folded it twice, and gave it back.",
    "In the garden behind the house the apples ripen late, but they are sweet and firm.",
    "Two men carried the heavy table down the narrow stairs and out into the bright yard.",
    "The doctor asked him to rest for a week and to drink plenty of warm tea.",
    "Nobody in the village remembers when the clock of the church was last heard at night.",
    "Send the parcel to the office on Monday, so that it arrives before the meeting begins.",
)
"""Of fifteen or sixteen words each."""
WARM_UP = "This sentence is only said so that everything which is loaded late has been loaded."
GAP_S = 0.05
"""A listener hears less than this as no pause."""
STAGGER_S = 0.3

Speak = Callable[[str], Iterator[float]]
"""Speaks a text, and yields the seconds of each part of its sound."""


class Heard(NamedTuple):
    first_s: float
    took_s: float
    sound_s: float
    pause_s: float


class Measured(NamedTuple):
    """Times of single sentences, the processor's time for a second of sound, and the listeners' pauses by how
    many they are."""

    p50_s: float
    p95_s: float
    real_time_factor: float
    cpu_s: float
    pauses: dict[str, float]


def measure(speak: Speak, cpu_s: Callable[[], float], counts: tuple[int, ...]) -> Measured:
    hear(speak, WARM_UP)
    before = cpu_s()
    heard = [hear(speak, text) for text in SENTENCES]
    sound_s = sum(each.sound_s for each in heard)
    cpu = (cpu_s() - before) / sound_s
    first = [each.first_s for each in heard]
    pauses: dict[str, float] = {}
    for count in counts:
        pauses[str(count)] = longest_pause(speak, count)
        if pauses[str(count)] > GAP_S:
            break
    p95_s = statistics.quantiles(first, n=20, method="inclusive")[-1]
    took_s = sum(each.took_s for each in heard)
    return Measured(statistics.median(first), p95_s, took_s / sound_s, cpu, pauses)


def hear(speak: Speak, text: str) -> Heard:
    """Play a text as it comes."""
    began = time.perf_counter()
    first_s = sound_s = pause_s = plays_until = 0.0
    for seconds in speak(text):
        now = time.perf_counter() - began
        if not sound_s:
            first_s = plays_until = now
        pause_s += max(0.0, now - plays_until)
        plays_until = max(now, plays_until) + seconds
        sound_s += seconds
    return Heard(first_s, time.perf_counter() - began, sound_s, pause_s)


def longest_pause(speak: Speak, count: int) -> float:
    """Return what the unluckiest of so many listeners waits in about a minute of sound, after the first."""
    found: list[float] = []

    def listen(number: int) -> None:
        time.sleep(STAGGER_S * number)
        # The end differs, so that no clip is there already, and the beginning does not.
        found.append(hear(speak, f"{' '.join(SENTENCES)} That was listener {number} of {count}.").pause_s)

    threads = [threading.Thread(target=listen, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(found) != count:
        raise SystemExit(f"{count - len(found)} of {count} listeners heard nothing")
    return max(found)


def piper(folder: Path, _voice: str) -> Speak:
    from piper import PiperVoice

    voice: Any = PiperVoice.load(folder / "voice.onnx", folder / "voice.json")

    def speak(text: str) -> Iterator[float]:
        for chunk in voice.synthesize(text):
            yield len(chunk.audio_int16_bytes) / 2 / chunk.sample_rate

    return speak


def kokoro(folder: Path, voice: str) -> Speak:
    from kokoro_onnx import Kokoro

    files = [str(folder / name) for name in ("model.onnx", "voices.npz", "config.json")]
    model: Any = Kokoro(files[0], files[1], vocab_config=files[2])

    def speak(text: str) -> Iterator[float]:
        loop = asyncio.new_event_loop()
        try:
            stream = model.create_stream(text, voice)
            while (part := loop.run_until_complete(anext(stream, None))) is not None:
                yield len(part[0]) / part[1]
        finally:
            loop.close()

    return speak


def main() -> None:
    engine, folder, voice, *counts = sys.argv[1:]
    speak = {"piper": piper, "kokoro": kokoro}[engine](Path(folder), voice)
    print(json.dumps(measure(speak, time.process_time, tuple(map(int, counts)))._asdict()))


if __name__ == "__main__":
    main()
