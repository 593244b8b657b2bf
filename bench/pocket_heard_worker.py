"""Speaks sentences with a Pocket model, where torch is. `bench.pocket_heard` starts it."""

from __future__ import annotations

import json
import sys
import time
import wave
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from scipy.signal import resample_poly

from plugins.pocket.model import PocketModel, PocketRow
from plugins.pocket.sizes import RATE_HZ
from plugins.pocket.voices import PocketVoice, make_voice
from plugins.pocket.worker import load, read_model

T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[T, float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def read_wav(path: Path) -> bytes:
    """Return a recording of 16 bits as the model hears it: mono, at its rate."""
    with wave.open(str(path)) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
        sound = resample_poly(pcm.mean(axis=1), RATE_HZ, file.getframerate())
    return bytes(sound.clip(-32768, 32767).astype("<i2").tobytes())


def write_wav(path: Path, pcm: bytes, rate_hz: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate_hz, 0, "NONE", ""))
        file.writeframes(pcm)


def write_low(path: Path, pcm: bytes) -> None:
    """Write a sound at the rate of those who judge it."""
    low = resample_poly(np.frombuffer(pcm, "<i2").astype(np.float64), 2, 3)
    write_wav(path, low.clip(-32768, 32767).astype("<i2").tobytes(), 16_000)


def main() -> None:
    folder, recording, out = map(Path, sys.argv[1:])
    sentences = json.load(sys.stdin)
    torch.set_num_threads(1)
    loaded, load_s = timed(lambda: load(read_model(folder)))
    pcm = read_wav(recording)
    voice, voice_s = timed(lambda: make_voice(loaded.networks, [pcm]))
    print(f"loaded in {load_s:.1f} s, the voice made in {voice_s:.1f} s")
    model = PocketModel()

    def speak(text: str, voice: PocketVoice, seed: int) -> bytes:
        row = PocketRow(loaded, loaded.decoder.join(loaded.reader.chunks(text), voice.state, seed))
        while not row.decoding.is_over:
            model.step([row])
        return model.sound(row, True)

    write_low(out / "recording.16k.wav", pcm)
    for number, text in enumerate(sentences):
        said, took_s = timed(partial(speak, text, voice, number))
        seconds = len(said) / 2 / RATE_HZ
        print(f"{number}: {seconds:.1f} s of sound in {took_s:.1f} s")
        write_wav(out / f"{number}.wav", said, RATE_HZ)
        write_low(out / f"{number}.16k.wav", said)


if __name__ == "__main__":
    main()
