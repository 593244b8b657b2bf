"""The gains that bring the embedded voices to one loudness: `python -m bench.espeak_levels`.

Every voice reads the same texts, and is measured as ITU-R BS.1770 says. Both tables are for
`plugins/espeak/levels.py`. In the first one English counts half, and four languages count the rest. The
second one has what that file's first one leaves to all shipped voices in a language, and to single ones.
"""

from __future__ import annotations

import asyncio

import numpy as np
from numpy.typing import NDArray

from bench.sentences import LANGUAGES, sentences
from plugins.espeak import levels
from plugins.espeak.plugin import EspeakSettings
from plugins.espeak.voices import voices
from speech_engine.levels import TARGET_LUFS
from tests.plugins.espeak.heard import espeak, hear, loudness_lufs, said
from tests.plugins.espeak.test_voices import shipped
from tests.plugins.pycld2.sentences import samples

WEIGHTS = {"en": 0.5, "pt": 0.125, "es": 0.125, "fr": 0.125, "de": 0.125, "it": 0.0}

_MORE_ENGLISH = (
    "The old harbour lies on the north side of the island, behind a wall of grey stones.",
    "In winter nobody goes there, because the wind comes from the sea and takes your hat.",
    "But when spring begins, the boats are painted blue and green.",
    "My uncle used to say that a good boat needs three things: a dry floor, a quiet engine, and somebody who "
    "knows the way home.",
    "I asked him once which of them mattered most.",
    "He looked at me for a while, and then he laughed and said nothing at all.",
    "Would you like to see the pictures of it?",
    "They are in the second drawer on the left, under the maps.",
    "She sells sea shells by the shore, and nine brave men go home early today.",
    "Good evening, and welcome to the show.",
)

_VOLUME = 60
"""Soft enough for all peaks."""

_LEAST_DB = 0.4


async def main() -> None:
    names = [voice.id for voice in voices()]
    at = [names.index(name) for name in shipped().values()]
    plain = await _loudness_without_gain(names)
    weights = np.array(list(WEIGHTS.values()))
    middle = plain[:, at].mean(axis=1)
    offsets = plain - middle[:, None]
    gains = TARGET_LUFS - weights @ middle - weights @ offsets
    print({name: round(float(gain), 1) for name, gain in zip(names, gains, strict=True)})
    volumes = np.array([levels.factor_of(levels.volume_of(name, "", 100)) for name in names])
    left = TARGET_LUFS - plain - 20 * np.log10(volumes)
    for tag, row in zip(WEIGHTS, left, strict=True):
        of_all = float(np.median(row[at]))
        more = {names[each]: float(row[each]) - of_all for each in at}
        print(tag, {"": round(of_all, 1)} | {n: round(m, 1) for n, m in more.items() if abs(m) >= _LEAST_DB})


async def _loudness_without_gain(names: list[str]) -> NDArray[np.float64]:
    """Return the loudness at the volume 100, by language and voice."""
    rows = []
    async with espeak(EspeakSettings(volume=_VOLUME)) as engine:
        for tag in WEIGHTS:
            texts = [sample.text for sample in samples() if sample.language == tag and not sample.is_short]
            texts += _MORE_ENGLISH if tag == "en" else ()
            texts += [text for each in LANGUAGES if each[:2] == tag for text in sentences(each)[7::21]]
            heard = [await hear(engine, said(*texts, language=tag, voice=name)) for name in names]
            volumes = [levels.volume_of(name, tag, _VOLUME) for name in names]
            gains = 20 * np.log10([levels.factor_of(volume) for volume in volumes])
            rows.append(np.array([loudness_lufs(each) for each in heard]) - gains)
    return np.array(rows)


if __name__ == "__main__":
    asyncio.run(main())
