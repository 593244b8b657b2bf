"""The mark with its networks: streams as the whole sound gives, exact lengths, and silence that stays."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext

import numpy as np
import pytest
from numpy.typing import NDArray

from plugins.audioseal.model_format import HOP, RATE_HZ
from plugins.audioseal.resampling import Floats, resampled
from plugins.audioseal.worker import found_in
from speech_engine.mark import Mark, MarkKey
from speech_engine.testing.marks import MarkContract
from tests.plugins.audioseal.in_environment.rig import mark, networks

# isort: split
import torch

KEY = MarkKey("key_a", b"a secret of some bytes")
OTHER_RATES_HZ = (16_000, 22_050, 24_000, 48_000)


def speech(rate_hz: int, seconds: float = 1.0) -> NDArray[np.int16]:
    """Something with pitch and syllables, and no digital silence."""
    at = np.arange(round(rate_hz * seconds)) / rate_hz
    sound = sum(np.sin(2 * np.pi * 140 * part * at) / part for part in range(1, 12))
    return np.rint(6000 * sound * (1.2 + np.sin(2 * np.pi * 4 * at))).astype(np.int16) | 1


def floats(sound: NDArray[np.int16]) -> Floats:
    return sound.astype(np.float32) / np.float32(32768)


def through(sound: NDArray[np.int16], rate_hz: int, payload: int = 5, chunk: int = 4800) -> NDArray[np.int16]:
    stream, pcm = mark().open(rate_hz, KEY, payload), sound.tobytes()
    chunks = [stream.feed(pcm[at : at + chunk]) for at in range(0, len(pcm), chunk)]
    return np.frombuffer(b"".join(chunks) + stream.flush(), "<i2")


class Promises(MarkContract):
    """Those of every mark. Random weights cannot show that a mark is found, and there is no key."""

    def mark(self) -> AbstractAsyncContextManager[Mark]:
        return nullcontext(mark())

    def speech(self) -> bytes:
        return speech(self.rate_hz, 4.0).tobytes()


UNSHOWN = ("test_a_mark_is_found_with_its_payload", "test_no_other_mark_is_found")
PROMISES = sorted({name for name in dir(MarkContract) if name.startswith("test_")} - {*UNSHOWN})


@pytest.mark.parametrize("promise", PROMISES)
def test_it_keeps_the_promises_of_marks(promise: str) -> None:
    asyncio.run(getattr(Promises(), promise)())


@pytest.mark.parametrize("hops", [2, *(pytest.param(each, marks=pytest.mark.soak) for each in (1, 7))])
def test_a_stream_is_marked_as_the_whole_sound(hops: int) -> None:
    """The package's own streaming begins anew at each chunk."""
    sound = floats(speech(RATE_HZ)[: HOP * 42])
    message = torch.tensor([[1, 0] * 8])
    for part in networks()._parts:
        part._streaming_state = part._empty_state()
    with torch.inference_mode():
        whole = networks()._generator.get_watermark(torch.from_numpy(sound)[None, None], message=message)
    stream = networks().open_stream(0b0101010101010101)
    parts = [stream.add_mark(piece) for piece in np.split(sound, range(hops * HOP, len(sound), hops * HOP))]
    expected = whole[0, 0].numpy()
    assert np.abs(np.concatenate(parts) - expected).max() < 1e-5 * np.abs(expected).max()


def test_streams_that_take_turns_keep_apart() -> None:
    sounds = [speech(24_000), speech(24_000)[::-1].copy()]
    alone = [through(sound, 24_000) for sound in sounds]
    streams = [mark().open(24_000, KEY, 5) for _ in sounds]
    parts: list[list[bytes]] = [[], []]
    for at in range(0, 48_000, 4800):
        for stream, sound, heard in zip(streams, sounds, parts, strict=True):
            heard.append(stream.feed(sound.tobytes()[at : at + 4800]))
    for stream, heard, expected in zip(streams, parts, alone, strict=True):
        assert b"".join([*heard, stream.flush()]) == expected.tobytes()


