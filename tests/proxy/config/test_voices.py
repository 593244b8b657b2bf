"""[voices.NAME]: what is known of a voice, and casts, whose members must be there."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

from proxy.config import voices
from tests.proxy.config.files import faults, load
from tests.tables import each_row

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


@each_row(
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


SHIPPED = tomllib.loads(Path(voices.__file__).with_name("defaults.toml").read_text())["voices"]
FORMER = ("espeak", "piper", "kokoro", "openai", "realtime", "azure", "assemblyai")


def written(tables: Mapping[str, Mapping[str, str]]) -> str:
    lines = (
        f"{name} = {{ {', '.join(f'{key} = {json.dumps(value)}' for key, value in table.items())} }}"
        for name, table in tables.items()
    )
    return "\n".join(("[voices]", *lines, ""))


def test_a_copy_of_the_shipped_voices_is_what_is_shipped(tmp_path: Path) -> None:
    copied = load(tmp_path, "[engines.tone]\n" + written(SHIPPED))
    assert copied.voices == load(tmp_path, "[engines.tone]\n").voices
    assert len(copied.voices) == 13
    assert not copied.warnings


@each_row("engine", ["espeak", "kokoro", "kokoro2"])
def test_a_copy_of_formerly_shipped_voices_gives_no_warnings(tmp_path: Path, engine: str) -> None:
    names = [name for name in SHIPPED if "-" not in name]
    former = {name: dict.fromkeys(FORMER, name) | SHIPPED[name] for name in names}
    config = load(tmp_path, f'[engines.{engine}]\nplugin = "tone"\n' + written(former))
    assert not config.warnings
    assert config.voices.keys() == {*names}
    assert config.voices["nova"].bindings == ({engine: "nova"} if engine in FORMER else {})


def test_a_name_bound_to_another_engine_that_is_not_there_is_told(tmp_path: Path) -> None:
    config = load(tmp_path, '[engines.tone]\n[voices]\nnova = { minimax = "x" }\n')
    assert [warning.key for warning in config.warnings] == ["voices.nova.minimax"]
    assert faults(tmp_path, '[engines.tone]\n[voices]\nnova = { tonne = "x" }\n')
    assert faults(tmp_path, "[engines.tone]\n[voices]\nnova = { }\n")[0].startswith("voices.nova: binds no")
