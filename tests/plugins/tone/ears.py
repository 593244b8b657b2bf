"""How the tests hear the tone engine: jobs to PCM, PCM through real encoders, and back."""

import io
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
import structlog
from numpy.typing import NDArray

from plugins.tone.plugin import ToneSettings
from plugins.tone.worker import ToneEngine, create
from speech_engine import Audio, Context, Engine, EngineError, Event
from speech_engine.samples import NO_SAMPLES, SampleReader
from speech_engine.testing import collect, job, speaking

Int16 = NDArray[np.int16]


def tone(
    settings: ToneSettings | None = None, samples: SampleReader = NO_SAMPLES
) -> AbstractAsyncContextManager[ToneEngine]:
    context = Context(structlog.get_logger(), samples=samples)
    return create("tone", settings or ToneSettings(), context)


def pcm_of(events: tuple[Event, ...]) -> Int16:
    return np.frombuffer(b"".join(event.pcm for event in events if isinstance(event, Audio)), np.int16)


async def spoken(*texts: str, sample_rate_hz: int = 24_000, speed: float = 1.0) -> Int16:
    async with tone(ToneSettings(sample_rate_hz=sample_rate_hz)) as engine:
        return pcm_of(await collect(engine, job(*texts, speed=speed)))


async def until_it_fails(engine: Engine, voice: str, text: str) -> tuple[list[Event], EngineError]:
    events: list[Event] = []
    try:
        async with speaking(engine, job(text, voice=voice)) as stream:
            async for event in stream:
                events.append(event)
    except EngineError as error:
        return events, error
    pytest.fail(f"the voice {voice!r} did not fail")


def through(
    codec: str, container: str, bit_rate: int | None, pcm: Int16, sample_rate_hz: int
) -> tuple[NDArray[np.float32], int]:
    """What is heard after encoding and decoding, and the rate it is heard at."""
    sink = io.BytesIO()
    with av.open(sink, "w", format=container) as output:
        stream = output.add_stream(codec, rate=sample_rate_hz, layout="mono")
        assert isinstance(stream, av.AudioStream)
        if bit_rate is not None:
            stream.bit_rate = bit_rate
        for frame in _frames(pcm, sample_rate_hz):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    sink.seek(0)
    heard: list[NDArray[np.float32]] = []
    rate_hz = 0
    with av.open(sink, "r") as source:
        for decoded in source.decode(audio=0):
            heard.append(_floats(decoded.to_ndarray()))
            rate_hz = decoded.sample_rate
    return np.concatenate(heard), rate_hz


def _frames(pcm: Int16, sample_rate_hz: int) -> Iterator[av.AudioFrame]:
    size = sample_rate_hz // 50
    for start in range(0, len(pcm), size):
        frame = av.AudioFrame.from_ndarray(pcm[None, start : start + size], format="s16", layout="mono")
        frame.sample_rate = sample_rate_hz
        frame.pts = start
        frame.time_base = Fraction(1, sample_rate_hz)
        yield frame


def _floats(samples: NDArray[Any]) -> NDArray[np.float32]:
    flat = samples.reshape(-1)
    return (flat / 32768 if flat.dtype == np.int16 else flat).astype(np.float32)
