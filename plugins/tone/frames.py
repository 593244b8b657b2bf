"""The sound of a text: one frame of sixteen-tone symbols for each segment, exact to the sample.

A frame is a preamble, the length, the UTF-8 bytes, their CRC-32 and a gap. So each frame is decoded
by itself. The tones lie below 4 kHz and are 200 Hz apart. They survive 8 kHz, MP3, Opus and four-fold
speed.
"""

from __future__ import annotations

import math
import zlib
from array import array
from collections.abc import Iterator
from functools import lru_cache
from sys import byteorder

SYMBOL_S = 0.024
"""Length of a symbol at speed 1. A byte is two symbols, so ASCII runs at about the pace of speech."""

TONES_HZ = tuple(500 + 200 * nibble for nibble in range(16))
PREAMBLE_HZ = 300
"""A tone that no byte has. It marks the beginning of a frame."""

# The last tones jump from end to end of the scale, which fixes the time of the symbols exactly.
PREAMBLE = (PREAMBLE_HZ, PREAMBLE_HZ, PREAMBLE_HZ, TONES_HZ[15], TONES_HZ[0], TONES_HZ[15], TONES_HZ[0])
GAP_SYMBOLS = 2
LENGTH_BYTES = 2
CHECK_BYTES = 4
MAX_BYTES = 256**LENGTH_BYTES - 1

PEAK = round(0.4 * 32767)


def payload(text: str) -> bytes:
    """Return the bytes after the preamble. Raise OverflowError if the text is over `MAX_BYTES`."""
    # The signature of a voice (timbre.py) begins with a byte that is no UTF-8.
    data = text.encode(errors="surrogateescape")
    return len(data).to_bytes(LENGTH_BYTES, "big") + data + zlib.crc32(data).to_bytes(CHECK_BYTES, "big")


def frame_symbols(text: str) -> tuple[int, ...]:
    """Return the frame's tones in Hz, 0 for silence."""
    nibbles = [nibble for byte in payload(text) for nibble in (byte >> 4, byte & 15)]
    return (*PREAMBLE, *(TONES_HZ[nibble] for nibble in nibbles), *(0,) * GAP_SYMBOLS)


def symbol_of_byte(index: int) -> int:
    """Return the place, in symbols of the frame, where the text's byte `index` begins."""
    return len(PREAMBLE) + 2 * (LENGTH_BYTES + index)


class Clock:
    """The beginnings of the symbols, in samples.

    Each is rounded by itself, so that no error adds up at any rate or speed.
    """

    def __init__(self, sample_rate_hz: int, speed: float) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.samples_per_symbol = SYMBOL_S * sample_rate_hz / speed

    def samples(self, symbols: int) -> int:
        return round(symbols * self.samples_per_symbol)


def symbol_pcm(tones_hz: tuple[int, ...], clock: Clock, first: int, peak: int = PEAK) -> Iterator[bytes]:
    """Yield the PCM (s16le) of each symbol. The first is number `first` of the whole stream."""
    length = math.ceil(clock.samples_per_symbol) + 1
    for number, tone_hz in enumerate(tones_hz, first):
        samples = clock.samples(number + 1) - clock.samples(number)
        yield _tone(tone_hz, clock.sample_rate_hz, length, peak)[: 2 * samples]


@lru_cache(maxsize=512)
def _tone(tone_hz: int, sample_rate_hz: int, length: int, peak: int) -> bytes:
    # The ramps are an eighth of the symbol. They avoid clicks, which codecs dislike.
    step = 2 * math.pi * tone_hz / sample_rate_hz
    ramp = length / 8
    pcm = array(
        "h",
        (
            round(peak * min(1.0, at / ramp, max(0.0, length - 2 - at) / ramp) * math.sin(step * at))
            for at in range(length)
        ),
    )
    if byteorder == "big":
        pcm.byteswap()
    return pcm.tobytes()
