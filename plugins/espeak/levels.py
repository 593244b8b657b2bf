"""The loudness of the voices: one level for all, and peaks that never reach full scale.

The library's variants differ by 11 LU, and its loud ones cut their peaks off.
"""

from __future__ import annotations

import math
import re
from array import array

# The gains in decibels to TARGET_LUFS, by `python -m bench.espeak_levels`. They fit English best, and four
# more languages well.
# fmt: off
_GAINS_DB = {
    "f1": -0.4, "f2": -0.7, "f3": 0.2, "f4": -0.6, "f5": 0.8, "Alicia": -0.8, "Andrea": -3.9, "Annie": 0.2,
    "anika": -1.6, "aunty": -0.4, "belinda": -1.6, "grandma": 0.4, "linda": -1.8, "steph": 0.6,
    "whisperf": -2.4, "m1": 2.2, "m2": 2.3, "m3": 0.8, "m4": 1.0, "m5": 1.7, "m6": 1.3, "m7": -0.1,
    "m8": 5.5, "Andy": -2.3, "Denis": 5.7, "Diogo": 5.4, "Henrique": 5.8, "Lee": 1.1, "Marco": -5.8,
    "michel": 0.5, "miguel": -1.2, "sandro": -1.9, "travis": -0.9, "victor": 6.3, "whisper": 2.7,
    "Alex": 2.4, "Gene": -2.5, "Gene2": -3.3, "Mario": 0.4, "Michael": -0.7, "Mike": 4.2, "Nguyen": 2.0,
    "Reed": -0.9, "adam": 1.7, "david": 3.2, "edward": -0.1, "grandpa": 0.7, "klatt4": -0.5,
    "marcelo": -0.4, "mike2": -2.4, "norbert": -1.9, "pablo": -2.2, "quincy": 3.4, "rob": 2.8,
    "shelby": -0.6,
}
_MORE_DB = {
    "es": {"": 0.5, "Nguyen": 0.6, "mike2": -0.7, "Andy": -0.5},
    "fr": {"": 1.1, "shelby": 0.7, "travis": 0.5, "Nguyen": 0.4, "rob": 0.6, "anika": -0.5, "Andy": -0.6},
    "de": {"steph": 0.7, "Andy": 0.5},
    "it": {
        "": 0.8, "Nguyen": 0.4, "mike2": -1.4, "belinda": -0.9, "david": -0.9, "steph": 0.6, "Andy": -0.7,
    },
}
# fmt: on
"""The additional gains in a language: of all its voices, and of some."""

_LOUDEST = 200
_STEPS = 0.55
"""The library counts the volume in 55 steps for a hundred, and rounds down."""

_KNEE = 0x5900
_ROOM = 0.15 * 0x8000
"""Samples above the knee, at -3.2 dB, are bent into this room. The highest peak is -1.5 dB."""

_ABOVE_KNEE = re.compile(rb"[\x59-\xa6]")
"""The higher byte of a sample above the knee, of either sign."""


def volume_of(variant: str, language: str, volume: float) -> int:
    """Return the library's volume, 0 to 200, that brings a variant to the common level at the volume 100."""
    more = _MORE_DB.get(language.partition("-")[0].lower(), {})
    gain = math.pow(10, (_GAINS_DB.get(variant, 0.0) + more.get("", 0.0) + more.get(variant, 0.0)) / 20)
    steps = round(min(max(volume * gain, 0), _LOUDEST) * _STEPS)
    return math.ceil(steps / _STEPS)


def factor_of(volume: int) -> float:
    """Return the amplitude at a volume of the library, over that at the volume 100."""
    return math.floor(volume * _STEPS) / math.floor(100 * _STEPS)


def bend_peaks(pcm: bytes) -> bytes:
    """Return the samples with their highest peaks bent.

    The host has no numpy. A search for bytes finds the few samples, a hundred times faster than a loop.
    """
    peaks = [found.start() for found in _ABOVE_KNEE.finditer(pcm[1::2])]
    if not peaks:
        return pcm
    samples = array("h", pcm)
    for at in peaks:
        bent = _KNEE + _ROOM * math.tanh((abs(samples[at]) - _KNEE) / _ROOM)
        samples[at] = round(math.copysign(bent, samples[at]))
    return samples.tobytes()
