"""The timbre that tone measures of a recording, and how it is heard in the speech of a voice made of it."""

import numpy as np
import pytest

from plugins.tone.decode import decode, decode_timbres
from plugins.tone.plugin import ToneSettings
from plugins.tone.timbre import Timbre, blend, measure, nominal_timbre
from speech_engine import EngineVoice, Mix, ModelInfo, Sample, Samples, Voice, VoiceNotFound, Word, Words
from speech_engine.host.sample_cache import SampleCache
from speech_engine.testing import collect, job
from tests.plugins.tone.clips import RATE_HZ, clip, waves
from tests.plugins.tone.ears import pcm_of, through, tone
from tests.tables import each_row

LOW, HIGH = "low", "high"


@pytest.fixture
def sample_cache() -> SampleCache:
    made = SampleCache()
    made.put("contract", "standard", LOW, clip(110.0, 6.5))
    made.put("contract", "standard", HIGH, clip(240.0, 3.0, tilt=2.0))
    return made


def voice(*digests: str) -> Samples:
    return Samples(tuple(map(Sample, digests)))


async def heard(sample_cache: SampleCache, by: Voice, *texts: str, speed: float = 1.0) -> tuple[Timbre, ...]:
    """The timbres in what a voice says, which must also be what it was asked to say."""
    async with tone(samples=sample_cache) as engine:
        pcm = pcm_of(await collect(engine, job(*texts, voice=by, speed=speed)))
    assert decode(pcm, RATE_HZ, speed) == texts
    return decode_timbres(pcm, RATE_HZ, speed)


@each_row("pitch_hz", [70.0, 110.0, 150.3, 240.0, 410.0])
@each_row("tilt", [0.7, 2.0])
def test_the_pitch_and_length_of_a_recording_are_measured(pitch_hz: float, tilt: float) -> None:
    found = measure([clip(pitch_hz, 4.2, tilt)], RATE_HZ)
    assert found.pitch_hz == pytest.approx(pitch_hz, rel=0.01)
    assert found.seconds == pytest.approx(4.2, abs=0.01)


def test_a_recording_with_stronger_harmonics_is_brighter() -> None:
    bright, dull = (measure([clip(150.0, 3.0, tilt)], RATE_HZ).brightness for tilt in (0.7, 2.0))
    assert bright > 2 * dull > 0


def test_a_wrong_rate_channel_or_trim_is_told() -> None:
    right = measure([clip(200.0, 4.0)], RATE_HZ)
    slow = measure([clip(200.0, 4.0, rate_hz=16_000)], RATE_HZ)
    mono = waves(200.0, 4.0)
    stereo = measure([(np.repeat(mono, 2) * 32_767).astype("<i2").tobytes()], RATE_HZ)
    cut = measure([clip(200.0, 4.0)[: 2 * 3 * RATE_HZ]], RATE_HZ)
    assert slow.pitch_hz == pytest.approx(300.0, rel=0.01)
    assert stereo.pitch_hz == pytest.approx(100.0, rel=0.01)
    assert cut.pitch_hz == pytest.approx(right.pitch_hz, rel=0.01)
    assert (stereo.seconds, cut.seconds) == (8.0, 3.0)


@each_row("pcm", [b"", bytes(200), bytes(2 * RATE_HZ)])
def test_silence_has_no_pitch(pcm: bytes) -> None:
    assert measure([pcm], RATE_HZ)[:2] == (0.0, 0.0)


@each_row(
    "timbre",
    [Timbre(0.0, 0.0, 0.0), Timbre(187.3, 0.162, 6.5), Timbre(500.0, 1.0, 30.0), Timbre(9e9, 9.0, 9e9)],
)
def test_a_signature_says_the_timbre_as_far_as_it_goes(timbre: Timbre) -> None:
    said = Timbre.of_signature(timbre.signature)
    assert len(timbre.signature) == 7
    most = (819.1, 1.023, 40.95)
    assert list(said) == pytest.approx([min(each, bound) for each, bound in zip(timbre, most, strict=True)])


