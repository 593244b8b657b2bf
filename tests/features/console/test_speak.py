"""Speak: a text is typed, its cost is told, it is heard, and it can be kept."""

import itertools
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from plugins.tone.decode import decode
from proxy.audio.formats import FORMATS
from tests.features.console.console_page import ALL_LOOKS, LOOKS, PLAIN, Reader, forget
from tests.server import running
from tests.sound import decoded
from tests.tables import soak
from tests.waiting import until

pytestmark = pytest.mark.slow_but("test_failures_are_told_where_they_can_be_mended")

_TEXT = """It's "quoted", costs $5, and has a \\ in it."""
_FIRST_WORDS = "It's quoted, costs $5, and has"
IS_HEARD = (
    "shown('#speak-result') && !at('#speak-stop') && at('#player-play') && !at('#player-play').disabled"
)


def speak(reader: Reader, text: str = "") -> None:
    """Press the button as a hand does: what no key or click has asked for, a browser does not let sound."""
    reader.wait("at('#speak-voice') && !at('#speak-voice').disabled")
    if text:
        reader.fill("#speak-input", text)
    reader.tab.run("at('#speak-go').focus()")
    reader.tab.press("Enter")


def heard(reader: Reader) -> str:
    """Return what the loudspeaker got."""
    reader.wait(IS_HEARD)
    pieces = reader.tab.run("played")
    for one, then in itertools.pairwise(pieces):
        assert then["when"] >= one["when"] + len(one["samples"]) / one["rate"] - 1e-6, "one over the other"
    sound = np.concatenate([np.array(piece["samples"]) for piece in pieces])
    return " ".join(decode(sound, pieces[0]["rate"]))


def open_picker(reader: Reader, button: str = "#speak-voice") -> None:
    """Open the list of voices, which takes a moment: what is typed before goes elsewhere."""
    reader.wait(f"at('{button}') && !at('{button}').disabled")
    reader.tab.run(f"at('{button}').click()")
    reader.wait("at('#picker')?.open")


def choose_voice(reader: Reader, voice: str, button: str = "#speak-voice") -> None:
    open_picker(reader, button)
    radio = f"at('#picker [value=\"{voice}\"]')"
    reader.fill("#picker-find", voice.rpartition("/")[2])
    reader.wait(radio)
    reader.tab.run(f"({radio}.click(), at('#picker').close())")


def test_a_text_is_heard_read_along_and_kept(reader: Reader, tmp_path: Path) -> None:
    reader.open()
    reader.tab.run(
        "(window.seen = new Set(), new MutationObserver(() => {"
        " const now = at('.words .heard'); if (now) seen.add(now.textContent); })"
        ".observe(at('#page'), { subtree: true, childList: true, attributes: true }))"
    )
    speak(reader, _TEXT)
    assert heard(reader) == _TEXT
    reader.reads(_TEXT, ".words")
    assert reader.tab.run("[...seen].length") >= 2
    reader.press("More")
    reader.choose("#speak-format", "wav")
    saved = decoded(reader.tab.downloaded(tmp_path, "button('Download WAV').click()"), "wav")
    assert decode(saved.samples, saved.sample_rate_hz) == (_TEXT,)
    assert "Spoken by tone/standard in English." in reader.text("#speak-by")
    # The slider goes where it is put.
    reader.tab.run("(at('#player-seek').value = 0.5, at('#player-seek').dispatchEvent(new Event('input')))")
    assert float(reader.tab.run("at('#player-clock').textContent.split(' ')[0]")) == 0.5
    # What is typed now is another text: a download in another format is of what was heard.
    reader.fill("#speak-input", "Something else.")
    reader.choose("#speak-format", "flac")
    file = reader.tab.downloaded(tmp_path, "button('Download FLAC').click()")
    assert file.startswith(b"fLaC")
    kept = decoded(file, "flac")
    assert decode(kept.samples, kept.sample_rate_hz) == (_TEXT,)
    assert reader.tab.downloads[-2:] == [f"Alloy - {_FIRST_WORDS}.{kind}" for kind in ("wav", "flac")]


_CHOSEN = """
import('MODULE').then(({ catalogue, modelFor }) => ROWS.map(([ids, engines]) => {
  catalogue.models = ids.map((id) => ({ id, owned_by: id.startsWith("e/") ? "e" : "voxgate" }));
  return modelFor({ type: "catalogue", engines }, "gone");
}))
"""
_MODELS = [
    # The first of the list is the default. Two engines may speak by an alias, and one by its own models.
    ("default narration e/m", "e f", "default"),
    ("e/x narration e/m", "e f", "e/x"),
    ("narration e/m", "e f", "narration"),
    ("default narration e/m", "e", "e/m"),
]


