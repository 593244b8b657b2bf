"""Speed after the engine: the duration changes, the pitch stays, nothing is lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.audio.fitting import Speed
from tests.proxy.audio.pieces import cut
from tests.sound import decoded, tone
from tests.tables import each_row


def fitted(pcm: bytes, factor: float, sizes: list[int]) -> bytes:
    step = Speed(factor)
    return b"".join([step.feed(piece) for piece in cut(pcm, sizes)]) + step.flush()


@each_row("factor", [0.25, 0.5, 0.8, 1.5, 2.0, 3.0, 4.0])
def test_the_duration_changes_and_the_pitch_stays(factor: float) -> None:
    heard = decoded(fitted(tone(440, 2.0), factor, [4_800]), "pcm")
    assert heard.seconds == pytest.approx(2.0 / factor, rel=0.03)
    assert heard.pitch_hz == pytest.approx(440, rel=0.03)
    assert heard.loudness == pytest.approx(0.237, rel=0.1)


@settings(max_examples=min(40, settings().max_examples), deadline=None)
@given(
    factor=st.floats(0.25, 4.0),
    samples=st.integers(0, 9_000),
    sizes=st.lists(st.integers(1, 2_400), min_size=1, max_size=4),
)
def test_any_length_in_any_pieces_comes_out_exact(factor: float, samples: int, sizes: list[int]) -> None:
    out = fitted(tone(440, samples / 24_000), factor, [2 * size for size in sizes])
    assert len(out) == 2 * round(samples / factor)


@each_row("factor", [0.25, 1.5, 4.0])
def test_the_step_is_never_ahead_of_its_input(factor: float) -> None:
    step = Speed(factor)
    fed = given_out = 0
    for piece in cut(tone(440, 1.0), [2, 960, 4_800]):
        fed += len(piece)
        given_out += len(step.feed(piece))
        assert given_out <= fed / factor + 2
    assert given_out > 0


def test_the_end_of_the_sound_is_not_lost() -> None:
    pcm = bytes(40_000) + tone(440, 0.05)
    out = decoded(fitted(pcm, 1.25, [4_800]), "pcm").samples
    assert abs(out[-900:]).max() > 0.2


@each_row("factor", [0.2, 4.1, 0.0, -1.0, float("nan")])
def test_a_speed_out_of_range_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="it can be"):
        Speed(factor)
