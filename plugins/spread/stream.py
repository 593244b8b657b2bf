"""The mark, and its streams. A frame is changed as soon as it is complete, 20 ms after its beginning."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plugins.spread.coding import pattern_of
from plugins.spread.detection import find
from plugins.spread.grid import BIN_HZ, FRAMES_A_SECOND, FRAMES_A_TILE, PERIOD_TILES, Floats, Grid
from plugins.spread.plugin import SpreadSettings
from speech_engine.levels import MOST_PEAK
from speech_engine.mark import Detection, MarkKey, require_rate
from speech_engine.plugin import Context

_DEPTH: Final = np.float32(0.1)
"""The mark's amplitude over that of the sound that hides it: 20 dB below."""

_MOST_CHANGE: Final = np.float32(0.3)
"""The most that a band's amplitude may change, even where neighbours would hide more."""

_LIMIT: Final = np.float32(0.45)
"""The most at any strength. At a half, a lowered tile would have no power left."""

_UPWARD_DB, _DOWNWARD_DB = 10.0, 25.0
"""The loss of hiding in dB per Bark, above and below the band that hides."""

_LEAST: Final = np.float32(1e-9)


class Shaping:
    """The gains of one stream's bands. A strength of 2 doubles the mark's amplitude."""

    def __init__(self, grid: Grid, strength: float = 1.0) -> None:
        self._depth = _DEPTH * np.float32(strength)
        self._most = min(_MOST_CHANGE * np.float32(strength), _LIMIT)
        middles = (grid.edges[:-1] + grid.edges[1:]) * (BIN_HZ / 2)
        bark = 13 * np.arctan(0.00076 * middles) + 3.5 * np.arctan((middles / 7500) ** 2)
        above = bark[None, :] - bark[:, None]
        fall = np.where(above > 0, _UPWARD_DB * above, -_DOWNWARD_DB * above)
        self._spread: Floats = (10 ** (-fall / 10)).astype(np.float32)

    def changes(self, energies: Floats, signs: Floats) -> Floats:
        """Return the change of each band's amplitude: 0.1 adds a tenth.

        A raised tile gains the power that a lowered one loses, so the loudness stays. The last term restores
        the loss where such frames overlap.
        """
        hiding = energies @ self._spread
        depth = np.minimum(self._depth * np.sqrt(hiding / (energies + _LEAST)), self._most)
        return np.asarray(np.sqrt(1 + 2 * depth * signs) - 1 + depth * depth / 4, np.float32)


_GUARDS_A_SECOND: Final = 400
_MOST: Final = np.float32(0.5)
"""The most of the sound's amplitude that the mark may have in any 2.5 ms. So there is no echo before an
onset, and digital silence stays silent."""

_BATCH_S: Final = 0.2
"""The first bytes come at once. Later frames are computed in batches, which halves the time."""

_TINY: Final = np.float32(1e-9)
_LOWEST, _HIGHEST = -32768, 32767
_MOST_PEAK: Final = np.float32(int(0.9 * MOST_PEAK * _HIGHEST))  # a peak between samples is higher