def test_the_default_model_speaks_where_it_fits(reader: Reader) -> None:
    reader.open()
    rows = [(models.split(), engines.split()) for models, engines, _ in _MODELS]
    script = _CHOSEN.replace("MODULE", _module(reader, "core/catalogue.js"))
    assert reader.tab.run(script.replace("ROWS", json.dumps(rows))) == [chosen for _, _, chosen in _MODELS]


def test_one_word_is_heard_to_its_end_and_again(reader: Reader) -> None:
    reader.open()
    speak(reader, "A")
    assert heard(reader) == "A"
    reader.tab.run("at('#player-play').focus()")
    reader.tab.press("Enter")
    reader.wait("at('#player-play').ariaLabel === 'Pause'")
    reader.wait("at('#player-play').ariaLabel === 'Play'")


def test_sound_comes_while_the_rest_is_spoken_and_stop_ends_the_request(reader: Reader) -> None:
    reader.open()
    choose_voice(reader, "tone/slow")
    speak(reader, "A long text. " * 200)
    reader.wait("played.length > 1")
    first, second = reader.tab.run("played.slice(0, 2)")
    # A piece may come late on a busy machine, but no piece may be heard over another.
    assert second["when"] >= first["when"] + len(first["samples"]) / first["rate"] - 1e-6
    reader.go("account")
    reader.go("speak")
    assert reader.tab.run("shown('#player-clock')")
    reader.press("Stop")
    reader.reads("Stopped.")
    assert reader.tab.run("[Boolean(at('#speak-stop')), document.activeElement.id]") == [False, "speak-go"]
    with reader.server.client(reader.key.secret) as client:
        until(lambda: [row["outcome"] for row in client.get("/v1/usage").json().get("data", [])] == ["left"])


def test_the_estimate_tells_what_will_be_other_than_asked_for(reader: Reader) -> None:
    reader.open()
    reader.fill("#speak-input", "[happy] Good morning, my friends.")
    reader.reads("English (found)", "#speak-language")
    reader.reads("About", "#speak-estimate")
    reader.reads("A robot will read this. No natural voice here speaks English.", ".notes")
    reader.reads("voxgate voices natural", ".notes code")
    reader.reads("left out", ".notes")
    assert "[happy]" in reader.text(".notes")
    # Once it has, the card says so, and not both.
    speak(reader)
    reader.wait(IS_HEARD)
    reader.reads("A robot read this. No natural voice here speaks English.", "#speak-instead")
    reader.wait("!at('.notes').innerText.includes('robot')")
    # What the voice cannot do is not there.
    reader.press("More")
    reader.wait("at('#speak-format')")
    assert reader.tab.run("[...at('.details').querySelectorAll('select')].map(({ id }) => id)") == [
        "speak-format",
        "speak-model",
    ]
    reader.fill("#speak-input", "A long text. " * 400)
    reader.reads("becomes a job", ".notes")
    reader.press("Hand in as a long text")
    reader.wait("location.hash.startsWith('#/jobs/')")
    with reader.server.client(reader.key.secret) as client:
        [job] = client.get("/v1/jobs").json()["data"]
        assert reader.tab.run("location.hash") == f"#/jobs/{job['id']}"


_IN_PLACE = """(() => {
  const ask = fetch;
  window.fetch = async (...asked) => {
    const answer = await ask(...asked);
    if (String(asked[0]).endsWith("/estimate")) {
      const why = { substitute_reason: window.reason, is_trained: !window.isRobot };
      const told = { substitute: "nova", installed: 0.4, ...why };
      return new Response(JSON.stringify({ ...(await answer.json()), ...told }), answer);
    }
    if (!String(asked[0]).endsWith("/audio/speech")) return answer;
    const headers = new Headers(answer.headers);
    headers.set("x-voxgate-substitute", "nova");
    return new Response(answer.body, { headers });
  };
})()"""


