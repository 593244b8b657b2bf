"""AAC and Opus that an engine encoded itself: passed on byte for byte, however they are cut, and counted."""

import math
from array import array
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.audio.formats import USUAL_FORMS
from proxy.audio.frames import open_frames
from proxy.audio.sound import Sound
from speech_engine import EngineFailed
from tests.tables import each_row

RATE_HZ = 24_000
SECONDS = 2
LONGEST_PRIMING_S = 0.1


def _encoded(format_: str, seconds: float = SECONDS) -> bytes:
    samples = array("h", (round(8000 * math.sin(at / 8)) for at in range(round(RATE_HZ * seconds))))
    sound = Sound(RATE_HZ, USUAL_FORMS[format_])
    try:
        return sound.feed(samples.tobytes()).data + sound.flush().data
    finally:
        sound.close()


WHOLE = {format_: _encoded(format_) for format_ in ("aac", "opus")}


def _passed(format_: str, parts: list[bytes]) -> tuple[bytes, float]:
    """What came out, and the seconds that were counted."""
    frames = open_frames(USUAL_FORMS[format_])
    assert frames is not None
    chunks = [*(frames.feed(part) for part in parts), frames.flush()]
    # Exact: a sum of many floats may fall short of the whole by its rounding.
    seconds = sum(Fraction(chunk.samples, chunk.sample_rate_hz) for chunk in chunks)
    return b"".join(chunk.data for chunk in chunks), float(seconds)


@pytest.mark.parametrize("format_", WHOLE)
@settings(max_examples=min(40, settings().max_examples), deadline=None)
@given(data=st.data())
def test_a_stream_passes_however_it_is_cut(format_: str, data: st.DataObject) -> None:
    whole = WHOLE[format_]
    places = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=30)))
    parts = [whole[start:end] for start, end in zip([0, *places], [*places, len(whole)], strict=True)]
    passed, seconds = _passed(format_, parts)
    assert passed == whole
    assert SECONDS <= seconds <= SECONDS + LONGEST_PRIMING_S


@pytest.mark.parametrize("format_", WHOLE)
def test_two_files_behind_one_another_are_one_stream(format_: str) -> None:
    passed, seconds = _passed(format_, [WHOLE[format_] * 2])
    assert passed == WHOLE[format_] * 2
    assert 2 * SECONDS <= seconds <= 2 * (SECONDS + LONGEST_PRIMING_S)


@pytest.mark.parametrize("format_", WHOLE)
def test_a_cut_last_frame_is_dropped(format_: str) -> None:
    passed, seconds = _passed(format_, [WHOLE[format_][:-3]])
    assert len(passed) < len(WHOLE[format_]) - 3
    assert WHOLE[format_].startswith(passed)
    assert 0 < seconds < SECONDS + LONGEST_PRIMING_S


@each_row("format_", WHOLE)
@each_row("damaged", [b"ID3 and then text", b"<html>Bad Gateway</html>", bytes(64)])
def test_another_format_is_a_failure(format_: str, damaged: bytes) -> None:
    with pytest.raises(EngineFailed):
        _passed(format_, [damaged])


def test_an_ogg_without_opus_is_a_failure() -> None:
    with pytest.raises(EngineFailed, match="something other than Opus"):
        _passed("opus", [WHOLE["opus"].replace(b"OpusHead", b"\x01vorbis ")])
    with pytest.raises(EngineFailed, match="no beginning"):
        _passed("opus", [WHOLE["opus"][WHOLE["opus"].index(b"OggS", 4) :]])


def test_a_stream_that_is_damaged_in_the_middle_is_a_failure() -> None:
    aac = WHOLE["aac"]
    with pytest.raises(EngineFailed, match="broken after"):
        _passed("aac", [aac[: len(aac) // 2] + aac[len(aac) // 2 + 1 :]])
