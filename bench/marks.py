"""What the mark `spread` is worth: `python -m bench.marks [NAME]`, with these names:

`found` shows how many clips of the embedded voices are found after what may happen to them, and how many
payloads are read; `short` the shortest part of a clip that will do. `sound` says what a listener gets of it,
and what it costs, and `strengths` the same at other strengths. `chance` tries keys that marked nothing, and
`speeds` other speeds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Final

import numpy as np
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

from bench.mark_chance import Chance
from bench.mark_masking import margins_db
from plugins.spread.detection import Match, find
from plugins.spread.stream import SpreadMark
from proxy.audio.fitting import Speed
from speech_engine.loudness import Meter, lufs
from tests.plugins.spread.clips import (
    CHANGES,
    FORMATS,
    KEY,
    PAYLOAD,
    RATE_HZ,
    Clip,
    cut,
    in_parts,
    joined,
    marked,
    spoken,
)

VOICES: Final = ("m3", "f2")
EACH: Final = 7
"""Texts of each language and voice: seventy clips."""

CHUNKS_MS: Final = (20, 100, 1000)
COST_ROUNDS: Final = 15
LENGTHS_S: Final = (0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0)
STRENGTHS: Final = (0.5, 1.0, 2.0)
STRENGTHS_AFTER: Final = ("pcm", "opus 32k", "20 dB noise")
SPEEDS: Final = (0.9, 0.97, 1.05, 1.1)
OTHER: Final = b"a key that marked nothing"


def found(clip: Clip, *, is_patient: bool = False) -> Match:
    return find(clip.tobytes(), RATE_HZ, [KEY.secret, OTHER], is_patient=is_patient)


def line(name: str, matches: Sequence[Match]) -> str:
    scores = [match.score for match in matches]
    hits = sum(match.is_found and match.key == 0 for match in matches)
    read = sum(match.payload == PAYLOAD for match in matches)
    wrong = sum(match.payload not in (None, PAYLOAD) for match in matches)
    figures = (
        f"score {min(scores):5.1f} to {np.median(scores):5.1f} (median), threshold {matches[0].threshold:.2f}"
    )
    return f"{name:14} found {hits}/{len(matches)}, payload {read}, wrong payload {wrong}, {figures}"


def show_found(clips: Sequence[Clip]) -> None:
    ready = [marked(clip) for clip in clips]
    for name, change in CHANGES.items():
        print(line(name, [found(change(clip)) for clip in ready]), flush=True)
    pairs = zip(clips, [*clips[1:], clips[0]], strict=True)
    print(line("two joined", [found(joined(one, other)) for one, other in pairs]), flush=True)
    parts = [list(clips[at : at + 3]) for at in range(0, len(clips) - 2, 3)]
    print(line("three parts", [found(in_parts(each)) for each in parts]), flush=True)


def show_short(clips: Sequence[Clip]) -> None:
    """For each format, print the shares of every third clip found by the length of the part."""
    ready = [marked(clip) for clip in clips[::3]]
    for name, change in FORMATS.items():
        changed = [change(clip) for clip in ready]
        shares = []
        for length_s in LENGTHS_S:
            matches = [found(cut(clip, length_s)) for clip in changed]
            shares.append(np.mean([match.is_found for match in matches]))
        enough = next((s for s, share in zip(LENGTHS_S, shares, strict=True) if share >= 0.95), None)
        table = " ".join(f"{s:g}s {share:.0%}" for s, share in zip(LENGTHS_S, shares, strict=True))
        print(f"{name:14} shortest for 95 %: {enough} s   {table}", flush=True)


def loudness_lufs(clip: Clip) -> float:
    meter = Meter(RATE_HZ)
    meter.feed(clip.tobytes())
    return lufs(meter.powers) or 0.0


def segments_db(clip: Clip, ready: Clip) -> float:
    """Return the segmental SNR: the mean over pieces of 20 ms, each from -10 to 35 dB."""
    size = RATE_HZ // 50
    count = len(clip) // size
    sound = clip[: count * size].astype(np.float64).reshape(count, size)
    added = ready[: count * size].reshape(count, size) - sound
    power, noise = np.sum(sound**2, axis=1), np.sum(added**2, axis=1)
    heard = power > power.max() * 1e-4
    return float(np.mean(np.clip(10 * np.log10(power[heard] / (noise[heard] + 1e-9)), -10, 35)))


def show_heard(clips: Sequence[Clip], ready: Sequence[Clip]) -> None:
    louder = [loudness_lufs(after) - loudness_lufs(clip) for clip, after in zip(clips, ready, strict=True)]
    print(f"loudness changes by {np.min(louder):+.3f} to {np.max(louder):+.3f} LU")
    segments = [segments_db(clip, after) for clip, after in zip(clips, ready, strict=True)]
    print(f"segmental SNR {np.mean(segments):.1f} dB (worst clip {np.min(segments):.1f})")
    margins = np.concatenate([margins_db(clip, after) for clip, after in zip(clips, ready, strict=True)])
    low, middle = np.percentile(margins, [5, 50])
    share = np.mean(margins < 0)
    print(
        f"below the masking threshold: median {middle:.1f} dB, 5 % under {low:.1f} dB, above it {share:.1%}"
    )


def show_sound(clips: Sequence[Clip]) -> None:
    show_heard(clips, [marked(clip) for clip in clips])
    silence = np.zeros(RATE_HZ, np.int16)
    print(f"silence stays silence: {not marked(silence).any()}")
    print(f"first byte after {_first_ms(clips[0])} ms of sound")
    # In turn, so that whatever else the machine does is shared out.
    costs = [[_cost_ms(clips, chunk_ms) for chunk_ms in CHUNKS_MS] for _ in range(COST_ROUNDS)]
    for chunk_ms, of_chunk in zip(CHUNKS_MS, zip(*costs, strict=True), strict=True):
        middle, least, most = np.median(of_chunk), min(of_chunk), max(of_chunk)
        print(
            f"in chunks of {chunk_ms} ms: {middle:.2f} ms of CPU for a second of sound, "
            f"{least:.2f} to {most:.2f} in {COST_ROUNDS} rounds"
        )


def show_strengths(clips: Sequence[Clip]) -> None:
    for strength in STRENGTHS:
        print(f"strength {strength:g}")
        ready = [marked(clip, strength=strength) for clip in clips]
        show_heard(clips, ready)
        for name in STRENGTHS_AFTER:
            print(line(name, [found(CHANGES[name](clip)) for clip in ready[::3]]), flush=True)


def _first_ms(clip: Clip) -> int:
    stream, step = SpreadMark().open(RATE_HZ, KEY, PAYLOAD), RATE_HZ // 1000
    pieces = enumerate(clip[at : at + step].tobytes() for at in range(0, len(clip), step))
    return next(number + 1 for number, piece in pieces if stream.feed(piece))


def _cost_ms(clips: Sequence[Clip], chunk_ms: int) -> float:
    pcm = np.concatenate(clips[:5]).tobytes()
    size = RATE_HZ * chunk_ms // 1000 * 2
    stream = SpreadMark().open(RATE_HZ, KEY, PAYLOAD)
    begun = time.process_time()
    for at in range(0, len(pcm), size):
        stream.feed(pcm[at : at + size])
    stream.flush()
    return (time.process_time() - begun) * 1000 / (len(pcm) / 2 / RATE_HZ)


def show_chance(clips: Sequence[Clip]) -> None:
    chance = Chance(keys=200)
    for clip in clips:
        chance.add(marked(clip))
    print(chance.summary())


def show_speeds(clips: Sequence[Clip]) -> None:
    ready = [marked(clip) for clip in clips[::14]]
    for speed in SPEEDS:
        sped = [_resampled(clip, speed) for clip in ready]
        print(line(f"{speed} higher", [found(clip, is_patient=True) for clip in sped]), flush=True)
        sped = [_stretched(clip, speed) for clip in ready]
        print(line(f"{speed} same pitch", [found(clip, is_patient=True) for clip in sped]), flush=True)


def _resampled(clip: Clip, speed: float) -> Clip:
    return np.asarray(soxr.resample(clip, RATE_HZ * speed, RATE_HZ), np.int16)


def _stretched(clip: Clip, speed: float) -> Clip:
    step = Speed(speed)
    return np.frombuffer(step.feed(clip.tobytes()) + step.flush(), np.int16)


SHOWN: Final = {
    "found": show_found,
    "short": show_short,
    "sound": show_sound,
    "strengths": show_strengths,
    "chance": show_chance,
    "speeds": show_speeds,
}


def main() -> None:
    clips = spoken(EACH, VOICES)
    seconds: NDArray[np.float64] = np.array([len(clip) / RATE_HZ for clip in clips])
    print(f"{len(clips)} clips of {seconds.min():.1f} to {seconds.max():.1f} s")
    for name in sys.argv[1:] or SHOWN:
        print(f"\n{name}")
        SHOWN[name](clips)


if __name__ == "__main__":
    main()