def test_it_says_why_another_voice_speaks(reader: Reader, tmp_path: Path) -> None:
    reader.open()
    reader.tab.run(_IN_PLACE)
    for reason, why in (
        ("busy", " is busy, so nova speaks."),
        ("away", " is not ready, so nova speaks."),
        ("late", " has not begun in time lately, so nova speaks."),
        ("voice", "The engine does not have this voice. nova speaks in its place."),
        ("installing", " is still being fetched (40\u00a0%), so nova speaks."),
    ):
        reader.tab.run(f"window.reason = '{reason}'")
        reader.fill("#speak-input", f"Good morning, {reason}.")
        reader.reads(why, ".notes")
    speak(reader)
    reader.wait(IS_HEARD)
    reader.reads(f"A robot read this. Alloy{why}", "#speak-instead")
    reader.reads("Nova", "#result-title")
    reader.tab.downloaded(tmp_path, "at('#speak-save').click()")
    assert reader.tab.downloads[-1].startswith("Nova - Good morning, installing.")
    assert not reader.tab.run("at('#speak-with')"), "once more it would be the same voice"
    # It is asked again by itself: the page says when the voice is there.
    reader.tab.run("window.reason = 'voice'")
    reader.reads("does not have this voice", ".notes")
    # The card says it of a robot, and no voice was asked for that could speak.
    reader.tab.run("window.isRobot = true")
    reader.fill("#speak-input", "Once more.")
    reader.wait("!at('.notes')?.innerText.includes('does not have')")


def test_the_code_says_what_the_page_says(reader: Reader, tmp_path: Path) -> None:
    reader.open()
    speak(reader, _TEXT)
    reader.wait(IS_HEARD)
    codes = reader.tab.run(
        f"import('{_module(reader, 'core/code.js')}').then(({{ CODE }}) =>"
        f" Object.values(CODE).map((code) => code({json.dumps(_request())}, 'wav')))"
    )
    assert all(reader.key.secret not in code for code in codes)
    curl, python, javascript = codes
    environ = {**os.environ, "KEY": reader.key.secret}
    subprocess.run(["sh", "-c", curl], env=environ, cwd=tmp_path, check=True, timeout=60)
    sound = decoded((tmp_path / "speech.wav").read_bytes(), "wav")
    assert decode(sound.samples, sound.sample_rate_hz) == (_TEXT,)
    compile(python, "speech.py", "exec")
    assert 'extra_body={"language":"en"}' in python
    assert 'baseURL: "' in javascript
    # The clipboard is closed to a page without TLS elsewhere: the code is shown instead.
    reader.tab.run("navigator.clipboard.writeText = () => Promise.reject(new Error())")
    reader.press("As code")
    reader.press("Copy as curl")
    reader.reads("curl -s", "#speak-code")


def _module(reader: Reader, path: str) -> str:
    return str(reader.tab.run("at('script[src]').src")).replace("head.js", path)


def _request() -> dict[str, str]:
    return {"model": "tts-1", "voice": "alloy", "input": _TEXT, "language": "en"}


def test_a_voice_is_found_and_heard_before_it_is_chosen(reader: Reader) -> None:
    reader.open()
    reader.wait("at('#speak-voice') && !at('#speak-voice').disabled")
    reader.tab.run("at('#speak-voice').focus()")
    reader.tab.press("Enter")
    reader.wait("document.activeElement.value === 'alloy'")
    reader.tab.press("ArrowDown")
    second = reader.tab.run("document.activeElement.value")
    assert second != "alloy"
    reader.choose("#picker-gender", "female")
    names = reader.tab.run(
        "[...at('#picker').querySelectorAll('.quiet.small')].map((each) => each.textContent)"
    )
    assert all("female" in name for name in names[1:])
    reader.choose("#picker-gender", "")
    reader.fill("#picker-find", "zzz")
    reader.reads("0 voices", "#picker")
    reader.fill("#picker-find", "alloy")
    reader.choose("#picker-language", "pt")
    reader.press("Play Alloy", "at('#picker')")
    reader.reads("Alloy", "#dock")
    assert any("/preview?" in url and "language=pt" in url for url in reader.tab.requests)
    reader.tab.run("at('#picker [value=alloy]').focus()")
    reader.tab.press("Enter")
    reader.wait("!at('#picker').open")


def test_the_model_is_of_the_voice_that_is_chosen(reader: Reader) -> None:
    reader.open()
    model = "at('#speak-model').value"
    reader.press("More")
    reader.wait(model)
    alias = reader.tab.run(model)
    assert "/" not in alias
    choose_voice(reader, "espeak/m3")
    assert reader.tab.run(model) == "espeak/standard"
    open_picker(reader)
    reader.fill("#picker-find", "alloy")
    reader.wait("at('#picker [value=alloy]')")
    reader.tab.run("at('#picker [value=alloy]').click()")
    reader.press("Use this voice")
    reader.wait("!at('#picker').open")
    assert reader.tab.run(model) == alias


