"""Resampling: exact lengths, whatever the pieces, and no damage to silence or loudness."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.audio.fitting import Resample
from proxy.audio.formats import SoundFailed
from tests.proxy.audio.pieces import cut
from tests.sound import decoded, tone
from tests.tables import each_row

RATES_HZ = [8_000, 16_000, 22_050, 44_100, 48_000]


def resampled(pcm: bytes, rate_hz: int, sizes: list[int]) -> bytes:
    step = Resample(rate_hz)
    return b"".join([step.feed(piece) for piece in cut(pcm, sizes)]) + step.flush()


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@settings(max_examples=20, deadline=None)
@given(samples=st.integers(0, 20_000), sizes=st.lists(st.integers(1, 2_205), min_size=1, max_size=5))
def test_any_length_in_any_pieces_comes_out_exact(rate_hz: int, samples: int, sizes: list[int]) -> None:
    pcm = tone(300, samples / rate_hz, rate_hz)
    out = resampled(pcm, rate_hz, [2 * size for size in sizes])
    assert len(out) // 2 == (samples * 24_000 * 2 + rate_hz) // (rate_hz * 2)


@each_row("rate_hz", RATES_HZ)
def test_the_pieces_do_not_change_the_sound(rate_hz: int) -> None:
    pcm = tone(1_000, 0.3, rate_hz)
    whole = resampled(pcm, rate_hz, [len(pcm)])
    assert whole == resampled(pcm, rate_hz, [2, 318, 4_410])
    heard = decoded(whole, "pcm")
    assert heard.pitch_hz == pytest.approx(1_000, abs=2)
    assert heard.loudness == pytest.approx(decoded(pcm, "pcm").loudness, rel=0.02)


def test_silence_stays_silent() -> None:
    assert not any(resampled(bytes(8_820), 44_100, [882]))


def test_the_loudest_sound_does_not_wrap_round() -> None:
    square = (b"\xff\x7f" * 20 + b"\x00\x80" * 20) * 100
    out = decoded(resampled(square, 22_050, [4_000]), "pcm").samples
    # A wrapped peak would be a jump from one end to the other between neighbours.
    assert abs(out[1:] - out[:-1]).max() < 1.9
    assert out.max() > 0.99


def test_a_spent_step_refuses_more() -> None:
    step = Resample(16_000)
    step.feed(bytes(640))
    step.flush()
    with pytest.raises(SoundFailed):
        step.feed(bytes(640))
