"""What reaches the library is in range and safe, whatever the job says."""

import re

from hypothesis import given
from hypothesis import strategies as st

from plugins.espeak.plugin import EspeakSettings
from plugins.espeak.utterance import utterance_of
from tests.plugins.espeak.heard import said


@given(
    speed=st.floats(allow_nan=False),
    pitch=st.floats(-1000, 1000),
    volume=st.integers(),
    intonation=st.integers(-100, 1000),
    word_gap_ms=st.integers(-100, 10**6),
)
def test_every_parameter_is_in_its_range(
    speed: float, pitch: float, volume: int, intonation: int, word_gap_ms: int
) -> None:
    settings = EspeakSettings(volume=volume, intonation=intonation, word_gap_ms=word_gap_ms)
    made = utterance_of(said("x", speed=speed, pitch=pitch), settings)
    assert 80 <= made.rate <= 450
    assert 0 <= made.pitch <= 99
    assert 0 <= made.volume <= 200
    assert 0 <= made.intonation <= 99
    assert 0 <= made.word_gap <= 200


@given(text=st.text(alphabet=st.sampled_from("[]`a\x00 é"), max_size=30))
def test_a_text_keeps_its_length_and_loses_what_the_library_would_obey(text: str) -> None:
    (made,) = utterance_of(said(text), EspeakSettings()).texts
    assert len(made) == len(text)
    # A comma breaks a run of one letter, which would not be heard to its end.
    assert re.sub("[ ,]", "", made) == re.sub(r"[\x00 `\[\]]", "", text)


def test_plain_values_are_the_library_s_own_defaults() -> None:
    made = utterance_of(said("x", language="pt-BR", voice="f3"), EspeakSettings())
    assert (made.identifier, made.rate, made.pitch, made.intonation, made.word_gap) == (
        *("roa/pt-BR+f3", 175, 50),
        *(50, 0),
    )
    assert 95 < made.volume < 115, "its own level is near the common one"


def test_what_a_voice_needs_besides_in_a_language_counts_for_its_regions() -> None:
    def volume(language: str) -> int:
        return utterance_of(said("x", language=language, voice="anika"), EspeakSettings()).volume

    assert volume("es-MX") == volume("es") > volume("en")