@pytest.mark.parametrize(
    "rate_hz", [8_000, 44_100, *(pytest.param(each, marks=pytest.mark.soak) for each in OTHER_RATES_HZ)]
)
def test_only_the_mark_is_added_and_it_is_where_the_sound_is(rate_hz: int) -> None:
    sound = speech(rate_hz)
    marked = through(sound, rate_hz)
    assert marked.shape == sound.shape
    added = marked.astype(np.float32) - sound
    low = resampled(floats(sound), rate_hz, RATE_HZ)
    expected = networks().open_stream(5).add_mark(np.pad(low, (0, -len(low) % HOP)))[: len(low)] * np.float32(
        32768
    )
    inner = slice(rate_hz // 50, -rate_hz // 20)
    again = resampled(expected, RATE_HZ, rate_hz)
    length = min(len(again), len(added))
    difference = (added[:length] - again[:length])[inner]
    assert np.abs(difference).max() < max(2.0, 0.02 * np.abs(expected).max())
    assert np.abs(added[inner]).max() > 2


def test_other_payloads_mark_otherwise_and_the_high_bits_are_left_out() -> None:
    sound = speech(24_000)
    assert through(sound, 24_000, 5).tobytes() != through(sound, 24_000, 6).tobytes()
    assert through(sound, 24_000, 5).tobytes() == through(sound, 24_000, 5 | 0xABCD << 16).tobytes()


def test_the_strength_scales_what_is_added() -> None:
    sound = speech(24_000)
    powers = []
    for strength in (1.0, 2.0):
        stream = mark(strength).open(24_000, KEY, 5)
        added = np.frombuffer(stream.feed(sound.tobytes()) + stream.flush(), "<i2").astype(float) - sound
        powers.append(float(np.sum(added**2)))
    assert powers[1] / powers[0] == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("rate_hz", [16_000, 24_000])
def test_silence_in_a_sound_keeps_its_bits(rate_hz: int) -> None:
    pause = np.zeros(rate_hz // 2, np.int16)
    marked = through(np.concatenate([speech(rate_hz), pause, speech(rate_hz)]), rate_hz)
    assert not marked[rate_hz : rate_hz + len(pause)].any()
    assert (marked[:rate_hz] != speech(rate_hz)).any()


def heard(
    marked_s: tuple[float, float], seconds: float, payload: int = 0xBEEF, volts: float = 3.0
) -> tuple[Floats, Floats]:
    at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    is_marked = (at >= marked_s[0]) & (at < marked_s[1])
    signs = np.array([1.0 if payload >> place & 1 else -1.0 for place in range(16)])
    bits = np.where(is_marked, signs[:, None] * volts, 0.0)
    return is_marked.astype(np.float32), bits.astype(np.float32)


def test_a_marked_part_of_a_sound_is_found_with_its_place_and_payload() -> None:
    found = found_in(*heard((2.0, 4.0), 6.0))
    assert (found.key, found.payload, found.payload_bits) == ("", 0xBEEF, 16)
    assert found.score == 1.0
    assert found.seconds == pytest.approx(2.0, abs=0.01)
    assert 1.4 < found.begin_s <= 2.0
    assert found_in(*heard((2.0, 4.0), 6.0, volts=0.01)).payload is None


def test_too_little_is_no_mark() -> None:
    for few in (heard((2.0, 2.4), 6.0), heard((0, 0), 6.0), heard((0, 0), 0.0)):
        found = found_in(*few)
        assert (found.key, found.payload) == (None, None)
        assert found.score < found.threshold


def test_the_detector_hears_a_long_sound_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = speech(24_000, 2.5)
    found = mark().detect(sound.tobytes(), 24_000, [KEY])
    assert 0 <= found.score <= 1
    monkeypatch.setattr("plugins.audioseal.networks._PIECE", RATE_HZ)
    sure, _ = networks().hear(np.zeros(40_001, np.float32))
    assert sure.shape == (40_001,)
