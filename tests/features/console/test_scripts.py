"""Scripts: a text is pasted, each name in it gets a voice, and the dialogue is heard and kept."""

import json

import numpy as np
import pytest

from plugins.tone.decode import decode
from policies import text_tags
from tests.features.console.console_page import LOOKS, Reader
from tests.features.console.test_speak import IS_HEARD, choose_voice, heard

pytestmark = pytest.mark.slow_but("test_each_name_of_a_script_gets_a_voice_and_is_not_read")

_SCRIPT = "ANA: Have you seen it?\nBen (low): Only once.\n**Ana:** Then come. [knock] (She goes.)\nBen: I do."
_TEXTS = [
    _SCRIPT,
    "https://a.b: x\nhttps://a.b: y\n12:30 x\n12: 30\n12: 31",
    "Dr Zé Luís: a\nDr Zé Luís : b\nIn the old city: c\nIn the old city: d",
    "พิมพ์: ก\nพิมพ์: ข\n😀: x\n😀: y\n小明：你好\n小明：再见",
    "Once: a\n\t> - Two: b\n### __two__: c\nI said Three: d\nThree: e",
    "*********Four: a\n*********Four: b\n[Five]: a\n[Five]: b\nSix:a\nSix:b",
    f"{'n' * 64}: a\n{'n' * 64}: b\n{'m' * 65}: a\n{'m' * 65}: b",
]


_SPEAKERS = """
const genders = {
  en: ["female", "female", "male", "male"], es: ["male", "female", "male", "female"],
  pt: ["female", "male", "female", "male"], th: ["female", "male"],
};
const voices = Object.entries(genders).flatMap(([language, all]) => all.map((gender, at) => (
  { id: `e/${language}${at}`, name: `${language}${at}`, language, gender, engines: ["e"], tags: [] })));
Object.assign(catalogue, { voices, models: [{ id: "e/m", owned_by: "e", is_trained: true }] });
"""
_CASTS = [
    ("en", "ANA BEN", "female male"),
    ("en", "Stranger Kim", "female male"),
    ("en", "Ben Stranger Kim", "male female male"),
    ("en", "Mrs_Quill Mr_Quill", "female male"),
    ("es", "Camarera Tabernero", "female male"),
    ("es", "JOSÉ MARÍA", "male female"),
    ("es", "Papá Abuela GARCÍA GARCIA", "male female male female"),
    ("pt", "Vovô Avó Vovó Avô", "male female female male"),
    ("pt", "Bisavó COSTA Capitã Silva", "female male female male"),
    ("th", "นายสมชาย แม่", "male female"),
]


def _cast(reader: Reader) -> dict[str, str]:
    """Return the names that the page has found, with their voices."""
    rows = "[...document.querySelectorAll('#script-cast li')]"
    both = "[row.querySelector('.name').textContent, row.querySelector('select').value]"
    return dict(reader.tab.run(f"{rows}.map((row) => {both})"))


@pytest.mark.kit("axe")
def test_each_name_of_a_script_gets_a_voice_and_is_not_read(reader: Reader) -> None:
    reader.open("scripts")
    reader.reads("Paste a script.")
    doors = reader.tab.run("[...document.querySelectorAll('nav a')].map((each) => each.hash)")
    assert doors[:4] == ["#/speak", "#/scripts", "#/jobs/book", "#/jobs/dub"]
    reader.assert_readable(LOOKS[:1])
    reader.fill("#speak-input", _SCRIPT)
    reader.wait("document.querySelectorAll('#script-cast li').length === 2")
    voices = _cast(reader)
    assert list(voices) == ["ANA", "Ben"]
    assert len(set(voices.values())) == 2
    # Tone says what it is given.
    for name in voices:
        select = f"[aria-label='Voice of {name}']"
        reader.choose(select, {"ANA": "tone/tone", "Ben": "tone/slow"}[name])
    reader.tab.run("at('#speak-go').focus()")
    reader.tab.press("Enter")
    reader.wait(IS_HEARD)
    pieces = reader.tab.run("played")
    sound = np.concatenate([np.array(piece["samples"]) for piece in pieces])
    said = " ".join(decode(sound, pieces[0]["rate"]))
    # What is in brackets is for those who play it.
    assert said == "Have you seen it? Only once. Then come. I do."
    reader.reads("ANA, Ben", "#result-title")
    reader.assert_readable(LOOKS)