class SpreadStream:
    """The mark of one stream, see `speech_engine.MarkStream`. Samples without a mark keep their bits."""

    goes_on = True

    def __init__(self, sample_rate_hz: int, pattern: Floats, begin: int = 0, strength: float = 1.0) -> None:
        """`begin` is the first frame of the pattern."""
        require_rate(sample_rate_hz)
        self._grid = Grid(sample_rate_hz)
        self._shaping = Shaping(self._grid, strength)
        self._pattern = pattern[:, : self._grid.bands]
        self._begin = begin
        self._guard = sample_rate_hz // _GUARDS_A_SECOND
        self._fade: Floats = (np.arange(self._guard) / self._guard).astype(np.float32)
        self._batch = round(_BATCH_S * sample_rate_hz) * 2
        self._waiting = b""
        """The bytes that were not read yet."""
        self._sound = np.zeros(0, np.float32)
        """The samples that were not returned yet."""
        self._added = np.zeros(0, np.float32)
        """The mark for these samples, as far as it is known."""
        self._returned_samples = self._marked_frames = 0
        self._gain = np.ones(1, np.float32)
        """The guard's gain in the last returned block."""

    def feed(self, pcm: bytes) -> bytes:
        self._waiting += pcm
        if self._returned_samples and len(self._waiting) < self._batch:
            return b""
        self._take_waiting()
        return self._give(len(self._sound))

    def flush(self) -> bytes:
        self._take_waiting()
        place = self._returned_samples + (rest := len(self._sound))
        self._take(np.zeros(2 * self._grid.length, np.float32))
        last = self._give(rest)
        self._sound = self._added = np.zeros(0, np.float32)
        self._returned_samples, self._gain = place, np.ones(1, np.float32)
        self._marked_frames = -(-place * FRAMES_A_SECOND // int(self._grid.rate_hz))
        return last

    def _take_waiting(self) -> None:
        waiting, self._waiting = self._waiting, b""
        # Small pieces stay in the processor's cache.
        for at in range(0, len(waiting), self._batch):
            self._take(np.frombuffer(waiting[at : at + self._batch], "<i2").astype(np.float32))

    def _take(self, samples: Floats) -> None:
        grid = self._grid
        self._sound = np.concatenate([self._sound, samples])
        self._added = np.concatenate([self._added, np.zeros(len(samples), np.float32)])
        last_begin = self._returned_samples + len(self._sound) - grid.length
        most = len(self._sound) * FRAMES_A_SECOND // int(grid.rate_hz) + 2
        begins = grid.begins(self._marked_frames, most)
        begins = begins[begins <= last_begin] - self._returned_samples
        if not len(begins):
            return
        spectra = grid.spectra(self._sound, begins)
        first_frame = self._begin + self._marked_frames
        at = np.arange(first_frame, first_frame + len(begins)) % len(self._pattern)
        changes = self._shaping.changes(grid.energies(spectra), self._pattern[at])
        first, last = grid.edges[0], grid.edges[-1]
        spectra[:, first:last] *= changes[:, grid.band_of_bin]
        spectra[:, :first] = spectra[:, last:] = 0
        waves: Floats = np.fft.irfft(spectra, grid.length, axis=1).astype(np.float32, copy=False)
        waves *= grid.window
        self._overlap(begins, waves)
        self._marked_frames += len(begins)

    def _overlap(self, begins: NDArray[np.intp], waves: Floats) -> None:
        """Add each frame at its beginning. Every second frame follows without a gap."""
        if self._grid.hop is not None:
            for first in (0, 1):
                run = waves[first::2].reshape(-1)
                begin = int(begins[0]) + first * self._grid.hop
                self._added[begin : begin + len(run)] += run
            return
        for begin, wave in zip(begins.tolist(), waves, strict=True):
            self._added[begin : begin + self._grid.length] += wave

    def _give(self, most: int) -> bytes:
        """Return the samples, at most `most`, that later frames and blocks do not change."""
        guard = self._guard
        settled = self._grid.begin(self._marked_frames) - self._returned_samples
        blocks = min(settled // guard - 1, -(-most // guard))
        if blocks <= 0:
            return b""
        size = blocks * guard
        sound, added = (
            each[: size + guard].reshape(blocks + 1, guard) for each in (self._sound, self._added)
        )
        loud = np.sqrt(np.einsum("ij,ij->i", sound, sound))
        marks = np.sqrt(np.einsum("ij,ij->i", added, added))
        gains = np.minimum(1, _MOST * loud / (marks + _TINY)).astype(np.float32)
        edges = np.minimum(np.concatenate([self._gain, gains[:-1]]), gains)[:, None]
        ramp = edges[:-1] + (edges[1:] - edges[:-1]) * self._fade
        # Where the sound is as loud as it may be, the mark makes it no louder.
        loudest = np.maximum(np.abs(sound[:-1]), _MOST_PEAK)
        marked = np.rint(np.clip(sound[:-1] + added[:-1] * ramp, -loudest, loudest)).reshape(-1)[:most]
        self._gain = gains[-2:-1]
        self._sound, self._added = self._sound[size:], self._added[size:]
        self._returned_samples += size
        return bytes(np.clip(marked, _LOWEST, _HIGHEST).astype("<i2"))


class SpreadMark:
    """The mark at one strength. Its detector finds marks of any strength."""

    def __init__(self, strength: float = 1.0) -> None:
        self._strength = strength

    def open(self, sample_rate_hz: int, key: MarkKey, payload: int) -> SpreadStream:
        begin = secrets.randbelow(PERIOD_TILES) * FRAMES_A_TILE
        return SpreadStream(sample_rate_hz, pattern_of(key.secret, payload), begin, self._strength)

    def detect(self, pcm: bytes, sample_rate_hz: int, keys: Sequence[MarkKey]) -> Detection:
        """Search for marks, see `Mark.detect`: first in the sound as it is, then at other speeds."""
        match = find(pcm, sample_rate_hz, [key.secret for key in keys])
        if not match.is_found:
            return Detection(match.score, match.threshold)
        return Detection(
            match.score,
            match.threshold,
            keys[match.key].id,
            match.payload,
            match.begin_s,
            match.seconds,
        )


@asynccontextmanager
async def create(_name: str, settings: SpreadSettings, _context: Context) -> AsyncIterator[SpreadMark]:
    yield SpreadMark(settings.strength)
