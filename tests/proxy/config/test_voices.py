"""[voices.NAME]: what is known of a voice, and casts, whose members must be there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.proxy.config.files import faults, load

TONE = """
[engines.tone]
[voices.ana]
tone = "tone"
"""


def test_a_voice_keeps_what_its_section_says(tmp_path: Path) -> None:
    about = (
        'language = "th"\ngender = "female"\nage = "old"\ntags = ["warm"]\ndescription = "Tells stories."\n'
    )
    voice = load(tmp_path, TONE + about).voices["ana"]
    assert (voice.language, voice.gender, voice.age) == ("th", "female", "old")
    assert (voice.tags, voice.description) == (("warm",), "Tells stories.")
    assert voice.bindings == {"tone": "tone"}


def test_a_cast_has_voices_of_the_file_and_of_engines_in_its_order(tmp_path: Path) -> None:
    voice = load(tmp_path, TONE + '[voices.duo]\ncast = { Ben = "tone/slow", Ana = "ana" }').voices["duo"]
    assert list(voice.cast.items()) == [("Ben", "tone/slow"), ("Ana", "ana")]
    assert voice.bindings == {}


def test_a_member_that_cannot_speak_today_is_no_fault(tmp_path: Path) -> None:
    text = TONE + '[voices.eva]\nminimax = "x"\n[voices.duo]\ncast = { Eva = "eva" }'
    assert "duo" in load(tmp_path, text).voices


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("cast = { Ana = 'nobody' }", "voices.duo.cast.Ana: must be a voice of this file, or"),
        ("cast = { Ana = 'espeak/f3' }", "voices.duo.cast.Ana: must be a voice of this file, or"),
        ("cast = { Ana = 'duo' }", "voices.duo.cast.Ana: 'duo' is a cast itself; name a voice"),
        ("cast = { '[Ana]' = 'ana' }", "voices.duo.cast: a name must have"),
        ("cast = { Ana = 'ana', ANA = 'ana' }", "voices.duo.cast: its names must differ"),
        ("cast = { Ana = 1 }", "voices.duo.cast: must be a table of names and voices"),
        ("cast = 'ana'", "voices.duo.cast: must be a table of names and voices"),
        ("cast = { Ana = 'ana' }\ntone = 'tone'", "voices.duo.cast: a cast has no engines of its own"),
        ("cast = {}", "voices.duo: binds no engine"),
        ("tone = 'tone'\ntags = 'warm'", "voices.duo.tags: must be a list of texts"),
        ("tone = 'tone'\nage = ''", "voices.duo.age: must be a text in quotes"),
    ],
)
def test_a_fault_is_told_by_its_place(tmp_path: Path, text: str, fault: str) -> None:
    messages = faults(tmp_path, f"{TONE}[voices.duo]\n{text}")
    assert messages[0].startswith(fault)
