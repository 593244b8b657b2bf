"""What a listener gets of a marked clip: nearly the same sound, at the same loudness."""

import msgspec
import numpy as np
import pytest

from plugins.spread.coding import CODED_BITS, decode, encode, pattern_of
from plugins.spread.detection import find
from plugins.spread.plugin import SpreadSettings
from plugins.spread.stream import SpreadMark, SpreadStream
from proxy.audio.loudness import Gain
from speech_engine.levels import MOST_PEAK
from speech_engine.loudness import Meter, lufs, true_peaks
from tests.plugins.spread.clips import KEY, PAYLOAD, RATE_HZ, Clip, coded, marked, spoken


def loudness_lufs(clip: Clip) -> float:
    meter = Meter(RATE_HZ)
    meter.feed(clip.tobytes())
    found = lufs(meter.powers)
    assert found is not None
    return found


def test_the_loudness_stays() -> None:
    for clip in spoken(2):
        assert abs(loudness_lufs(marked(clip)) - loudness_lufs(clip)) <= 0.1


def test_a_sound_at_its_highest_peak_gets_no_higher_one() -> None:
    (clip,) = spoken(1)[:1]
    loud = np.clip(clip * 3.0, -MOST_PEAK * 32767, MOST_PEAK * 32767).astype(np.int16)
    heard = marked(loud).astype(np.int32)
    assert np.abs(heard).max() <= np.abs(loud.astype(np.int32)).max()
    assert np.any(heard != loud)


def test_a_mark_and_aac_leave_room_above_the_highest_peaks() -> None:
    for clip in spoken(2):
        gain = Gain(6.0, RATE_HZ)
        loud = np.frombuffer(gain.feed(clip.tobytes()) + gain.flush(), "<i2")
        assert peak_dbtp(loud) <= -1.15
        assert peak_dbtp(marked(loud)) <= -1.0
        assert peak_dbtp(coded(loud, "adts", "aac", 64_000, aac_coder="fast")) <= -0.9


def peak_dbtp(clip: Clip) -> float:
    return float(20 * np.log10(true_peaks(np.pad(clip / 32768, 6)).max()))


def test_the_mark_is_far_below_the_sound() -> None:
    for clip in spoken(2):
        sound = clip.astype(np.float64)
        added = marked(clip) - sound
        assert 10 * np.log10(np.sum(sound**2) / np.sum(added**2)) > 18


def test_the_strength_scales_the_mark_and_keeps_the_loudness() -> None:
    (clip,) = spoken(1)[:1]
    sound = clip.astype(np.float64)
    added = {strength: marked(clip, strength=strength) - sound for strength in (0.5, 1.0, 2.0)}
    powers = [float(np.sum(each**2)) for each in added.values()]
    assert 4.5 < 10 * np.log10(powers[1] / powers[0]) < 6.5
    assert 4 < 10 * np.log10(powers[2] / powers[1]) < 6.5
    for strength, most_lu in ((0.5, 0.1), (1.0, 0.1), (2.0, 0.15)):
        assert abs(loudness_lufs(marked(clip, strength=strength)) - loudness_lufs(clip)) <= most_lu


def test_a_strength_out_of_its_range_is_refused() -> None:
    for strength in (0.4, 2.1):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"strength": strength}, SpreadSettings)


def test_digital_silence_between_words_keeps_its_bits() -> None:
    clip = spoken(1)[0]
    pause = np.zeros(RATE_HZ // 2, np.int16)
    both = marked(np.concatenate([clip, pause, clip]))
    assert not both[len(clip) : len(clip) + len(pause)].any()


def test_chunks_of_any_length_give_the_same_sound() -> None:
    """Up to the rounding of sums, which have another order."""
    pcm = spoken(1)[0].tobytes()
    heard = []
    for chunk in (480, 4800, len(pcm)):
        stream = SpreadStream(RATE_HZ, pattern_of(KEY.secret, PAYLOAD), 77)
        parts = [stream.feed(pcm[at : at + chunk]) for at in range(0, len(pcm), chunk)]
        heard.append(np.frombuffer(b"".join(parts) + stream.flush(), "<i2").astype(int))
    assert all(np.abs(each - heard[0]).max() <= 1 for each in heard)


def test_a_stream_goes_on_at_its_place_after_a_flush() -> None:
    clip = np.concatenate([*spoken(2)])
    stream, parts = SpreadStream(RATE_HZ, pattern_of(KEY.secret, PAYLOAD), 77), list[bytes]()
    for at in range(0, len(clip), 7001):  # some 0.3 s, no whole number of frames
        piece = clip[at : at + 7001].tobytes()
        parts.append(stream.feed(piece) + stream.flush())
        assert len(parts[-1]) == len(piece)
    match = find(b"".join(parts), RATE_HZ, [KEY.secret])
    assert (match.is_found, match.payload) == (True, PAYLOAD)


def test_no_two_answers_begin_at_the_same_place_of_the_pattern() -> None:
    """Laid over one another, they would show its signs to everybody."""
    pcm = spoken(1)[0].tobytes()
    heard = set()
    for _ in range(4):
        stream = SpreadMark().open(RATE_HZ, KEY, PAYLOAD)
        heard.add(stream.feed(pcm) + stream.flush())
    assert len(heard) > 1


def test_the_code_mends_errors_and_its_check_finds_what_is_left() -> None:
    random = np.random.default_rng(1)
    for payload in (0, 1, PAYLOAD, 2**32 - 1):
        coded = encode(payload)
        flipped = coded.copy()
        flipped[:: CODED_BITS // 12] *= -1
        assert decode(flipped) == payload
    noise = [decode(random.standard_normal(CODED_BITS).astype(np.float32)) for _ in range(40)]
    assert noise.count(None) == len(noise)
