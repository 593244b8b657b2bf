"""What an engine gets of a recording: the right stretch of it, at the right level, rate and length."""

import numpy as np
import pytest

from policies.sample_quality import SampleQuality
from proxy.audio.recordings.derivation import LEVEL_LUFS, SampleSpec, derive_sample
from proxy.audio.recordings.master import make_master
from proxy.audio.recordings.recording import UnusableRecording
from speech_engine.loudness import Meter, lufs
from tests.proxy.audio.recordings.clips import Samples, sine
from tests.proxy.audio.recordings.speech import RATE_HZ, master_of, quality_of, speech
from tests.sound import Heard
from tests.tables import each_row

SPEC = SampleSpec(3.0, 30.0, 24_000)


def found_between(starts_s: float, ends_s: float) -> SampleQuality:
    return SampleQuality(rating="high", starts_s=starts_s, ends_s=ends_s, speech_s=ends_s - starts_s)


def heard(pcm: bytes, rate_hz: int = SPEC.rate_hz) -> Heard:
    return Heard(np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768), rate_hz)


def loudness_of(pcm: bytes, rate_hz: int) -> float | None:
    meter = Meter(rate_hz)
    meter.feed(pcm)
    return lufs(meter.powers)


@each_row("own_hz", [8_000, 22_050, 24_000, 44_100, 48_000, 192_000])
@each_row("rate_hz", [16_000, 24_000])
def test_a_sound_keeps_its_pitch_and_length_at_any_rate(own_hz: int, rate_hz: int) -> None:
    master = master_of(sine(440, 5.0, own_hz), own_hz)
    sound = heard(derive_sample(master, found_between(0.0, 5.0), SampleSpec(3.0, 30.0, rate_hz)), rate_hz)
    assert sound.pitch_hz == pytest.approx(440, abs=1)
    assert sound.seconds == pytest.approx(5.0, abs=0.01)


def test_only_the_speech_and_a_little_around_it_is_given() -> None:
    """Each second has a pitch of its own: a wrong stretch would be heard."""
    seconds = [sine(200 * n, 1.0, RATE_HZ) for n in range(1, 11)]
    sound = heard(derive_sample(master_of(np.concatenate(seconds)), found_between(3.0, 7.0), SPEC))
    assert sound.seconds == pytest.approx(4.3, abs=0.01)
    first = Heard(sound.samples[round(0.15 * 24_000) : round(1.15 * 24_000)], 24_000)
    last = Heard(sound.samples[round(3.15 * 24_000) : round(4.15 * 24_000)], 24_000)
    assert first.pitch_hz == pytest.approx(800, abs=2)
    assert last.pitch_hz == pytest.approx(1400, abs=2)


def test_three_bytes_are_read_as_three_bytes() -> None:
    whole = np.rint(sine(440, 4.0, 48_000) * 2**23).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3]
    master = make_master(whole.tobytes(), 48_000, 3)
    assert heard(derive_sample(master, found_between(0.0, 4.0), SPEC)).pitch_hz == pytest.approx(440, abs=1)


@each_row("height", [0.01, 0.1, 0.9])
def test_a_quiet_voice_is_raised_and_a_loud_one_lowered(height: float) -> None:
    master = master_of(sine(440, 4.0, RATE_HZ, height))
    pcm = derive_sample(master, found_between(0.0, 4.0), SPEC)
    assert loudness_of(pcm, 24_000) == pytest.approx(LEVEL_LUFS, abs=0.5)
    assert np.abs(heard(pcm).samples).max() < 1.0


async def test_a_long_one_is_cut_in_a_pause() -> None:
    samples = await speech(pause_s=0.5)
    pcm = derive_sample(master_of(samples), quality_of(samples), SampleSpec(3.0, 9.0, 24_000))
    sound = heard(pcm)
    assert 6.0 < sound.seconds <= 9.0
    end = sound.samples[-round(0.05 * 24_000) :]
    assert np.sqrt(np.mean(end**2)) < 0.01 * np.sqrt(np.mean(sound.samples**2))


def test_one_without_a_pause_is_cut_all_the_same() -> None:
    pcm = derive_sample(
        master_of(sine(440, 40.0, RATE_HZ)), found_between(0.0, 40.0), SampleSpec(3.0, 12.0, 24_000)
    )
    assert 8.0 < heard(pcm).seconds <= 12.0


def test_a_model_that_must_know_the_words_gets_the_same_part_whatever_it_takes() -> None:
    samples: Samples = sine(440, 40.0, RATE_HZ)
    samples[round(11.0 * RATE_HZ) : round(11.3 * RATE_HZ)] = 0.0

    def seconds(most_s: float, *, needs_text: bool) -> float:
        spec = SampleSpec(3.0, most_s, 24_000, needs_text)
        return heard(derive_sample(master_of(samples), found_between(0.0, 40.0), spec)).seconds

    parts = {seconds(each, needs_text=True) for each in (12.0, 20.0, 39.0)}
    assert len(parts) == 1
    assert 11.0 < parts.pop() < 11.3
    assert seconds(41.0, needs_text=True) == pytest.approx(40.0)
    assert seconds(20.0, needs_text=False) > 13.0


def test_a_short_one_takes_the_silence_around_it_and_a_shorter_one_is_refused() -> None:
    samples: Samples = np.pad(sine(440, 2.0, RATE_HZ), RATE_HZ)
    found = found_between(1.0, 3.0)
    assert heard(
        derive_sample(master_of(samples), found, SampleSpec(3.5, 30.0, 24_000))
    ).seconds == pytest.approx(3.5)
    with pytest.raises(UnusableRecording, match=r"4\.0 seconds, and this model needs at least 10"):
        derive_sample(master_of(samples), found, SampleSpec(10.0, 300.0, 24_000))


def test_it_ends_softly() -> None:
    pcm = derive_sample(master_of(sine(440, 4.0, RATE_HZ)), found_between(0.0, 4.0), SPEC)
    assert abs(np.frombuffer(pcm, "<i2")[-1]) < 50


def test_silence_stays_silence() -> None:
    assert not np.frombuffer(
        derive_sample(master_of(np.zeros(4 * RATE_HZ)), found_between(0.0, 4.0), SPEC), "<i2"
    ).any()
