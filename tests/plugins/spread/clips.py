"""Speech to mark, and what may happen to it on its way: formats, telephones, noise, cuts."""

import asyncio
import io
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import cache
from typing import Final

import av
import numpy as np
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

from plugins.spread.stream import SpreadMark
from speech_engine.mark import MarkKey
from tests.plugins.espeak.heard import SAMPLE_RATE_HZ, espeak, hear, said
from tests.plugins.pycld2.sentences import samples
from tests.sound import decoded

RATE_HZ: Final = 24_000
LANGUAGES: Final = ("en", "pt", "es", "fr", "de")
KEY: Final = MarkKey("key_1", b"the secret of the tests, 32 bytes")
PAYLOAD: Final = 0x2A07_1F43

Clip = NDArray[np.int16]


@cache
def spoken(each: int, voices: tuple[str, ...] = ("m3",), least_s: float = 3.0) -> tuple[Clip, ...]:
    """Speak `each` texts in five languages with some voices, each long enough."""
    # In a thread: it may be asked for where a loop runs already.
    with ThreadPoolExecutor(1) as thread:
        return tuple(thread.submit(lambda: asyncio.run(_speak(each, voices, least_s))).result())


async def _speak(each: int, voices: tuple[str, ...], least_s: float) -> list[Clip]:
    made = []
    async with espeak() as engine:
        for language in LANGUAGES:
            texts = [one.text for one in samples() if one.language == language and not one.is_short]
            for number, voice in ((number, voice) for number in range(each) for voice in voices):
                clip, further = np.zeros(0, np.float32), number
                while len(clip) < least_s * RATE_HZ:
                    job = said(texts[further % len(texts)], language=language, voice=voice, seed=1)
                    heard = (await hear(engine, job)).samples.astype(np.float32)
                    clip = np.concatenate([clip, soxr.resample(heard, SAMPLE_RATE_HZ, RATE_HZ)])
                    further += 1
                made.append(whole(clip))
    return made


def whole(sound: NDArray[np.floating]) -> Clip:
    return np.asarray(np.clip(np.rint(sound), -32768, 32767), np.int16)


def marked(
    clip: Clip, payload: int = PAYLOAD, key: MarkKey = KEY, rate_hz: int = RATE_HZ, strength: float = 1.0
) -> Clip:
    """Mark a clip as a stream in chunks of 100 ms."""
    stream = SpreadMark(strength).open(rate_hz, key, payload)
    pcm, chunk = clip.tobytes(), rate_hz // 10 * 2
    chunks = [stream.feed(pcm[at : at + chunk]) for at in range(0, len(pcm), chunk)]
    return np.frombuffer(b"".join(chunks) + stream.flush(), np.int16)


def coded(clip: Clip, container: str, codec: str, bit_rate: int, **options: str) -> Clip:
    """What a listener gets of a clip in a format."""
    written = io.BytesIO()
    with av.open(written, "w", format=container) as output:
        stream = output.add_stream(codec, rate=RATE_HZ, layout="mono", options=options)
        assert isinstance(stream, av.AudioStream)
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(clip[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, 0, Fraction(1, RATE_HZ)
        fifo = av.AudioFifo()
        fifo.write(frame)
        for part in [*fifo.read_many(stream.codec_context.frame_size or 480, partial=True), None]:
            output.mux(stream.encode(part))
    heard = decoded(written.getvalue(), container)
    return whole(soxr.resample(heard.samples, heard.sample_rate_hz, RATE_HZ) * 32768)


def over_mu_law(clip: Clip) -> Clip:
    """The clip over a telephone: 8 kHz, eight bits (G.711)."""
    narrow = soxr.resample(clip.astype(np.float32), RATE_HZ, 8000) / 32768
    bent = np.sign(narrow) * np.log1p(255 * np.minimum(np.abs(narrow), 1)) / np.log(256)
    steps = np.rint(bent * 127) / 127
    back = np.sign(steps) * (256 ** np.abs(steps) - 1) / 255
    return whole(soxr.resample((back * 32768).astype(np.float32), 8000, RATE_HZ))


def with_noise(clip: Clip, snr_db: float, seed: int = 1) -> Clip:
    sound = clip.astype(np.float64)
    noise = np.random.default_rng(seed).standard_normal(len(clip))
    return whole(sound + noise * np.sqrt(np.mean(sound**2) / 10 ** (snr_db / 10)))


def cut(clip: Clip, seconds: float) -> Clip:
    """The middle of a clip. It begins at no frame of the mark."""
    length = round(seconds * RATE_HZ)
    begin = max(0, (len(clip) - length) // 2) | 1
    return clip[begin : begin + length]


def louder(clip: Clip, db: float) -> Clip:
    return whole(clip * 10 ** (db / 20))


FORMATS: Mapping[str, Callable[[Clip], Clip]] = {
    "pcm": lambda clip: clip,
    "mp3 64k": lambda clip: coded(clip, "mp3", "libmp3lame", 64_000, reservoir="0"),
    "opus 32k": lambda clip: coded(clip, "ogg", "libopus", 32_000, application="voip"),
    "aac 48k": lambda clip: coded(clip, "adts", "aac", 48_000, aac_coder="fast"),
    "8 kHz mu-law": over_mu_law,
    "20 dB noise": lambda clip: with_noise(clip, 20),
}

CHANGES: Mapping[str, Callable[[Clip], Clip]] = {
    **FORMATS,
    "2 s crop": lambda clip: cut(clip, 2),
    "+3 dB": lambda clip: louder(clip, 3),
    "-3 dB": lambda clip: louder(clip, -3),
}
"""What may happen to a marked clip."""

PAUSE: Final = np.zeros(RATE_HZ * 3 // 10, np.int16)


def joined(one: Clip, other: Clip) -> Clip:
    """Two clips, each marked alone, in one file."""
    return np.concatenate([marked(one), marked(other)])


def in_parts(parts: list[Clip]) -> Clip:
    """An answer of several parts with pauses, marked as one stream."""
    return marked(np.concatenate([each for part in parts for each in (part, PAUSE)]))
