"""Compares the speech of a model with the recordings of its voice, for `voxgate engines prove`."""

from __future__ import annotations

import io
import wave
import zipfile
from typing import Any

from proxy.audio.recordings.master import make_master
from proxy.audio.recordings.measures import rate_master
from proxy.config.config_toml import Config
from proxy.engines import registry
from proxy.features.consents.comparison import RatedRecording, open_comparison

_SAMPLE_BYTES = 2


async def likeness(config: Config, export: bytes, wav: bytes) -> dict[str, Any] | None:
    """Compare the speech in `wav` with the first recording in a voice's export, by the comparer of [consent].
    Return None if there is no comparer, or no recording."""
    with zipfile.ZipFile(io.BytesIO(export)) as files:
        masters = [files.read(name) for name in files.namelist() if name.endswith(".wav")]
    if not masters:
        return None
    with wave.open(io.BytesIO(wav)) as spoken:
        pcm, rate_hz = spoken.readframes(spoken.getnframes()), spoken.getframerate()
    recordings = (masters[0], make_master(pcm, rate_hz, _SAMPLE_BYTES))
    rated = [RatedRecording(master, rate_master(master)) for master in recordings]
    async with open_comparison(registry.load(), config) as comparison:
        found = await comparison.compare(*rated)
    return None if found is None else {name: getattr(found, name) for name in found.__struct_fields__}