def test_where_no_natural_voice_is_each_reader_can_begin(reader: Reader) -> None:
    plain = reader.of_plan("rules")
    plain.open()
    plain.wait("[...at('#speak-language').options].some(({ value }) => value === 'de')")
    # Each language is there once: neither "English (029)" nor two kinds of Norwegian.
    names = plain.tab.run("[...at('#speak-language').options].map(({ text }) => text)")
    assert sum(name.startswith("Norwegian") for name in names) == 1
    assert sum(name.startswith("English") and "found" not in name for name in names) == 1
    # The text to begin with follows its reader, but only into what is spoken here, and not once it is theirs.
    plain.choose(".tongue", "es")
    plain.wait("at('#speak-input').value.startsWith('¡')")
    plain.choose(".tongue", "th")
    plain.wait("at('#speak-input').value.startsWith('Good morning!')")
    plain.fill("#speak-input", "สวัสดีครับ ยินดีต้อนรับ")
    plain.reads("พูดภาษาของข้อความไม่ได้", ".notes")
    plain.choose(".tongue", "en")
    plain.reads("does not speak the language of the text", ".notes")
    assert plain.tab.run("at('#speak-input').value").startswith("สวัสดี")


def test_what_is_over_is_not_told_any_more(reader: Reader) -> None:
    reader.open()
    reader.wait("at('#speak-estimate').textContent")
    _go_away(reader, is_away=True)
    reader.fill("#speak-input", "Are you there?")
    reader.reads("cannot be reached", ".notes")
    _go_away(reader, is_away=False)
    speak(reader)
    reader.wait(IS_HEARD)
    reader.wait("at('#speak-estimate').textContent && !at('.notes').innerText.includes('cannot be reached')")
    speak(reader, " ")
    reader.reads("Type a text first.", ".notes")
    reader.fill("#speak-input", "Now.")
    reader.wait("!at('[role=alert]')")


def _go_away(reader: Reader, *, is_away: bool) -> None:
    reader.tab.call(
        "Network.emulateNetworkConditions",
        offline=is_away,
        latency=0,
        downloadThroughput=-1,
        uploadThroughput=-1,
    )


_BUSY = """(() => {
  const ask = fetch;
  window.fetch = async (...asked) => {
    const answer = await ask(...asked);
    if (!String(asked[0]).endsWith("/estimate")) return answer;
    const wait = { seconds: 12.3, command: "voxgate voices natural es --quick" };
    return new Response(JSON.stringify({ ...(await answer.json()), wait }), answer);
  };
})()"""


def test_a_language_that_waits_says_how_long_and_what_helps(reader: Reader) -> None:
    reader.open()
    reader.tab.run(_BUSY)
    reader.fill("#speak-input", "El viejo farero espera los barcos de la noche.")
    reader.reads("Spanish waits for its voices, about 12.3 s: they are busy", ".notes")
    reader.reads("voxgate voices natural es --quick", ".notes code")
    for tag, told in (
        ("es", "En español hay que"),
        ("pt-BR", "Em espanhol, a espera"),
        ("th", "ภาษาสเปนต้องรอ"),
    ):
        reader.choose(".tongue", tag)
        reader.reads(told, ".notes")
    reader.choose(".tongue", "en")


def test_a_command_is_for_whoever_runs_the_server(reader: Reader) -> None:
    # Elsewhere than on this machine, it is for operators alone.
    far = reader._replace(server=reader.server._replace(url=reader.server.url.replace("127.0.0.1", PLAIN)))
    far.open()
    far.tab.run(_BUSY)
    far.fill("#speak-input", "El viejo farero espera los barcos de la noche.")
    far.reads("Spanish waits for its voices", ".notes")
    far.reads("A robot will read this.", ".notes")
    assert "voxgate" not in far.text(".notes")
    forget(far.tab)
    far.tab.requests.clear()


_WITHOUT_ITS_END = """(() => {
  const ask = fetch;
  window.fetch = async (...asked) => {
    const answer = await ask(...asked);
    if (!String(asked[0]).endsWith("/audio/speech")) return answer;
    const [cut] = (await answer.text()).split('data: {"type":"speech.audio.done"');
    return new Response(cut, answer);
  };
})()"""


