"""Whisper's words of Kokoro's dialogue: `python bench/dialogue_heard.py [--all] SOUNDS MODEL LANGUAGE...`.

SOUNDS is the folder of `bench.dialogue`, and MODEL is a folder of faster-whisper, such as base. It needs an
environment with faster-whisper. Every fourth line is heard, with `--all` each, by the bare network and in an
answer made whole. Each line that is heard otherwise is shown on stderr. `p` is the chance that a coin leaves
as few lines on the smaller side (the exact sign test of both sides). The likeliest word is always taken, so a
second run hears the same.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from math import comb
from pathlib import Path

import numpy as np
from faster_whisper import WhisperModel  # type: ignore[import-not-found, unused-ignore]
from faster_whisper.audio import pad_or_trim  # type: ignore[import-not-found, unused-ignore]
from faster_whisper.tokenizer import Tokenizer  # type: ignore[import-not-found, unused-ignore]

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.dialogue_lines import lines

KINDS = ("bare", "whole")
FIGURES = ("lines", "words", *KINDS, "better", "worse")
FRAMES = 1_000
"""Ten seconds are looked at, as no line takes five: thirty take four times as long."""
# Without a sentence before in its own letters, Hindi is written in Arabic ones, and each word is wrong.
PROMPTS = {"hi": " राजू ने हँसकर जवाब दिया, ठीक है, मैं कल शाम को आऊँगा।"}


def row_of(name: str, count: Counter[str]) -> str:
    figures = [str(count[each]) for each in FIGURES]
    return "|".join(("", name, *figures, f"{sign_test(count['better'], count['worse']):.3f}", ""))


def sign_test(better: int, worse: int) -> float:
    changed, fewer = better + worse, min(better, worse)
    ways = sum(comb(changed, count) for count in range(fewer + 1))
    return min(1.0, 2.0 * ways / 2.0**changed)


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


def heard_in(model: WhisperModel, path: str, tag: str) -> str:
    tokenizer = Tokenizer(model.hf_tokenizer, True, task="transcribe", language=tag[:2])
    first = tokenizer.encode(PROMPTS[tag]) if tag in PROMPTS else []
    features = pad_or_trim(model.feature_extractor(at_16_khz(np.load(path))), FRAMES)
    prompt = model.get_prompt(tokenizer, first, without_timestamps=True)
    (found,) = model.model.generate(model.encode(features), [prompt], beam_size=1)
    return str(tokenizer.decode(found.sequences_ids[0])).strip()


def count_language(model: WhisperModel, folder: str, tag: str, every: int) -> Counter[str]:
    count = Counter[str]()
    for number, text in list(enumerate(lines(tag)))[::every]:
        heard = {kind: heard_in(model, f"{folder}/{tag}/{number}-{kind}.npy", tag) for kind in KINDS}
        bare, whole = (edits(words(text), words(heard[kind])) for kind in KINDS)
        count.update(lines=1, words=len(words(text)), bare=bare, whole=whole)
        count.update(better=whole < bare, worse=whole > bare)
        if words(heard["bare"]) != words(heard["whole"]):
            print(f"{tag} {number}: {bare} → {whole} wrong\n  text  {text}", file=sys.stderr)
            for kind in KINDS:
                print(f"  {kind:5} {heard[kind]}", file=sys.stderr, flush=True)
    return count


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="hear each line, not every fourth")
    parser.add_argument("sounds")
    parser.add_argument("model")
    parser.add_argument("languages", nargs="+")
    asked = parser.parse_args()
    model = WhisperModel(asked.model, device="cpu", compute_type="int8", cpu_threads=1)
    print("|language|lines|words|wrong bare|wrong whole|better|worse|p|\n|-|-|-|-|-|-|-|-|", flush=True)
    total = Counter[str]()
    for tag in asked.languages:
        count = count_language(model, asked.sounds, tag, 1 if asked.all else 4)
        total.update(count)
        print(row_of(tag, count), flush=True)
    print(row_of("all", total))


if __name__ == "__main__":
    main()
