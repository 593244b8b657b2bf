"""Voices as cards, and one voice: found, heard, used, changed, given recordings and clones, and erased."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from policies.text_tags import EMOTIONS
from tests import speech_clips
from tests.features.console.console_page import ALL_LOOKS, LOOKS, Reader
from tests.features.console.test_new_voice import chosen, client, consents, own
from tests.server import TONE, running
from tests.tables import soak
from tests.waiting import until

pytestmark = pytest.mark.slow_but("test_another_key_shows_nothing_of_the_one_before")

_HOSTILE = "<img src=x onerror=alert(1)>\u202e" + "endless" * 10


def make_mix(reader: Reader, name: str) -> str:
    with client(reader) as asked:
        mix = [{"id": "tone/tone"}, {"id": "tone/slow"}]
        return str(asked.post("/v1/audio/voices", json={"name": name, "mix": mix}).json()["id"])


def make_recorded(reader: Reader, name: str) -> str:
    said = {"name": name, "language": "en", "statement": "Agreed on paper."}
    with client(reader) as asked:
        consent = asked.post("/v1/audio/voice_consents", json=said).json()["id"]
        fields = {"name": name, "language": "en-US", "consent": consent}
        made = asked.post("/v1/audio/voices", data=fields, files={"audio_sample": speech_clips.wav()})
    assert made.is_success, made.text
    return str(made.json()["id"])


def _open(reader: Reader, page: str, there: str) -> None:
    reader.open(page)
    reader.wait(f"at('{there}')")


_STALE = """(() => {
  const real = window.fetch;
  window.fetch = async (url, more) => {
    const answer = await real(url, more);
    if (more.method === "POST" || !String(url).includes("audio/voices/")) return answer;
    window.fetch = real;
    return Response.json({ ...await answer.json(), clones: [] });
  };
})()"""
"""The next look at a voice is answered by a gateway that does not know of its clone yet."""
_NAMED = "[...document.querySelectorAll('.voices h3')].map((each) => each.textContent)"


_KNOWN = """
import(at('script[src]').src.replace('head.js', 'core/catalogue.js'))
.then(({ catalogue, isFound, voiceName, wordsOf }) => {
  const voices = [
    ['ef_alex', 'Alex', 'es', 'male', 'low', 'quick'],
    ['pf_alex', 'Alex', 'pt-BR', 'female', 'high', 'slow'],
    ['af_jose', 'José', 'en-US', 'male', 'high', 'slow'],
  ].map(([name, title, language, gender, pitch, pace]) => (
    { id: `e/${name}`, name, title, language, gender, pitch, pace, tags: [], engines: [] }));
  Object.assign(catalogue, { voices, titles: Map.groupBy(voices, ({ title }) => title) });
  const found = (typed) => voices.filter((voice) => isFound(voice, { words: wordsOf(typed) }));
  return [TYPED.map((typed) => found(typed).map(({ name }) => name)), voices.map(({ id }) => voiceName(id))];
})
"""
_ALIKE = """
import(at('script[src]').src.replace('head.js', 'core/catalogue.js'))
.then(({ catalogue, factsOf, voiceName }) => {
  const voices = [['a', 'en-US'], ['b', 'en-US'], ['b', 'es']].map(([engine, language]) => (
    { id: `${engine}/${language}`, title: 'Heart', gender: 'female', language, engines: [engine] }));
  Object.assign(catalogue, { voices, models: [], titles: Map.groupBy(voices, ({ title }) => title) });
  return voices.map((voice) => factsOf(voice).join(' · ')).concat(voiceName('a/en-US'));
})
"""
_FOUND = {
    "en": {
        "low": "ef",
        "slow": "pf af",
        "woman": "pf",
        "man": "ef af",
        "male": "ef af",
        "jose": "af",
        "AL": "ef pf",
        "pf_alex": "pf",
    },
    "pt-BR": {"mulher": "pf", "homem": "ef af", "portugues": "pf"},
    "es": {"mujer alex": "pf", "hombre": "ef af", "español": "ef"},
    "th": {"ผู้หญิง": "pf", "ผู้ชาย": "ef af", "หญิง": "pf", "ตรี": "pf"},
}


def _names(reader: Reader) -> list[str]:
    return list(reader.tab.run(_NAMED))


def test_voices_are_found_and_more_of_them_are_shown(reader: Reader) -> None:
    make_mix(reader, "Blend")
    with client(reader) as asked:
        for name, language in (("Lisbon", "pt-PT"), ("Recife", "pt-BR")):
            asked.post(f"/v1/audio/voices/{make_mix(reader, name)}", json={"language": language})
        asked.post("/v1/audio/voices", json={"name": "Two people", "cast": {"A": "alloy", "B": "tone/tone"}})
    with reader.server.control() as operator:
        operator.post("/admin/voices", json={"name": "Everybody's", "cast": {"A": "alloy"}})
    _open(reader, "voices", "#page .voices li")
    # Nobody has asked for robots.
    assert sorted(_names(reader)) == ["Blend", "Everybody's", "Lisbon", "Recife", "Two people"]
    reader.tab.run("at('#voices-robots summary').click()")
    reader.wait("at('#voices-rules li')")
    assert reader.text().count("costs as speech") == 1, "it is said once, and not on each card"
    first = reader.tab.run(f"{_NAMED}.slice(5)")
    assert len(first) == 48
    reader.tab.run("(at('.voices-more').focus(), at('.voices-more').click())")
    assert reader.tab.run("document.activeElement === at('#voices-rules').children[48]")
    assert _names(reader)[5:53] == first
    # OpenAI's names stand on the page of their speaker.
    assert "Alloy" not in _names(reader)
    reader.tab.run("at('[name=whose][value=own]').click()")
    reader.reads("4 voices", "#voices-found")
    assert sorted(_names(reader)) == ["Blend", "Lisbon", "Recife", "Two people"]
    reader.tab.run("at('[name=whose][value=all]').click()")
    reader.choose("#voices-gender", "female")
    reader.wait(
        "[...document.querySelectorAll('.voices li')].every(({ innerText: it }) => it.includes('female'))"
    )
    reader.choose("#voices-gender", "")
    reader.choose("#voices-language", "pt")
    reader.choose("#voices-accent", "pt-PT")
    reader.wait("at('#voices-own')?.children.length === 1")
    assert _names(reader)[0] == "Lisbon"
    reader.fill("#voices-find", "zzz")
    reader.reads("0 voices", "#voices-found")
    assert reader.tab.run("document.querySelectorAll('*').length") < 1500


def test_whole_words_and_their_beginnings_find_a_voice_in_each_language(reader: Reader) -> None:
    for language, found in _FOUND.items():
        reader.open()
        reader.choose(".tongue", language)
        reader.wait(f"document.documentElement.lang === '{language}'")
        listed, names = reader.tab.run(_KNOWN.replace("TYPED", json.dumps(list(found))))
        assert [" ".join(name.partition("_")[0] for name in each) for each in listed] == [*found.values()], (
            found
        )
        assert len(set(names)) == 3
        if language == "en":
            assert names == ["Alex, male, Spanish", "Alex, female, Brazilian Portuguese", "José"]


def test_voices_that_are_alike_are_listed_with_their_engines(reader: Reader) -> None:
    reader.open()
    shown = reader.tab.run(_ALIKE)
    told = ["female · US English · a", "female · US English · b", "female · Spanish"]
    assert shown == [*told, "Heart, female, US English"]


def test_a_voice_is_heard_and_used(reader: Reader) -> None:
    id_ = make_recorded(reader, "Ana")
    _open(reader, "voices", "#page .voices li")
    reader.tab.run("at('#page .voices [aria-label=\"Play Ana\"]').focus()")
    reader.tab.press("Enter")
    reader.reads("Ana", "#dock")
    # A second press stops it, also before it is there.
    again = "button('Play Ana')"
    reader.wait(again)
    reader.tab.run(f"(window.pressed = {again}, pressed.click(), pressed.click())")
    reader.reads("Stopped.")
    assert reader.tab.run("Boolean(at('.dock'))") is False
    assert any(f"{id_}/preview?" in url for url in reader.tab.requests)
    reader.tab.run("at('#page .voices [aria-label=\"More about Ana\"]').click()")
    reader.wait("at('#voice-use')")
    # Where nobody signs in, an account has no preference.
    assert reader.tab.run("Boolean(at('#voice-preferred'))") is False
    reader.go("speak")
    reader.wait("at('#speak-voice') && !at('#speak-voice').disabled")
    reader.press("More")
    reader.choose("#speak-model", "espeak/standard")
    reader.go("voices")
    reader.press("Use Ana")
    reader.wait("location.hash === '#/speak'")
    reader.reads("Ana", "#speak-voice")
    # Its engine alone speaks it.
    assert reader.tab.run("at('#speak-model').value") == "tone/standard"
    assert consents(reader)


def test_a_voice_is_preferred_where_people_sign_in(reader: Reader, tmp_path: Path) -> None:
    config = (
        TONE.replace("[server]", '[server]\npublic_url = "https://voices.test"')
        + '[users]\nsign_up = "invite"\n'
    )
    with running(tmp_path, config) as server:
        reader = reader._replace(server=server, key=server.mint_key("ana", plan="unlimited"))
        id_ = make_mix(reader, "Ana")
        _open(reader, f"voices/{id_}", "#voice-preferred")
        reader.tab.run("at('#voice-preferred').click()")
        reader.reads("Done.", "#voice-about")
        with client(reader) as asked:
            assert asked.get("/v1/me").json()["preferred_voice"] == id_
        reader.go("voices")
        reader.reads("Preferred", "#page .voices li")
        reader.tab.open("about:blank")
        reader.tab.requests.clear()


def test_a_sample_is_heard_and_a_voice_gets_a_star(reader: Reader, tmp_path: Path) -> None:
    config = (
        TONE.replace("[server]", '[server]\npublic_url = "https://voices.test"')
        + '[users]\nsign_up = "invite"\n[samples]\nmb = 4\n'
    )
    with running(tmp_path, config) as server:
        reader = reader._replace(server=server, key=server.mint_key("ana", plan="unlimited"))
        with client(reader) as asked:
            # It is made once nobody has spoken for ten seconds.
            until(lambda: asked.get("/v1/audio/voices/tone%2Ftone").json().get("sample"))
        _open(reader, "voices", "#voices-rules li")
        reader.press("Play Tone")
        reader.reads("Tone", "#dock")
        asked_for = [url for url in reader.tab.requests if "/samples/" in url or "/preview?" in url]
        assert [url.rpartition(".")[2] for url in asked_for] == ["mp3"]
        reader.press("Favourite: Tone")
        reader.wait("at('[aria-label=\"Favourite: Tone\"]').ariaPressed === 'true'")
        reader.tab.run("at('[name=whose][value=starred]').click()")
        reader.reads("1 voice", "#voices-found")
        with client(reader) as asked:
            assert asked.get("/v1/me").json()["favourite_voices"] == ["tone/tone"]
        reader.tab.run("at('.voices h3 a').click()")
        reader.reads("In requests: tone/tone", "#voice-about")
        reader.reads("Measured in its sample: a pitch of", "#voice-measured")
        reader.tab.open("about:blank")
        reader.tab.requests.clear()


def test_a_voice_is_changed_and_exported(reader: Reader, tmp_path: Path) -> None:
    id_ = make_recorded(reader, "Ana")
    _open(reader, f"voices/{id_}", "#voice-save")
    reader.fill("#voice-name", "alloy")
    reader.press("Save")
    reader.reads("'alloy' is a voice of the server", ".field [role=alert]")
    reader.fill("#voice-name", "Bea")
    reader.choose("#voice-language", "")
    reader.press("Save")
    reader.reads("Done.", "#voice-about")
    assert reader.tab.run("[at('h1').textContent, document.title]") == ["Bea", "Bea · voxgate"]
    [voice] = own(reader)
    assert (voice["name"], voice["language"]) == ("Bea", None)
    saved = reader.tab.downloaded(tmp_path, "button('Export').click()")
    with zipfile.ZipFile(io.BytesIO(saved)) as archive:
        assert archive.namelist() == ["voice.json", "samples.json", "sample-1.wav"]
        assert json.loads(archive.read("voice.json"))["name"] == "Bea"
    assert reader.tab.run("at('#voice-train').getAttribute('href')") == f"#/train/{id_}"


def test_recordings_are_added_by_emotion_and_deleted(reader: Reader) -> None:
    id_ = make_recorded(reader, "Ana")
    _open(reader, f"voices/{id_}", "#sample-add")
    assert set(reader.tab.run("[...at('#sample-emotion').options].map((each) => each.value)")) == set(
        EMOTIONS
    )
    reader.press("Add it")
    reader.reads("Make a recording, or choose a file.", "#sample-file-recorder")
    assert reader.tab.run("document.activeElement.id") == "sample-file"
    chosen(reader, "#sample-file", speech_clips.wav_file())
    reader.choose("#sample-emotion", "sad")
    reader.fill("#sample-ref_text", "Oh <b>no</b>.")
    reader.press("Add it")
    reader.reads("2 recordings", "#voice-samples")
    assert "Oh <b>no</b>." in reader.text("#voice-samples")
    reader.wait("document.activeElement.id === 'sample-file'")
    with client(reader) as asked:
        listed = asked.get(f"/v1/audio/voices/{id_}/samples").json()["data"]
        assert [each["emotion"] for each in listed] == [None, "sad"]
        assert asked.get(f"/v1/audio/voices/{id_}").json()["emotions"] == ["sad"]
    reader.press("Delete recording 2")
    reader.press("Delete", "at('#question')")
    reader.reads("1 recording", "#voice-samples")
    reader.wait("document.activeElement.id === 'samples-title'")
    # The one that the voice was made of goes with it alone.
    assert reader.tab.run("Boolean(button('Delete recording 1'))") is False


def test_a_clone_is_ordered_at_its_price_and_looked_at_until_it_is_there(reader: Reader) -> None:
    id_ = make_recorded(reader, "Ana")
    _open(reader, f"voices/{id_}", "#voice-clones")
    reader.press("Clone it at studio")
    reader.reads("Clone by studio: up to 300 credits", "#question")
    reader.press("Cancel", "at('#question')")
    with client(reader) as asked:
        assert asked.get(f"/v1/audio/voices/{id_}").json()["clones"] == []
    reader.tab.run(f"void {_STALE}")
    reader.press("Clone it at studio")
    reader.press("Clone it at studio", "at('#question')")
    reader.reads("studio: ready", "#voice-clones")
    assert reader.tab.run("Boolean(button('Clone it at studio'))") is False
    assert reader.tab.run("document.activeElement.id") == "voice-clones"


def test_what_is_not_ones_own_can_only_be_heard_and_used(reader: Reader) -> None:
    _open(reader, "voices/tone%2Ftone", "#voice-about")
    assert reader.tab.run(
        "[...document.querySelectorAll('#page button')].map((each) => each.textContent.trim())"
    ) == ["", "Use"]
    reader.tab.run("void (location.hash = '#/voices/voice_other')")
    reader.reads("The voice 'voice_other' does not exist", "[role=alert]")


_COUNT_DELETIONS = """(window.deletions = 0, window.sent = fetch,
    window.fetch = (...all) => (deletions += all[1]?.method === 'DELETE', sent(...all)))"""


def test_nothing_is_deleted_without_a_yes_and_what_is_gone_is_told(reader: Reader) -> None:
    id_ = make_mix(reader, "Ana")
    _open(reader, f"voices/{id_}", "#voice-delete")
    reader.press("Delete")
    reader.wait("document.activeElement.id === 'question-no'")
    # A mix has no consent of its own.
    assert reader.tab.run("Boolean(at('#question-check'))") is False
    reader.tab.press("Enter")
    reader.wait("!at('#question-no')")
    reader.press("Delete")
    reader.wait("at('#question').open")
    reader.tab.run(_COUNT_DELETIONS)
    reader.tab.press("Escape")
    reader.wait("!at('#question-no')")
    assert reader.tab.run("deletions") == 0
    assert [voice["id"] for voice in own(reader)] == [id_]
    with client(reader) as asked:
        assert asked.delete(f"/v1/audio/voices/{id_}").is_success
    reader.press("Delete")
    reader.press("Delete", "at('#question')")
    reader.reads(id_, "#voice-about [role=alert]")
    reader.go("voices")
    reader.tab.run("at('[name=whose][value=own]')?.click()")
    reader.wait("at('#voices-found')")


def test_a_voice_that_cannot_be_heard_is_told_on_its_card(reader: Reader) -> None:
    id_ = make_mix(reader, "Ana")
    _open(reader, "voices", "#page .voices li")
    with client(reader) as asked:
        assert asked.delete(f"/v1/audio/voices/{id_}").is_success
    reader.press("Play Ana")
    reader.reads(f"The voice '{id_}' does not exist", "#page .voices li:has([role=alert])")
    assert reader.text("#page .voices li:has([role=alert]) h3") == "Ana"


def test_another_key_shows_nothing_of_the_one_before(reader: Reader) -> None:
    make_mix(reader, "Ana")
    _open(reader, "voices", "#page .voices li")
    assert "Ana" in _names(reader)
    other = reader.server.mint_key(f"other-{reader.key.id}", plan="creator").secret
    reader.tab.run(f"void (location.hash = 'key={other}')")
    reader.press("Use the link's key")
    reader.wait("!at('#question-no')")
    reader.go("voices")
    reader.wait(f"at('#page .voices li') && !{_NAMED}.includes('Ana')")
    reader.tab.run("at('[name=whose][value=own]').click()")
    reader.reads("There is none yet.", "#voices-found")


def test_hostile_names_are_text(reader: Reader) -> None:
    id_ = make_mix(reader, _HOSTILE[:100])
    with client(reader) as asked:
        asked.post(f"/v1/audio/voices/{id_}", json={"description": _HOSTILE * 3, "tags": ["<b>bold</b>"]})
    _open(reader, "voices", "#page .voices li")
    assert _HOSTILE[:100] in _names(reader)
    reader.assert_readable(LOOKS[:1])
    reader.go(f"voices/{id_}")
    reader.wait("at('#voice-delete')")
    reader.assert_readable(LOOKS[:1])
    reader.press("Delete")
    reader.reads(_HOSTILE[:20], "#question")
    reader.assert_readable(LOOKS[:1], "#question")
    reader.press("Delete", "at('#question')")
    reader.reads("Nothing of it is left", "#voice-erased")
    reader.assert_readable(LOOKS[:1])
    assert reader.tab.run("[document.querySelectorAll('img, b').length, document.title]") == [
        0,
        f"{_HOSTILE[:100]} is deleted · voxgate",
    ]


@pytest.mark.parametrize("looks", [LOOKS, *soak((ALL_LOOKS,))])
def test_they_can_be_read_in_each_state(reader: Reader, looks: tuple[tuple[int, str], ...]) -> None:
    turns = [(each,) for each in looks] if len(looks) == 2 else [looks, looks]
    id_ = make_recorded(reader, "Ana")
    _open(reader, "voices", "#page .voices li")
    reader.assert_readable(turns[0])
    reader.go(f"voices/{id_}")
    reader.wait("at('#sample-add')")
    reader.assert_readable(turns[1])
    reader.press("Delete")
    reader.wait("at('#question').open")
    reader.assert_readable(turns[0], "#question")
    reader.tab.press("Escape")


def test_it_can_be_used_in_forced_colours_and_at_twice_the_size(reader: Reader) -> None:
    make_recorded(reader, "Ana")
    _open(reader, "voices", "#page .voices li")
    # At 200 %, a window of 1280 is one of 640.
    reader.tab.show(width=640)
    assert reader.tab.run("document.documentElement.scrollWidth") <= 640
    features = [
        {"name": "forced-colors", "value": "active"},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    reader.tab.call("Emulation.setEmulatedMedia", features=features)
    outline = "(getComputedStyle(at('.chips label:has(:checked)')).outlineStyle)"
    assert reader.tab.run(outline) == "solid"
    seconds = (
        "[...document.querySelectorAll('#page *')].map((each) => getComputedStyle(each).transitionDuration)"
    )
    assert set(reader.tab.run(seconds)) == {"0s"}
    edges = (
        "[...document.querySelectorAll('#page .button')].map((each) => getComputedStyle(each).borderTopStyle)"
    )
    assert set(reader.tab.run(edges)) == {"solid"}
    reader.tab.run("(document.activeElement.blur(), 0)")
    reader.tab_to("#voices-find")
    assert reader.tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
