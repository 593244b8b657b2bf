"""Compares the speech of a model with the recordings of its voice, for `voxgate engines prove`."""

from __future__ import annotations

import io
import wave
import zipfile
from collections.abc import Sequence
from typing import Any

from proxy.audio.recordings.master import make_master
from proxy.audio.recordings.measures import rate_master
from proxy.config.config_toml import Config
from proxy.engines import registry
from proxy.features.consents.comparison import RatedRecording, open_comparison

_SAMPLE_BYTES = 2


async def likeness(config: Config, export: bytes, wavs: Sequence[bytes]) -> dict[str, Any] | None:
    """Compare the first recording in a voice's export with each of `wavs`, and its halves with each other, by
    the comparer of [consent]. Return None if there is no comparer, or no recording."""
    if not export:
        return None
    with zipfile.ZipFile(io.BytesIO(export)) as files:
        recording = next((files.read(name) for name in files.namelist() if name.endswith(".wav")), None)
    if recording is None:
        return None
    pcm, rate_hz = _read(recording)
    middle = len(pcm) // (2 * _SAMPLE_BYTES) * _SAMPLE_BYTES
    halves = [make_master(half, rate_hz, _SAMPLE_BYTES) for half in (pcm[:middle], pcm[middle:])]
    pairs = [(halves[0], halves[1])]
    pairs += [(recording, make_master(*_read(wav), _SAMPLE_BYTES)) for wav in wavs]
    found = []
    async with open_comparison(registry.load(), config) as comparison:
        for pair in pairs:
            first, second = [RatedRecording(master, rate_master(master)) for master in pair]
            result = await comparison.compare(first, second)
            if result is None:
                return None
            found.append({name: getattr(result, name) for name in result.__struct_fields__})
    return {"halves": found[0], "spoken": found[1:]}


def _read(wav: bytes) -> tuple[bytes, int]:
    """Return the 16-bit samples of a WAV, also of one with 24 bits, and its rate."""
    with wave.open(io.BytesIO(wav)) as sound:
        pcm, width, rate_hz = sound.readframes(sound.getnframes()), sound.getsampwidth(), sound.getframerate()
    if width != _SAMPLE_BYTES:
        pcm = b"".join([pcm[at : at + _SAMPLE_BYTES] for at in range(1, len(pcm), width)])
    return pcm, rate_hz
