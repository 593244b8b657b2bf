"""An engine's own AAC, as ADTS: each frame says how long it is and how many samples it has."""

from __future__ import annotations

from proxy.audio.formats import OUTPUT_RATE_HZ, Chunk
from speech_engine import EngineFailed

_RATES_HZ = (
    *(96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000),
    *(22_050, 16_000, 12_000, 11_025, 8_000, 7_350),
)
_HEADER_BYTES = 7
_BLOCK_SAMPLES = 1024


class AdtsFrames:
    """Fits `frames.Frames`. Where a stream hides twice the rate in its frames, the seconds are the same."""

    def __init__(self) -> None:
        self._held = b""
        self._frames = 0
        self._sample_rate_hz = OUTPUT_RATE_HZ

    def __repr__(self) -> str:
        return f"<AdtsFrames {self._frames} frames at {self._sample_rate_hz} Hz>"

    def feed(self, data: bytes) -> Chunk:
        held = self._held + data
        at = samples = 0
        while at + _HEADER_BYTES <= len(held):
            size = self._frame_bytes(held, at)
            if at + size > len(held):
                break
            samples += _BLOCK_SAMPLES * ((held[at + 6] & 3) + 1)
            self._frames += 1
            at += size
        self._held = held[at:]
        return Chunk(held[:at], samples, self._sample_rate_hz)

    def flush(self) -> Chunk:
        if self._held and not self._frames:
            raise EngineFailed("the engine's AAC stream ended before its first whole frame")
        return Chunk(sample_rate_hz=self._sample_rate_hz)

    def _frame_bytes(self, held: bytes, at: int) -> int:
        begin = int.from_bytes(held[at : at + _HEADER_BYTES], "big")
        rate, size = begin >> 34 & 0xF, begin >> 13 & 0x1FFF
        # Twelve bits of ones, then the version, then a layer that is always 0.
        if begin >> 44 != 0xFFF or begin >> 41 & 3 or rate >= len(_RATES_HZ) or size < _HEADER_BYTES:
            raise EngineFailed(f"the engine's AAC stream is broken after {self._frames} frames")
        if self._frames and _RATES_HZ[rate] != self._sample_rate_hz:
            raise EngineFailed("the engine's AAC stream changes its sample rate")
        self._sample_rate_hz = _RATES_HZ[rate]
        return size