def test_names_that_are_lacking_and_lines_that_look_like_names_are_told(reader: Reader) -> None:
    reader.open("scripts")
    reader.fill("#speak-input", _SCRIPT)
    reader.wait("document.querySelectorAll('#script-cast li').length === 2")
    reader.press("Ben is not a name")
    reader.reads("These look like names, and are read aloud: Ben", ".notes")
    reader.press("Make them names")
    reader.wait("document.querySelectorAll('#script-cast li').length === 2")
    reader.choose("[aria-label='Voice of Ben']", "tone/tone")
    reader.reads("Also speak what is in brackets: (low) [knock] (She goes.)", "#script-cast + label")
    reader.choose("[aria-label='Voice of ANA']", "tone/slow")
    reader.tab.run("(at('#script-directions').click(), at('#speak-go').focus())")
    reader.tab.press("Enter")
    assert "Then come. [knock] (She goes.)" in heard(reader)
    reader.fill("#speak-input", "ANA: I am alone.\nANA: Am I not?")
    reader.reads("The text does not have these names: Ben", ".notes")
    reader.reads("not in the text", "#script-cast")
    reader.assert_readable(LOOKS)
    # On Speak, a script gets a way here.
    reader.go("speak")
    choose_voice(reader, "alloy")
    reader.reads("These look like names, and are read aloud: ANA", ".notes")
    reader.fill("#speak-input", "NOTE: one name in capitals is none.")
    reader.wait("!at('.notes').innerText.includes('names')")
    reader.fill("#speak-input", "ANA: Have you seen the sea?\nBEN: Only a lake.")
    reader.reads("These look like names, and are read aloud: ANA, BEN", ".notes")
    reader.press("Give each name a voice")
    reader.wait("at('#script-cast')")


def test_the_cast_becomes_a_voice(reader: Reader) -> None:
    reader.open("scripts")
    speak_without_names = "(at('#speak-go').disabled = false, at('#speak-go').click())"
    reader.fill("#speak-input", "There are no names here.")
    reader.tab.run(speak_without_names)
    reader.reads("No line begins with a name and a colon.", ".notes")
    reader.fill("#speak-input", _SCRIPT)
    reader.wait("at('#script-save')")
    reader.press("Save as a voice")
    reader.reads("Give the voice a name.")
    assert reader.tab.run("document.activeElement.id") == "script-name"
    voices = _cast(reader)
    reader.fill("#script-name", "The two")
    reader.press("Save as a voice")
    reader.reads("The two is saved.")
    with reader.server.client(reader.key.secret) as client:
        [saved] = [
            each for each in client.get("/v1/audio/voices").json()["data"] if each["name"] == "The two"
        ]
    assert saved["cast"] == voices
    assert saved["type"] == "cast"


def test_women_and_men_take_turns_unless_the_name_tells(reader: Reader) -> None:
    reader.open()
    of = str(reader.tab.run("at('link[href$=\"console.css\"]').href")).replace("console.css", "")
    for tag, names, genders in _CASTS:
        made = reader.tab.run(
            f"Promise.all(['{of}pages/cast.js', '{of}core/catalogue.js'].map((each) => import(each)))"
            f".then(([{{ Cast }}, {{ catalogue, voiceOf }}]) => {{ {_SPEAKERS} const cast = new Cast();"
            f" for (const name of {json.dumps(names.split())})"
            f" cast.set(name, {{ name, voice: cast.nextVoice(name.replace('_', ' '), '{tag}') }});"
            " return [...cast.values()].map(({ voice }) => voiceOf(voice)); })"
        )
        assert " ".join(each["gender"] for each in made) == genders, names
        assert {each["language"] for each in made} == {tag}


def test_the_page_finds_the_names_that_the_server_finds(reader: Reader) -> None:
    reader.open()
    module = str(reader.tab.run("at('link[href$=\"console.css\"]').href")).replace(
        "console.css", "core/draft.js"
    )
    for text in _TEXTS:
        found = reader.tab.run(
            f"import({json.dumps(module)}).then(({{ namesOf }}) => [...namesOf({json.dumps(text)}).values()]"
            ".filter(({ times }) => times > 1).map(({ name }) => name))"
        )
        assert sorted(found) == sorted(text_tags.likely_names(text)), text


def test_a_script_of_a_million_letters_does_not_stop_the_page(reader: Reader) -> None:
    reader.open("scripts")
    many = json.dumps("".join(f"Name{number}: Hi.\\n" * 2 for number in range(10_000)))[1:-1]
    for text in (f'"{many}"', "' '.repeat(1e6)", "('*'.repeat(8) + 'a'.repeat(64) + '\\n').repeat(14000)"):
        field = "at('#speak-input')"
        reader.tab.run(
            f"({field}.value = {text}, {field}.dispatchEvent(new Event('input', {{ bubbles: true }})))"
        )
        reader.wait("at('#speak-count').textContent.length > 12")
    reader.fill("#speak-input", _SCRIPT)
    reader.wait("document.querySelectorAll('#script-cast li').length === 2")
