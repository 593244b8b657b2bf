"""Texts as the model reads them, and what of them is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.f5tts.text import TextReader, spell
from plugins.f5tts.voices import make_voice
from speech_engine.errors import UnsupportedLanguage, UnsupportedText, UnusableSample
from tests.plugins.f5tts.in_environment.rig import recording, rig

# isort: split
import numpy as np


def reader() -> TextReader:
    return rig().reader


def thai() -> TextReader:
    return TextReader(rig(is_thai=True).checkpoint.vocabulary, ("th",))


def test_each_character_has_the_number_of_its_line() -> None:
    lines = (rig().folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    assert "".join(lines[number] for number in reader().numbers("Olá, João!")) == "Olá, João!"


def test_chinese_is_read_as_syllables() -> None:
    assert spell("你好") == [" ", "ni2", " ", "hao3"]
    assert reader().numbers("Hi ")[-1] == reader().numbers(" ")[0]


def test_thai_goes_letter_by_letter() -> None:
    text = "ขอบคุณที่โทรมา"
    assert "".join(spell(text)) == text
    assert len(thai().numbers(text)) == len(text)


def test_a_sign_is_left_out_and_a_letter_is_refused_by_name() -> None:
    assert reader().clean("Good ☺ day\n to you") == "Good day to you"
    with pytest.raises(UnsupportedText, match="CYRILLIC SMALL LETTER BE"):
        reader().clean("Good бay")


def test_a_capital_that_the_vocabulary_lacks_is_read_as_a_small_letter() -> None:
    small = {letter: number for letter, number in rig().checkpoint.vocabulary.items() if letter != "G"}
    assert TextReader(small, ("en",)).clean("Good Gods") == "good gods"


def test_thai_without_a_thai_vocabulary_is_refused_by_its_first_letter() -> None:
    with pytest.raises(UnsupportedText, match="THAI CHARACTER SO SUA"):
        reader().clean("สวัสดี")


@pytest.mark.parametrize("text", ["", "  ", "...", "☺☺", "?!"])
def test_a_text_without_a_word_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedText, match="nothing that this model can speak"):
        reader().clean(text)


def test_a_language_for_which_the_model_was_not_imported_is_refused() -> None:
    reader().judge_language("pt-BR")
    with pytest.raises(UnsupportedLanguage, match="'th'"):
        reader().judge_language("th")


@pytest.mark.parametrize(
    ("words", "wanted"), [("Hello there", "Hello there. "), ("Hello!", "Hello! "), (" Oi. ", "Oi. ")]
)
def test_the_words_of_a_recording_end_before_the_text_begins(words: str, wanted: str) -> None:
    assert reader().clean_words(words) == wanted


@pytest.mark.parametrize("words", ["", "Добрый"])
def test_words_of_a_recording_that_cannot_be_read_are_refused(words: str) -> None:
    with pytest.raises(UnsupportedText, match="The words of the recording: "):
        reader().clean_words(words)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        numbers = reader().numbers(reader().clean(text))
    except UnsupportedText:
        return
    assert numbers
    assert max(numbers) < rig().checkpoint.sizes.vocabulary


@pytest.mark.parametrize("seconds", [0.5, 29.0])
def test_a_recording_that_the_model_cannot_hear_as_a_whole_is_refused(seconds: float) -> None:
    with pytest.raises(UnusableSample, match="this model hears 1 to 28"):
        make_voice(recording(0, seconds), "Hello. ")


def test_a_quiet_recording_is_heard_as_loud_as_the_projects_and_a_loud_one_as_it_is() -> None:
    whole = np.frombuffer(recording(0, 4.0), "<i2").astype(np.float64)
    level = np.sqrt(np.mean((whole / 32768) ** 2))
    voices = {}
    for target in (0.01, 0.05, 0.1, 0.2):
        pcm = np.rint(whole * target / level).clip(-32768, 32767).astype("<i2").tobytes()
        voices[target] = make_voice(pcm, "Hello there you all. ")
    assert [round(voice.raised, 2) for voice in voices.values()] == [10.0, 2.0, 1.0, 1.0]
    # A spectrogram has logarithms: of 0.01, rounding to sixteen bits is heard a little.
    for quiet, apart in ((0.01, 0.5), (0.05, 0.1)):
        off = (voices[quiet].mels - voices[0.1].mels)[:-8]
        assert off[voices[0.1].mels[:-8] > -4].abs().mean() < apart
    assert (voices[0.2].mels - voices[0.1].mels).mean() > 0.5
    assert make_voice(bytes(96_000), "Hello. ").raised == pytest.approx(10_000)


def test_a_voice_is_as_long_as_its_recording_and_the_pause_after_it() -> None:
    voice = make_voice(recording(0, 4.0), "Hello there you all. ")
    assert voice.seconds == pytest.approx(4.05, abs=0.02)
    assert voice.mels.shape == (voice.first + 1, 100)
    assert voice.nbytes == 4 * voice.mels.numel()
    assert "Hello" not in repr(voice)