async def test_a_voice_of_a_recording_tells_its_timbre_once(sample_cache: SampleCache) -> None:
    (low,) = await heard(sample_cache, voice(LOW), "Hello.", "How are you?")
    (high,) = await heard(sample_cache, voice(HIGH), "Hello.", speed=2.0)
    assert [low.pitch_hz, high.pitch_hz] == pytest.approx([110.0, 240.0], rel=0.01)
    assert (low.seconds, high.seconds) == (6.5, 3.0)


async def test_a_voice_of_the_engine_has_no_signature(sample_cache: SampleCache) -> None:
    assert await heard(sample_cache, EngineVoice("tone"), "Hello.") == ()


@pytest.mark.parametrize("text", ["\x01ABCDEF", "\xffABCDEF", "\x01"])
async def test_no_text_is_taken_for_a_signature(sample_cache: SampleCache, text: str) -> None:
    assert await heard(sample_cache, EngineVoice("tone"), text) == ()


async def test_a_voice_of_two_recordings_has_the_mean_of_them(sample_cache: SampleCache) -> None:
    (both,) = await heard(sample_cache, voice(LOW, HIGH), "Hello.")
    assert both.pitch_hz == pytest.approx(175.0, rel=0.01)


async def test_a_mix_tells_the_timbre_of_its_members_by_their_weights(sample_cache: SampleCache) -> None:
    (mixed,) = await heard(sample_cache, Mix(((voice(LOW), 3.0), (voice(HIGH), 1.0))), "Hello.")
    assert mixed.pitch_hz == pytest.approx(142.5, rel=0.01)
    (with_own,) = await heard(sample_cache, Mix(((voice(LOW), 0.5), (EngineVoice("tone"), 0.5))), "Hello.")
    own = nominal_timbre("tone")
    assert with_own.pitch_hz == pytest.approx((110.0 + own.pitch_hz) / 2, rel=0.01)
    assert blend([(own, 1.0)]) == own
    with pytest.raises(VoiceNotFound):
        await heard(sample_cache, Mix(((voice(LOW), 0.5), (EngineVoice("nobody"), 0.5))), "Hello.")


@pytest.mark.parametrize(
    ("codec", "container", "bit_rate"),
    [
        ("libmp3lame", "mp3", 64_000),
        ("libopus", "ogg", 32_000),
        ("aac", "adts", 64_000),
        ("flac", "flac", None),
        ("pcm_s16le", "wav", None),
    ],
)
async def test_a_codec_leaves_the_signature_as_it_is(
    sample_cache: SampleCache, codec: str, container: str, bit_rate: int | None
) -> None:
    async with tone(samples=sample_cache) as engine:
        pcm = pcm_of(await collect(engine, job("Hello there.", "Bye.", voice=voice(LOW))))
    sound, rate_hz = through(codec, container, bit_rate, pcm, RATE_HZ)
    assert decode(sound, rate_hz) == ("Hello there.", "Bye.")
    assert decode_timbres(sound, rate_hz)[0].pitch_hz == pytest.approx(110.0, rel=0.01)


async def test_words_begin_after_the_signature(sample_cache: SampleCache) -> None:
    async with tone(samples=sample_cache) as engine:
        plain = await collect(engine, job("Hello."))
        cloned = await collect(engine, job("Hello.", voice=voice(LOW)))
    first, later = (
        [word for event in events if isinstance(event, Words) for word in event.words]
        for events in (plain, cloned)
    )
    moved = len(pcm_of(cloned)) - len(pcm_of(plain))
    assert [Word(word.sample_offset - moved, *_place(word)) for word in later] == first


def _place(word: Word) -> tuple[int, int]:
    return word.spoken_start, word.spoken_end


async def test_a_recording_that_was_dropped_speaks_no_more(sample_cache: SampleCache) -> None:
    assert await heard(sample_cache, voice(LOW), "Hello.")
    sample_cache.drop([LOW])
    with pytest.raises(VoiceNotFound):
        await heard(sample_cache, voice(LOW), "Hello.")


async def test_settings_take_the_abilities_away() -> None:
    def abilities(info: ModelInfo) -> tuple[bool, bool, bool]:
        return info.speaks_samples, info.needs_sample_text, info.mixes

    async with (
        tone() as able,
        tone(ToneSettings(speaks_samples=False, needs_sample_text=True, mixes=False)) as unable,
    ):
        assert abilities(able.models()[0]) == (True, False, True)
        assert abilities(unable.models()[0]) == (False, True, False)
