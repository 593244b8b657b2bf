"""The tone engine's speech as a function, for fakes of providers: one hears what they were asked to say."""

from __future__ import annotations

from plugins.tone.frames import Clock, frame_symbols, symbol_pcm


def tones(text: str) -> bytes:
    """24 kHz PCM that `plugins.tone.decode` gives back as the text."""
    return b"".join(symbol_pcm(frame_symbols(text), Clock(24_000, 1.0), 0))
