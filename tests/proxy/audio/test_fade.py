"""The end of a sound: led to zero, and nothing before it touched."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from proxy.audio.sound import FADE_SAMPLES, FadeOut
from tests.proxy.audio.pieces import cut


def faded(pcm: bytes, sizes: list[int]) -> list[int]:
    fade = FadeOut()
    out = b"".join([fade.feed(piece) for piece in cut(pcm, sizes)]) + fade.flush()
    assert fade.flush() == b""
    return [int(sample) for sample in np.frombuffer(out, "<i2")]


@given(
    samples=st.lists(st.integers(-32768, 32767), max_size=600),
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=4),
)
def test_only_the_last_samples_are_led_to_zero_in_whatever_pieces_they_come(
    samples: list[int], sizes: list[int]
) -> None:
    pcm = np.array(samples, "<i2").tobytes()
    out = faded(pcm, [2 * size for size in sizes])
    assert len(out) == len(samples)
    assert out[:-FADE_SAMPLES] == samples[:-FADE_SAMPLES]
    assert all(abs(after) <= abs(before) for after, before in zip(out, samples, strict=True))
    assert out[-1:] in ([], [0])


def test_the_fade_has_no_corner() -> None:
    out = faded(np.full(1000, 20_000, "<i2").tobytes(), [200])
    steps = np.diff(out[-FADE_SAMPLES - 1 :])
    assert (steps <= 0).all()
    assert max(abs(steps[0]), abs(steps[-1])) < 20
    assert np.abs(steps).max() < 300


def test_the_step_holds_back_no_more_than_it_fades() -> None:
    fade = FadeOut()
    assert len(fade.feed(bytes(2000))) == 2000 - 2 * FADE_SAMPLES
    assert len(fade.feed(bytes(2000))) == 2000
