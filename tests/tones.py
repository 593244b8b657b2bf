"""The tone engine's speech as a function, for fakes of providers: one hears what they were asked to say."""

from contextlib import aclosing
from typing import Any

from numpy.typing import NDArray

from plugins.tone.decode import DamagedFrame, decode
from plugins.tone.frames import Clock, frame_symbols, symbol_pcm
from proxy.audio.formats import wav_header
from speech_engine import HEARING_HZ, EngineHears, Event, HearJob
from speech_engine.pcm import PcmReader


def tones(text: str, rate_hz: int = 24_000) -> bytes:
    """PCM that `plugins.tone.decode` gives back as the text."""
    return b"".join(symbol_pcm(frame_symbols(text), Clock(rate_hz, 1.0), 0))


def recording(*texts: str) -> bytes:
    """A recording for ears, with half a second of silence before each text."""
    return b"".join(bytes(HEARING_HZ) + tones(text, HEARING_HZ) for text in texts)


async def transcript(engine: EngineHears, pcm: bytes, **fields: Any) -> list[Event]:
    job = HearJob(id="job_1", tenant="acc_1", **fields)
    async with aclosing(engine.transcribe(job, PcmReader(pcm, 9_601))) as events:
        return [event async for event in events]


def words(samples: NDArray[Any], sample_rate_hz: int, speed: float = 1.0) -> list[str] | None:
    """What mono samples say, frame by frame, or None where they are not whole frames of tones."""
    try:
        return list(decode(samples, sample_rate_hz, speed))
    except DamagedFrame:
        return None


def of_seconds(seconds: float, level: int = 8000) -> bytes:
    """A WAV of a square wave, at 8 kHz."""
    half = level.to_bytes(2, "little", signed=True) * 50 + (-level).to_bytes(2, "little", signed=True) * 50
    pcm = (half * round(seconds * 80 + 1))[: round(seconds * 8000) * 2]
    return wav_header(len(pcm) // 2, 8000) + pcm
