"""Whisper's words of Kokoro's dialogue: `python bench/dialogue_heard.py SOUNDS MODEL LANGUAGE...`.

SOUNDS is the folder of `bench.dialogue`, and MODEL is a folder of faster-whisper, such as base. It needs an
environment with faster-whisper. Every fourth line is heard, by the bare network and in an answer made whole.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
from faster_whisper import WhisperModel  # type: ignore[import-not-found, unused-ignore]

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.dialogue_lines import lines


def words(text: str) -> list[str]:
    return re.findall(r"[\w'\u0900-\u097f]+", text.lower())


def edits(wanted: list[str], heard: list[str]) -> int:
    costs = list(range(len(heard) + 1))
    for row, one in enumerate(wanted, 1):
        before, costs[0] = costs[0], row
        for at, other in enumerate(heard, 1):
            before, costs[at] = costs[at], min(costs[at] + 1, costs[at - 1] + 1, before + (one != other))
    return costs[-1]


def at_16_khz(sound: np.ndarray) -> np.ndarray:
    size = len(sound) * 2 // 3
    found = np.fft.irfft(np.fft.rfft(sound)[: size // 2 + 1], size) * size / len(sound)
    return np.pad(found.astype(np.float32), (4_000, 8_000))


def main() -> None:
    folder, name, *tags = sys.argv[1:]
    model = WhisperModel(name, device="cpu", compute_type="int8", cpu_threads=1)
    for tag in tags:
        for kind in ("bare", "whole"):
            wrong = total = 0
            for number, text in list(enumerate(lines(tag)))[::4]:
                sound = at_16_khz(np.load(f"{folder}/{tag}/{number}-{kind}.npy"))
                said, _ = model.transcribe(sound, language=tag[:2], beam_size=1, without_timestamps=True)
                wrong += edits(words(text), words(" ".join(each.text for each in said)))
                total += len(words(text))
            print(f"{tag} {kind}: {wrong} wrong of {total} words", flush=True)


if __name__ == "__main__":
    main()