def test_failures_are_told_where_they_can_be_mended(reader: Reader) -> None:
    reader.open()
    speak(reader, " ")
    reader.wait("at('[role=alert]')")
    assert reader.tab.run("[document.activeElement.id, document.activeElement.ariaInvalid]") == [
        "speak-input",
        "true",
    ]
    reader.fill("#speak-input", "Now with words.")
    reader.tab.press("Enter", ctrl=True)
    reader.wait(IS_HEARD)
    assert reader.tab.run("Boolean(at('[role=alert]'))") is False
    choose_voice(reader, "tone/fail-late")
    speak(reader)
    reader.reads("broke off", ".composer")
    assert reader.tab.run("[Boolean(at('.dock')), Boolean(at('#speak-stop'))]") == [False, False]
    # What ends without its last event has broken off, too.
    choose_voice(reader, "alloy")
    reader.tab.run(_WITHOUT_ITS_END)
    speak(reader)
    reader.reads("The answer broke off before its end.")
    assert reader.tab.run("[Boolean(at('.dock')), Boolean(at('#speak-stop'))]") == [False, False]


def test_a_text_is_taken_from_a_file_and_outlives_the_page(reader: Reader, tmp_path: Path) -> None:
    reader.open()
    file = tmp_path / "chapter.md"
    file.write_text("The river had no name then. ไทย")
    reader.file(".file input", file)
    reader.wait("at('#speak-input').value.startsWith('The river')")
    reader.go("account")
    reader.go("speak")
    assert reader.tab.run("at('#speak-input').value") == "The river had no name then. ไทย"
    assert reader.tab.run("document.title") == "Speak · voxgate"


_COVERED = """(() => {
  const box = (each) => each.getBoundingClientRect();
  const meet = (one, other) => one.x < other.right && other.x < one.right
    && one.y < other.bottom && other.y < one.bottom;
  const player = at('.dock') ?? at('#player-play').closest('.row');
  const nav = getComputedStyle(at('.rail nav')).position === 'fixed' ? [at('.rail nav')] : [];
  const all = '#page :is(button, a, input, select, textarea, h1, h2, p), nav a';
  const shown = [...document.querySelectorAll(all)]
    .filter((each) => each.offsetParent && !player.contains(each));
  const parts = [...player.querySelectorAll('*')]
    .filter((each) => nav.some((bar) => meet(box(each), box(bar))));
  const covered = shown.filter((each) => meet(box(each), box(player)));
  return [...parts, ...covered].map((each) => each.outerHTML.slice(0, 80));
})()"""
"""What the player covers, and what of it a bar covers."""


def test_one_sound_has_one_player_that_covers_nothing(reader: Reader) -> None:
    players = "document.querySelectorAll('#player-play').length"
    reader.open()
    for width, height in ((1280, 800), (375, 812)):
        reader.tab.show(width=width, height=height)
        speak(reader, f"It is heard at {width}.")
        reader.wait(IS_HEARD)
        assert reader.tab.run(f"[Boolean(at('.dock')), {players}]") == [False, 1]
        assert reader.tab.run(_COVERED) == []
        # Out of sight of its card, and on another page, the dock has it.
        reader.tab.run("(at('#speak-input').style.height = '3000px', scrollTo(0, 0))")
        reader.wait("at('.dock #player-play')")
        assert reader.tab.run(players) == 1
        reader.tab.run("at('#speak-input').style.height = ''")
        reader.tab.run("at('#speak-player').scrollIntoView()")
        reader.wait("!at('.dock') && at('#player-play')")
        reader.go("account")
        reader.wait("at('.dock #player-play')")
        assert reader.tab.run(players) == 1
        reader.tab.run("scrollTo(0, document.documentElement.scrollHeight)")
        assert reader.tab.run(_COVERED) == []
        reader.go("speak")
        reader.wait("!at('.dock') && at('#player-play')")
    # Another sound takes the dock, and the card has its own again once it is played there.
    reader.tab.show(width=1280)
    open_picker(reader)
    reader.press("Play Alloy", "at('#picker')")
    reader.wait("at('.dock #player-play')")
    reader.tab.run("at('#picker').close()")
    assert reader.tab.run(f"{players}") == 1
    reader.press("Play", "at('#speak-result')")
    reader.wait("!at('.dock') && at('#speak-result #player-play')")


