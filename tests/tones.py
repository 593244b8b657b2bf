"""The tone engine's speech as a function, for fakes of providers: one hears what they were asked to say."""

from typing import Any

from numpy.typing import NDArray

from plugins.tone.decode import DamagedFrame, decode
from plugins.tone.frames import Clock, frame_symbols, symbol_pcm


def tones(text: str) -> bytes:
    """24 kHz PCM that `plugins.tone.decode` gives back as the text."""
    return b"".join(symbol_pcm(frame_symbols(text), Clock(24_000, 1.0), 0))


def words(samples: NDArray[Any], sample_rate_hz: int, speed: float = 1.0) -> list[str] | None:
    """What mono samples say, frame by frame, or None where they are not whole frames of tones."""
    try:
        return list(decode(samples, sample_rate_hz, speed))
    except DamagedFrame:
        return None
