"""What a network says for its pads is cut off, and speech that reaches into one stays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plugins.kokoro.pads import without_pads
from plugins.kokoro.voices import RATE_HZ
from tests.tables import each_row

PAD = 9_600
Sound = NDArray[np.float32]


def voice(samples: int, hz: float = 240.0) -> Sound:
    return np.float32(0.3) * np.sin(2 * np.pi * hz * np.arange(samples) / RATE_HZ).astype(np.float32)


def noise(samples: int, loudness: float = 0.2) -> Sound:
    return (loudness * np.random.default_rng(7).standard_normal(samples)).astype(np.float32)


def cut(*parts: Sound) -> tuple[int, int]:
    """Return how much is cut off before and behind, with pads of 400 ms."""
    sound = np.concatenate(parts)
    before, kept = without_pads(sound, PAD, len(sound) - PAD)
    assert len(kept) == 0 or abs(kept[0]) < 1e-6
    return before, len(sound) - before - len(kept)


MARGIN = RATE_HZ // 40
BORDER = RATE_HZ // 100
"""The window at the end of speech stays."""
SILENCE = np.zeros(PAD, np.float32)


@each_row(
    ("head", "tail", "expected"),
    [
        ([noise(PAD)], [noise(PAD)], (PAD - MARGIN, PAD - MARGIN - BORDER)),
        ([SILENCE], [SILENCE], (PAD - MARGIN, PAD - MARGIN - BORDER)),
        # A copy of the first syllable stands alone in the noise.
        ([noise(2_400), voice(2_400), noise(4_800)], [noise(PAD)], (PAD - MARGIN, PAD - MARGIN - BORDER)),
        # Speech begins 100 ms early, and goes on for 200 ms, behind a stop of 40 ms.
        (
            [noise(7_200), voice(2_400)],
            [noise(960), voice(4_800), noise(3_840)],
            (7_200 - MARGIN, 3_840 - MARGIN),
        ),
    ],
)
def test_noise_is_cut_off_and_speech_stays(
    head: list[Sound], tail: list[Sound], expected: tuple[int, int]
) -> None:
    assert cut(*head, voice(24_000), *tail) == expected


@each_row("samples", [0, 1, 239, 240, 500])
def test_a_short_sound_is_cut_within_its_bounds(samples: int) -> None:
    for sound in (voice(samples), SILENCE[:samples]):
        for borders in ((0, samples), (samples, 0), (1, 1)):
            before, kept = without_pads(sound, *borders)
            assert 0 <= before <= samples
            assert before + len(kept) <= samples


def test_a_sound_that_is_no_number_is_cut_as_silence() -> None:
    broken: NDArray[Any] = np.full(24_000, np.nan, np.float32)
    before, kept = without_pads(broken, PAD, 24_000 - PAD)
    assert (before, len(kept)) == (PAD - MARGIN, 24_000 - 2 * PAD + 2 * MARGIN + BORDER)