_LATE = """
[server]
default_model = "tts-1"
robot_fallback = true
[engines.far]
plugin = "openai"
base_url = "http://127.0.0.1:9/v1"
api_key = "none"
models = ["tts-1"]
[engines.espeak]
processes = 1
[models]
tts-1 = ["far/tts-1", "espeak/standard"]
"""


def test_a_robot_in_place_of_a_voice_says_so_and_the_voice_may_be_asked_again(
    reader: Reader, tmp_path: Path
) -> None:
    with running(tmp_path, _LATE) as server:
        late = reader._replace(server=server, key=server.mint_key("ana", plan="unlimited"))
        late.open()
        speak(late, "Good morning, my friends.")
        late.wait(IS_HEARD)
        late.reads("A robot read this. Alloy did not begin in time.", "#speak-instead")
        late.assert_readable(ALL_LOOKS)
        # What is typed by now is another text.
        late.fill("#speak-input", "Something else.")
        late.press("Say it again with Alloy")
        asked = "performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/speech'))"
        late.wait(f"{asked}.length === 2")
        late.wait(IS_HEARD)
        late.reads("Good morning, my friends.", "#speak-result .words")
        late.reads("A robot read this.", "#speak-instead")
        reader.tab.requests.clear()
        reader.tab.open("about:blank")


def test_every_format_of_the_server_can_be_chosen(reader: Reader) -> None:
    reader.open()
    reader.press("More")
    assert set(reader.tab.run("[...at('#speak-format').options].map((each) => each.value)")) == set(FORMATS)


@pytest.mark.parametrize("looks", [LOOKS, *soak((ALL_LOOKS,))])
def test_it_can_be_read_in_each_state(reader: Reader, looks: tuple[tuple[int, str], ...]) -> None:
    turns = [(each,) for each in looks] if len(looks) == 2 else [looks, looks]
    reader.open()
    reader.wait("at('#speak-estimate').textContent")
    reader.press("More")
    reader.assert_readable(turns[0])
    speak(reader, "Hi <b>there</b>.")
    reader.wait(IS_HEARD)
    reader.assert_readable(turns[1])
    speak(reader, " ")
    reader.wait("at('[role=alert]')")
    reader.assert_readable(turns[0], "main")
    open_picker(reader)
    reader.wait("at('#picker')?.open")
    reader.assert_readable(turns[1], "#picker")


def test_a_reader_of_thai_speaks_thai(reader: Reader) -> None:
    text = "สวัสดีครับ ยินดีต้อนรับ"
    reader.open()
    reader.choose(".tongue", "th")
    reader.wait("document.documentElement.lang === 'th'")
    # The example of the language takes the place of that in English, and the caret goes behind it.
    reader.wait("at('#speak-input')?.value.startsWith('สวัสดี')")
    reader.fill("#speak-input", text)
    reader.reads("ไทย", "#speak-language")
    speak(reader)
    assert heard(reader) == text
    assert "tone/standard" in reader.text("#speak-by")
    reader.assert_readable(LOOKS)
    reader.choose(".tongue", "en")


def test_the_example_is_in_a_language_that_is_spoken_naturally_by_now(reader: Reader) -> None:
    reader.open()
    reader.choose(".tongue", "es")
    reader.wait("document.documentElement.lang === 'es'")
    modules = [f"import('{_module(reader, f'core/{name}.js')}')" for name in ("catalogue", "draft")]
    shown = reader.tab.run(
        f"Promise.all([{', '.join(modules)}]).then(([{{ catalogue }}, {{ draft, showExample }}])"
        " => [[], ['en-US'], ['en-US', 'es']].map((tags) => {"
        " const natural = { id: 'n/m', owned_by: 'n', is_trained: true, spoken_languages: tags };"
        " const robot = { id: 'r/m', owned_by: 'r', is_trained: false, spoken_languages: ['en', 'es'] };"
        " catalogue.models = tags.length ? [natural, robot] : [robot];"
        " showExample(); return draft.text.split('!')[0]; }))"
    )
    reader.choose(".tongue", "en")
    assert shown == ["¡Buenos días", "Good morning", "¡Buenos días"]


def test_a_text_that_was_checked_says_so(reader: Reader) -> None:
    reader.open()
    reader.press("More")
    reader.tab.run("at('#speak-check').click()")
    speak(reader, "Hello there.")
    reader.reads("Checked", "#player-checked")
