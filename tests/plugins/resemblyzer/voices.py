"""Voices that are not alike, each with sentences, as a comparer gets them."""

from __future__ import annotations

from functools import cache

import numpy as np
from msgspec.structs import replace

from plugins.espeak.data import Build, build_of, short_path
from plugins.espeak.plugin import EspeakSettings
from plugins.espeak.utterance import utterance_of
from plugins.espeak.worker import _Library, _opened
from proxy.audio.recordings.derivation import SampleSpec, derive
from speech_engine.comparer import COMPARED_RATE_HZ
from tests.plugins.espeak.heard import said
from tests.proxy.audio.recordings.clips import Samples
from tests.proxy.audio.recordings.speech import SENTENCES, master_of, quality_of

SPEAKERS = ("gmw/en-US", "gmw/en-US+Hugo", "gmw/en-US+klatt4", "gmw/en-US+f3", "gmw/en-US+Annie")
"""Others of espeak's voices are one throat to the network."""
SPEC = SampleSpec(0.0, 30.0, COMPARED_RATE_HZ)


@cache
def speakers() -> dict[str, list[Samples]]:
    """By name. The first sentence of each is the consent."""
    settings = EspeakSettings()
    build = build_of(settings)
    with short_path(build.data) as data:
        build = Build(build.library, data)
        library = _Library(_opened(build), build)
        try:
            return {name: [_spoken(library, settings, name, text) for text in SENTENCES] for name in SPEAKERS}
        finally:
            library.end()


def _spoken(library: _Library, settings: EspeakSettings, identifier: str, text: str) -> Samples:
    parts: list[bytes] = []
    utterance = replace(utterance_of(said(text, seed=1), settings), identifier=identifier)

    def take(_segment: int, pcm: bytes, _marks: object) -> bool:
        parts.append(pcm)
        return True

    library.speak(utterance, take)
    return np.pad(np.frombuffer(b"".join(parts), "<i2") / 32768, 8000)


def compared_part(samples: Samples) -> bytes:
    return derive(master_of(samples), quality_of(samples), SPEC)
