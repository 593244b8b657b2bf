"""The voices: each is there, no other name passes, and the thirteen of the README sound different."""

import functools
import itertools
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import plugins.espeak
from plugins.espeak.data import build_of
from plugins.espeak.plugin import EspeakSettings
from plugins.espeak.voices import variant_for, voices
from speech_engine import EngineVoice, EngineVoices, Mix, Sample, Samples, VoiceNotFound
from tests.plugins.espeak.heard import Heard, espeak, hear, said
from tests.tables import each_row

pytestmark = pytest.mark.slow

README = Path(plugins.espeak.__file__).with_name("README.md")
OPENAI_NAMES = "alloy ash ballad cedar coral echo fable marin nova onyx sage shimmer verse"
SENTENCE = "She sells sea shells by the shore, and nine brave men go home early today."


def shipped() -> dict[str, str]:
    """The README's table of OpenAI's names: name → voice."""
    return dict(re.findall(r"^\| (\w+) \| `(\w+)` \|", README.read_text(), re.MULTILINE))


@functools.cache
def ear(heard: Heard) -> tuple[float, npt.NDArray[np.float64]]:
    return heard.pitch_hz, heard.colour_db


def distance(one: Heard, other: Heard) -> float:
    """1 is two semitones, or bands that differ by 3 dB: by far enough to tell two speakers apart."""
    (tone, colour), (other_tone, other_colour) = ear(one), ear(other)
    semitones = (
        12 * np.log2(tone / other_tone) if np.isfinite(tone / other_tone) else 0.0
    )  # a whisper has none
    decibels = np.sqrt(np.mean((colour - other_colour) ** 2))
    return float(np.hypot(semitones / 2, decibels / 3))


async def test_every_voice_speaks_and_none_is_another() -> None:
    """By ear: the library's sound depends a little on what it said before, with the same seed too."""
    async with espeak() as engine:
        assert isinstance(engine, EngineVoices)
        heard = {voice.id: await hear(engine, said(SENTENCE, voice=voice.id)) for voice in engine.voices()}
        again = await hear(engine, said(SENTENCE, voice="m3"))
    assert {"f3", "m3"} <= set(heard)
    assert [name for name, each in heard.items() if each.loudness <= 300] == []
    differences = {pair: distance(*map(heard.__getitem__, pair)) for pair in itertools.combinations(heard, 2)}
    assert [pair for pair, each in differences.items() if each < 0.3] == []
    # The same again proves that a difference is the voice's.
    assert distance(heard["m3"], again) < 0.15


async def test_openai_s_names_have_thirteen_voices_that_differ() -> None:
    table = shipped()
    assert sorted(table) == OPENAI_NAMES.split()
    assert len(set(table.values())) == 13
    async with espeak() as engine:
        heard = {name: await hear(engine, said(SENTENCE, voice=voice)) for name, voice in table.items()}
    for one, other in itertools.combinations(heard, 2):
        assert distance(heard[one], heard[other]) > 1.5, (one, other)


async def test_stated_genders_are_heard_in_the_pitch() -> None:
    async with espeak() as engine:
        for voice in voices():
            if voice.gender is not None and not voice.id.startswith("whisper"):
                heard = await hear(engine, said(SENTENCE, voice=voice.id))
                assert (heard.pitch_hz > 160) == (voice.gender == "female"), voice.id


def test_each_voice_has_its_file_in_the_build() -> None:
    folder = Path(build_of(EspeakSettings()).data) / "voices" / "!v"
    assert [voice.id for voice in voices() if not (folder / voice.id).is_file()] == []


@each_row("name", ["", "no such voice", "../../phontab", "f3+m3", "F3", "f3\x00"])
def test_any_other_name_is_not_found(name: str) -> None:
    with pytest.raises(VoiceNotFound):
        variant_for(EngineVoice(name))


def test_espeak_clones_and_blends_nobody() -> None:
    for voice in (Samples((Sample("0" * 64),)), Mix(((EngineVoice("f3"), 1.0),))):
        with pytest.raises(VoiceNotFound):
            variant_for(voice)
