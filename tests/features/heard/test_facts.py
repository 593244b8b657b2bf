"""What a sound tells without its words, how long a voice takes, and when an operator is told of deaf ears."""

import asyncio
import random

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from policies.alerts import TITLES
from proxy.features.heard.lengths import SentenceSize, VoiceLengths
from proxy.features.heard.sound import read_sound
from proxy.features.heard.watch import CheckWatch
from proxy.speech_steps.check_totals import PartVerdict
from speech_engine.hearing import HEARING_HZ
from tests.sound import tone
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row

RATE_HZ = 24_000


def hush(seconds: float, rate_hz: int = RATE_HZ) -> bytes:
    return bytes(2 * round(seconds * rate_hz))


@each_row(
    ("parts", "begin_s", "end_s", "silences"),
    [
        ([hush(0.5), tone(440, 1.0), hush(0.4), tone(440, 0.5), hush(1.0)], 0.5, 2.4, [(1.5, 1.9)]),
        ([tone(440, 1.0), hush(0.05), tone(440, 0.5)], 0.0, 1.55, []),
        ([hush(1.0)], 0.0, 0.0, []),
        ([b""], 0.0, 0.0, []),
    ],
)
def test_silences_are_those_between_the_first_sound_and_the_last(
    parts: list[bytes], begin_s: float, end_s: float, silences: list[tuple[float, float]]
) -> None:
    found = read_sound(b"".join(parts), RATE_HZ)
    assert (found.begin_s, found.end_s) == pytest.approx((begin_s, end_s), abs=0.02)
    assert [pytest.approx(each, abs=0.02) for each in found.silences] == silences
    assert len(found.pcm) == pytest.approx(len(b"".join(parts)) * HEARING_HZ / RATE_HZ, abs=2)
    same = tone(440, 1.0, HEARING_HZ)
    assert read_sound(same, HEARING_HZ).pcm is same


def test_soft_noise_is_silence_beside_speech_and_a_sound_alone() -> None:
    rng = random.Random(1)
    noise = b"".join(rng.randint(-60, 60).to_bytes(2, "little", signed=True) for _ in range(9600))
    assert len(read_sound(tone(440, 1.0) + noise + tone(440, 1.0), RATE_HZ).silences) == 1
    assert read_sound(noise, RATE_HZ).sounding_s == pytest.approx(0.4, abs=0.02)


def spoken(size: SentenceSize) -> float:
    return 0.2 + 0.07 * size.sounds + 0.25 * size.marks


def sizes(count: int) -> list[SentenceSize]:
    rng = random.Random(2)
    return [SentenceSize(rng.randint(10, 90), rng.randint(0, 3)) for _ in range(count)]


def test_a_voice_is_known_after_eight_sentences_and_judged_by_its_own_lengths_after_fifty() -> None:
    lengths, rng, size = VoiceLengths(), random.Random(3), SentenceSize(40, 1)
    for number, each in enumerate(sizes(300)):
        is_known = number >= 8
        assert lengths.is_usual("v", size, 1.5 * spoken(size)) is not is_known
        assert lengths.is_usual("v", size, 0.75 * spoken(size)) is not is_known
        if number < 50:
            assert lengths.is_usual("v", size, 1.1 * spoken(size))
        lengths.learn("v", each, spoken(each) * rng.gauss(1.0, 0.01))
    assert lengths.is_usual("v", size, 1.02 * spoken(size))
    assert not lengths.is_usual("v", size, 1.1 * spoken(size)), "its own lengths are narrower"
    assert not lengths.is_usual("v", size, 0.9 * spoken(size))
    assert not lengths.is_usual("v", size, float("nan"))


def test_a_voice_that_varies_is_given_more_and_one_that_changes_is_learned_anew() -> None:
    lengths, rng, size = VoiceLengths(), random.Random(4), SentenceSize(40, 1)
    for each in sizes(300):
        lengths.learn("v", each, spoken(each) * rng.uniform(0.7, 1.3))
    assert lengths.is_usual("v", size, 1.25 * spoken(size))
    for each in sizes(900):
        lengths.learn("v", each, 2 * spoken(each))
    assert lengths.is_usual("v", size, 2 * spoken(size))
    assert not lengths.is_usual("v", size, spoken(size))
    assert not lengths.is_usual("v", size, 1.75 * spoken(size)), "the former lengths are forgotten"


def test_sentences_that_are_all_alike_or_without_marks_are_judged_for_ever() -> None:
    lengths, size = VoiceLengths(), SentenceSize(30, 0)
    for _ in range(9000):
        lengths.learn("v", size, spoken(size))
    assert lengths.is_usual("v", size, spoken(size))
    assert not lengths.is_usual("v", size, 2 * spoken(size))


def test_the_memory_of_voices_is_bounded() -> None:
    lengths = VoiceLengths()
    for number in range(600):
        lengths.learn(number, SentenceSize(9, 0), 1.0)
    assert len(lengths._fits) == 500


@simulated
async def test_an_operator_is_told_of_parts_that_nobody_heard() -> None:
    registry = CollectorRegistry()
    watch = CheckWatch(registry)
    late, short = PartVerdict("unchecked", (), "late"), PartVerdict("unchecked", (), "short")
    for _ in range(16):
        watch.note_result(PartVerdict("right"))
    for _ in range(100):
        watch.note_result(short)
    for _ in range(4):
        watch.note_result(late)
    assert await watch.troubles() == [], "a fifth is not too many"
    watch.note_result(late)
    (trouble,) = await watch.troubles()
    assert (trouble.kind, trouble.detail) == ("parts_unchecked", "24 % of 21 in ten minutes")
    assert trouble.kind in TITLES
    await asyncio.sleep(631)
    assert await watch.troubles() == []
    assert b'voxgate_check_parts_total{result="unchecked"} 105.0' in generate_latest(registry)
