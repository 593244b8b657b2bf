"""One size of Pocket TTS at one number of threads, measured where torch is. `bench.pocket` starts it."""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from plugins.pocket.codec import SoundStream
from plugins.pocket.decoding import BatchedDecoder, DecodingRow
from plugins.pocket.model import STEP_S
from plugins.pocket.networks import Networks, load_networks
from plugins.pocket.text import Chunk
from plugins.pocket.voices import make_voice
from tests.plugins.pocket.in_environment.rig import recording
from tests.plugins.pocket.tiny import write_model

_FRAMES = 60
_LONG = Chunk(tuple(range(60, 116)), 3)


def took(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def voice_s(networks: Networks, seconds: float) -> float:
    return took(lambda: make_voice(networks, [recording(1, seconds)]))


def rows_of(decoder: BatchedDecoder, state: Any, count: int) -> list[DecodingRow]:
    return [decoder.join([_LONG], state, seed) for seed in range(count)]


def said(decoder: BatchedDecoder, rows: list[DecodingRow]) -> tuple[float, Any]:
    """Return the time of a step, and what the first row said."""
    steps = [took(lambda: decoder.step(rows)) for _ in range(_FRAMES)]
    return statistics.median(steps), torch.stack([latent for latent, _ in rows[0].waiting])


def decoder_rtf(networks: Networks, latents: Any, frames: int) -> float:
    stream, pieces = SoundStream(networks), torch.split(latents[:48], frames)
    with torch.inference_mode():
        times = [took(partial(stream.next_piece, piece)) for piece in pieces]
    return statistics.median(times) / (frames * STEP_S)


def measure(networks: Networks) -> list[str]:
    voices = [min(voice_s(networks, seconds) for _ in range(2)) for seconds in (5.0, 20.0)]
    state = make_voice(networks, [recording(1, 20.0)]).state
    decoder = BatchedDecoder(networks, _FRAMES)
    said(decoder, rows_of(decoder, state, 1))
    alone_s, alone = said(decoder, rows_of(decoder, state, 1))
    two_s, _ = said(decoder, rows_of(decoder, state, 2))
    four_s, batched = said(decoder, rows_of(decoder, state, 4))
    steps = (alone_s, two_s, four_s)
    joins = [took(lambda: rows_of(decoder, state, 1)) for _ in range(5)]

    def first_sound() -> None:
        (row,) = rows_of(decoder, state, 1)
        decoder.step([row])
        with torch.inference_mode():
            SoundStream(networks).next_piece([row.waiting[0][0]])

    first = statistics.median(took(first_sound) for _ in range(5))
    rtf = [step / STEP_S / rows for step, rows in zip(steps, (1, 2, 4), strict=True)]
    return [
        " / ".join(f"{step * 1000:.0f}" for step in steps),
        " / ".join(f"{each:.2f}" for each in rtf),
        " / ".join(f"{decoder_rtf(networks, alone, frames):.2f}" for frames in (1, 8)),
        f"{statistics.median(joins) * 1000:.0f}",
        f"{first * 1000:.0f}",
        " / ".join(f"{each:.1f}" for each in voices),
        f"{float((alone - batched).abs().max()):.0e}",
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}",
    ]


def main() -> None:
    folder, size, threads = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    if not (folder / "model.safetensors").exists():
        write_model(folder, size)
    torch.set_num_threads(threads)
    print(json.dumps(measure(load_networks(folder))))


if __name__ == "__main__":
    main()
