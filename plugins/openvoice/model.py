"""The converter for the host's batch loop, which puts windows of recordings in and takes their sound out.

Windows of one length go through the network together, whatever their voices are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from plugins.openvoice.conversion import DECODER_FRAMES, SIZES, Prepared, row_work
from plugins.openvoice.networks import Networks, Stretch
from plugins.openvoice.sizes import BANDS, HOP, RATE_HZ
from plugins.openvoice.sound import to_pcm
from plugins.openvoice.voices import ToneVoice
from speech_engine.host.batch_model import RowSpec, RowStep, RowWork
from speech_engine.values import SpeechJob

STEP_S: Final = 1.0
"""The seconds of sound that a step makes of a second in it."""
_AT_ONCE: Final = 2
"""The windows of one run. More make it no cheaper on a processor, and each takes memory."""
_WARM_UP_STEPS: Final = 6


class ToneRow:
    """One window that becomes sound: `made` has its samples after a step. A row that warms up takes several
    steps."""

    def __init__(self, voice: ToneVoice, window: Prepared, steps: int = 1) -> None:
        self.voice = voice
        self.window = window
        self.steps = steps
        self.taken = 0
        self.made: Any = None

    @property
    def is_over(self) -> bool:
        return self.taken >= self.steps


class OpenVoiceModel:
    """A `BatchModel` that weighs its rows by their seconds."""

    rate_hz = RATE_HZ

    def __init__(self, networks: Networks) -> None:
        self.networks = networks

    def expected(self, job: SpeechJob, voice: ToneVoice | None) -> list[RowWork]:
        del voice
        lengths = SIZES.expected(round(job.estimated_s * RATE_HZ))
        return [row_work(each - 2 * SIZES.context) for each in lengths]

    def join(self, spec: RowSpec[ToneVoice]) -> ToneRow:
        return ToneRow(spec.voice, spec.window)

    def work(self, row: ToneRow) -> RowWork:
        return row.window.work._replace(steps=row.steps)

    def step(self, rows: Sequence[ToneRow]) -> list[RowStep]:
        for group in _runs(rows):
            sounds = self.networks.convert(
                [row.window.stretch for row in group], [row.voice.numbers for row in group]
            )
            for row, sound in zip(group, sounds, strict=True):
                row.made = row.window.used(sound)
        for row in rows:
            row.taken += 1
        return [RowStep(False, row.is_over) for row in rows]

    def sound(self, row: ToneRow, is_last: bool) -> bytes:
        del is_last
        return to_pcm(row.made * np.float32(32767.0))

    def leave(self, row: ToneRow) -> None:
        row.made = None

    def warm_up_rows(self) -> list[ToneRow]:
        """Return two rows of noise, so that the time of a step is known before the first client comes."""
        sizes, frames = self.networks.sizes, 3 * SIZES.context // HOP
        draw = np.random.default_rng(0).standard_normal
        voice = ToneVoice(draw(sizes.voice, np.float32))
        spectrum, noise = np.abs(draw((BANDS, frames), np.float32)), draw((sizes.width, frames), np.float32)
        first, end = frames // 3 - DECODER_FRAMES, 2 * frames // 3 + DECODER_FRAMES
        stretch = Stretch(spectrum, noise, voice.numbers, first, end)
        window = Prepared(stretch, SIZES.context, 2 * SIZES.context, row_work(SIZES.context))
        return [ToneRow(voice, window, _WARM_UP_STEPS) for _ in range(_AT_ONCE)]


def _runs(rows: Sequence[ToneRow]) -> Iterator[list[ToneRow]]:
    by_lengths: dict[tuple[int, int, int], list[ToneRow]] = {}
    for row in rows:
        by_lengths.setdefault(row.window.stretch.lengths, []).append(row)
    for group in by_lengths.values():
        for first in range(0, len(group), _AT_ONCE):
            yield group[first : first + _AT_ONCE]
