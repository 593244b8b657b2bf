"""The page at /, in a real browser on a real server: what a stranger types, hears, copies and is told."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

from plugins.tone.decode import decode
from proxy.api.welcome import TryPage
from proxy.audio.formats import FORMATS
from tests.browser import Tab, chromium
from tests.proxy.api import try_page
from tests.proxy.api.try_page import speak
from tests.server import TONE, Server, running
from tests.sound import decoded
from tests.tables import soak

_TEXT = """It's "quoted", costs $5, and has a \\ in it."""
_LISTEN = """
window.played = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when) {
  const { sampleRate: rate } = this.buffer;
  window.played.push({ when, rate, samples: Array.from(this.buffer.getChannelData(0)) });
  return start.call(this, when);
};
"""
"""Notes what the loudspeaker is given, and when."""
_PLAY = "document.querySelector('[name=voice][value=\"{}\"]').closest('li').querySelector('button').click()"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    one_slot = TONE.replace("[engines.tone]", "[engines.tone]\nslots = 1")
    with running(tmp_path_factory.mktemp("server"), one_slot) as opened:
        yield opened


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with chromium(tmp_path_factory.mktemp("profile")) as tab:
        tab.call("Page.addScriptToEvaluateOnNewDocument", source=_LISTEN)
        yield tab


@pytest.fixture
def page(browser: Tab, server: Server) -> Tab:
    browser.show(width=1280)
    try_page.open_page(browser, server)
    browser.run("(at('input').value = 'Hi.', refresh())")
    browser.complaints.clear()
    browser.requests.clear()
    return browser


def _choose(page: Tab, voice: str) -> None:
    """What a click on a voice in the list does."""
    page.run(f"document.querySelector('[name=voice][value={json.dumps(voice)}]').click()")


def _set(page: Tab, field: str, value: str) -> None:
    page.run(f"(at('{field}').value = {json.dumps(value)}, at('{field}').dispatchEvent(new Event('input')))")


def _is(page: Tab, script: str) -> str:
    return str(page.run(script))


def test_a_text_is_heard_and_can_be_kept(page: Tab, server: Server, tmp_path: Path) -> None:
    try_page.enter_key(page, server.key)
    try_page.fill(page, "input", _TEXT)
    speak(page)
    page.wait(try_page.IS_HEARD)
    pieces = page.run("window.played")
    samples = np.concatenate([np.array(piece["samples"]) for piece in pieces])
    assert decode(samples, pieces[0]["rate"]) == (_TEXT,)
    kept = decoded(page.downloaded(tmp_path, "at('save').click()"), "wav")
    assert decode(kept.samples, kept.sample_rate_hz) == (_TEXT,)
    assert "by tone/standard in English." in _is(page, "at('by').textContent")
    assert page.run("document.querySelector('#wave .on, #wave rect').getAttribute('height') > 2")
    assert not page.complaints


def test_sound_is_heard_while_the_rest_is_spoken_and_a_stop_ends_the_request(
    page: Tab, server: Server
) -> None:
    try_page.enter_key(page, server.key)
    _choose(page, "tone/slow")
    try_page.fill(page, "input", "A long text. " * 200)
    speak(page)
    page.wait("window.played.length > 1")
    first, second, *_ = page.run("window.played")
    # A piece may come late on a busy machine, but no piece may be heard over another.
    assert second["when"] >= first["when"] + len(first["samples"]) / first["rate"] - 1e-6
    page.run("(at('stop').focus(), at('stop').click())")
    page.wait("at('status').textContent === 'Stopped.'")
    seen = page.run("[at('stop').hidden, at('heard').hidden, document.activeElement.id]")
    assert seen == [True, True, "speak"]
    # The engine has one slot: the next answer shows that the first request has given it back.
    _choose(page, "alloy")
    try_page.fill(page, "input", "Short.")
    speak(page)
    page.wait(try_page.IS_HEARD)


def test_the_curl_line_says_what_the_page_says(page: Tab, server: Server, tmp_path: Path) -> None:
    try_page.enter_key(page, server.key)
    try_page.fill(page, "input", _TEXT)
    _set(page, "format", "mp3")
    _set(page, "language", "en")
    line = _is(page, "at('curl').textContent")
    assert server.key not in line
    assert '"language":"en"' in line
    environ = {**os.environ, "KEY": server.key}
    subprocess.run(["sh", "-c", line], env=environ, cwd=tmp_path, check=True, timeout=60)
    heard = decoded((tmp_path / "speech.mp3").read_bytes(), "mp3")
    assert decode(heard.samples, heard.sample_rate_hz) == (_TEXT,)


def test_another_format_is_spoken_once_more_as_it_was_said(page: Tab, server: Server, tmp_path: Path) -> None:
    try_page.enter_key(page, server.key)
    try_page.fill(page, "input", _TEXT)
    speak(page)
    page.wait(try_page.IS_HEARD)
    try_page.fill(page, "input", "Something else.")
    _set(page, "format", "flac")
    assert page.run("at('save').innerText").strip() == "Download FLAC"
    kept = decoded(page.downloaded(tmp_path, "at('save').click()"), "flac")
    assert decode(kept.samples, kept.sample_rate_hz) == (_TEXT,)


@pytest.mark.parametrize("text", ["Yes", "A", "1"])
def test_a_text_of_one_word_is_heard_to_its_end(page: Tab, server: Server, text: str) -> None:
    try_page.enter_key(page, server.key)
    try_page.fill(page, "input", text)
    speak(page)
    page.wait(try_page.IS_HEARD)
    pieces = page.run("window.played")
    samples = np.concatenate([np.array(piece["samples"]) for piece in pieces])
    assert decode(samples, pieces[0]["rate"]) == (text,)
    assert page.run("at('words').textContent") == text
    page.run("at('play').focus()")
    page.press("Enter")
    page.wait("at('audio').ended")
    assert page.run("at('play').ariaLabel") == "Play"


def test_each_word_is_shown_while_it_is_heard(page: Tab, server: Server) -> None:
    try_page.enter_key(page, server.key)
    _choose(page, "tone/tone")
    text = "One two three, and four."
    try_page.fill(page, "input", text)
    page.run(
        "(window.seen = [], new MutationObserver(() => { const now = document.querySelector('.now');"
        " if (now && seen.at(-1) !== now.textContent) seen.push(now.textContent); })"
        ".observe(at('words'), { subtree: true, childList: true, attributes: true }))"
    )
    speak(page)
    page.wait(try_page.IS_HEARD)
    assert page.run("at('words').textContent") == text
    assert page.run("at('guessed').hidden")
    # The last word stays until the sound is over, and a slow machine may miss a short one.
    assert set(page.run("seen")) <= set(text.replace(",", " ").replace(".", " ").split()) | set(text.split())
    assert len(page.run("seen")) >= 3
    # The slider goes where it is put, and takes the words along.
    page.run("(at('seek').value = at('seek').max * 0.99, at('seek').dispatchEvent(new Event('input')))")
    page.wait("document.querySelector('.now')?.textContent.startsWith('four')")
    assert float(page.run("at('audio').currentTime")) > 0


def test_times_that_nobody_told_are_said_to_be_worked_out(page: Tab) -> None:
    word = {"word": "Hi.", "start_seconds": 0, "source_start": 0, "source_end": 3, "interpolated": True}
    page.run(
        "(window.made = new Clip({ input: 'Hi.' }, null, { parts: [], samples: 0, seconds: 1, position: 0 }),"
        f" made.add([{json.dumps(word)}]), at('heard').hidden = false)"
    )
    assert page.run("at('guessed').checkVisibility()")
    assert "worked out" in _is(page, "at('guessed').textContent")


def test_a_voice_is_heard_before_it_is_chosen_and_one_at_a_time(page: Tab, server: Server) -> None:
    try_page.enter_key(page, server.key)
    page.run("at('speak').focus()")
    page.press("Tab")
    page.run(_PLAY.format("tone/slow"))
    page.wait("at('preview').src")
    # In one go: a short preview may be over before the next look.
    begun = "[preview.voice.id, document.querySelectorAll('[aria-label^=Stop\\ ]').length]"
    assert page.run(f"{_PLAY.format('tone/tone')}, {begun}") == ["tone/tone", 1]
    page.wait("!preview")
    assert page.run("[chosen, at('preview').ended]") == ["alloy", True]
    assert not page.complaints


def test_a_voice_without_a_language_is_previewed_in_the_chosen_one(page: Tab, server: Server) -> None:
    try_page.enter_key(page, server.key)
    _set(page, "language", "pt")
    page.requests.clear()
    page.run(_PLAY.format("alloy"))
    page.wait("!preview")
    assert any("preview" in url and "language=pt" in url for url in page.requests)


def test_voices_are_found_by_name_language_and_gender(page: Tab, server: Server) -> None:
    try_page.enter_key(page, server.key)
    listed = (
        '[["a/1", "Ana", "pt-BR", "female"], ["b/2", "Ben", "en-GB", "male"], ["c", "Cy", null, "male"]]'
        '.map(([id, name, language, gender]) => ({ id, name, language, gender, type: "catalogue",'
        ' engines: ["tone"], tags: [], description: "", alias_of: id === "c" ? "b/2" : undefined }))'
    )
    page.run(f"(voices = {listed}, at('finder').hidden = false, showVoices())")
    shown = "[...at('voice').querySelectorAll('.name')].map((each) => each.textContent)"
    for sought, found in [("male", ["Ben", "Cy"]), ("female portuguese", ["Ana"]), ("zzz", [])]:
        _set(page, "find", sought)
        assert page.run(shown) == found
    _set(page, "find", "")
    _set(page, "language", "pt")
    assert page.run(shown) == ["Ana", "Cy"]
    assert "male · same voice as Ben" in _is(page, "at('voice').textContent")


@pytest.mark.parametrize(
    ("engines", "language", "said"),
    [
        (["piper"], "th", "No natural voice of this server speaks Thai, so plain did"),
        (["piper"], "en", ""),
        (["plain"], "en", "The operator of this server can add natural voices with: voxgate voices natural"),
    ],
)
def test_it_says_when_no_natural_voice_speaks_the_language(
    page: Tab, engines: list[str], language: str, said: str
) -> None:
    page.run(f"(voices = [{{ id: 'x/joe', language: 'en-US', engines: {json.dumps(engines)} }}], 0)")
    # By what a model is, not by its name: this section of espeak has a name of its own.
    known = [
        {"id": "plain/standard", "owned_by": "plain", "is_trained": False},
        {"id": "piper/joe", "owned_by": "piper", "is_trained": True},
    ]
    page.run(f"(models = {json.dumps(known)}, 0)")
    headers = json.dumps({"x-voxgate-engine": "plain/standard", "x-voxgate-language": language})
    told = _is(page, f"plainWords({{ voice: {{ id: 'alloy' }} }}, new Headers({headers}))")
    assert said in told
    assert bool(said) == bool(told)
    assert page.run(f"plainWords({{ voice: {{ id: 'plain/f3' }} }}, new Headers({headers}))") == ""


def test_voices_are_marked_as_natural_or_as_speaking_by_rules(page: Tab) -> None:
    known = [
        {"id": "plain/standard", "owned_by": "plain", "is_trained": False},
        {"id": "kokoro/standard", "owned_by": "kokoro", "is_trained": True},
    ]
    page.run(f"(models = {json.dumps(known)}, 0)")
    for engines, said in (
        (["kokoro"], "natural"),
        (["plain"], "speaks by rules"),
        (["kokoro", "plain"], "natural in some languages"),
        (["unheard"], ""),
    ):
        voice = json.dumps(
            {"id": "x/v", "name": "V", "type": "catalogue", "gender": "male", "engines": engines}
        )
        facts = page.run(f"factsOf({voice})")
        assert facts == ["male", "x", *filter(None, [said])]


def test_a_wrong_key_is_told_beside_its_field(page: Tab) -> None:
    try_page.fill(page, "key", "sk-vg-wrong")
    page.press("Enter")
    page.wait("!at('alert').hidden")
    assert "Incorrect API key" in _is(page, "at('alert').textContent")
    assert page.run("[document.activeElement.id, at('key').getAttribute('aria-invalid')]") == ["key", "true"]
    assert page.run("at('key').parentElement.contains(at('alert'))")


def test_an_error_of_the_api_is_told_beside_the_field_that_it_names(page: Tab, server: Server) -> None:
    try_page.enter_key(page, server.key)
    try_page.fill(page, "input", " ")
    speak(page)
    page.wait("!at('alert').hidden")
    assert page.run("document.activeElement.id") == "input"
    try_page.fill(page, "input", "Now with words.")
    page.press("Enter", ctrl=True)
    page.wait(try_page.IS_HEARD)
    assert page.run("[at('alert').hidden, at('input').hasAttribute('aria-invalid')]") == [True, False]


def test_an_answer_that_breaks_off_is_told(page: Tab, server: Server) -> None:
    try_page.enter_key(page, server.key)
    _choose(page, "tone/fail-late")
    speak(page)
    page.wait("!at('alert').hidden")
    assert "broke off" in _is(page, "at('alert').textContent")
    assert page.run("[at('heard').hidden, at('stop').hidden]") == [True, True]


def test_an_answer_without_an_end_is_told_too(page: Tab, server: Server) -> None:
    try_page.enter_key(page, server.key)
    page.run(
        "(window.real = window.fetch, window.fetch = async (url, more) => {"
        " const answer = await real(url, more); if (!url.endsWith('/speech')) return answer;"
        " const whole = await answer.text(); const cut = whole.slice(0, whole.indexOf('data: ', 10));"
        " return new Response(cut, { headers: answer.headers }); }, 0)"
    )
    speak(page)
    page.wait("!at('alert').hidden")
    assert _is(page, "at('alert').textContent") == "The answer broke off before its end."
    assert page.run("[at('heard').hidden, clip]") == [True, None]


def test_every_format_of_the_server_can_be_chosen(page: Tab) -> None:
    assert set(page.run("FORMATS")) == set(FORMATS)
    assert page.run("at('format').length") == len(FORMATS)


def test_the_link_of_the_banner_opens_the_page_and_leaves_no_key_in_the_address(
    page: Tab, server: Server
) -> None:
    page.open("about:blank")
    page.requests.clear()
    page.open(f"{server.url}/#key={server.key}")
    page.wait(try_page.HAS_VOICES)
    assert page.run("[location.href, history.length > 0, at('door').hidden]") == [
        f"{server.url}/",
        True,
        True,
    ]
    entries = page.call("Page.getNavigationHistory")["entries"]
    assert entries[-1]["url"] == f"{server.url}/"
    # The browser notes the fragment of what it was told to open; a server never gets one.
    sent = [url.partition("#")[0] for url in page.requests]
    assert sent
    assert not [url for url in sent if server.key in url]
    assert page.run("at('own-about').textContent") != ""
    page.run(f"location.hash = 'key={server.key}'")
    page.wait("location.hash === ''")


def test_a_key_that_cannot_be_read_is_no_key(page: Tab, server: Server) -> None:
    try_page.enter_key(page, server.key)
    page.open("about:blank")
    page.open(f"{server.url}/#key=%")
    page.wait(try_page.HAS_VOICES)
    assert page.run("[location.hash, at('key').value, at('other').open]") == ["", server.key, False]


@pytest.mark.parametrize("is_there", [True, False], ids=["where the page is", "in a new page"])
def test_the_key_of_a_link_replaces_another_only_if_the_reader_says_so(
    page: Tab, server: Server, is_there: bool
) -> None:
    def follow(key: str) -> None:
        if not is_there:
            page.open("about:blank")
        page.open(f"{server.url}/#key={key}")
        page.wait("location.hash === ''")
        page.wait(try_page.HAS_VOICES)

    try_page.enter_key(page, server.key)
    follow(server.key)
    assert page.run("at('other').open") is False
    follow("sk-vg-other")
    page.wait("at('other').open")
    try_page.load_axe(page)
    try_page.assert_readable(page, try_page.WIDE, "#other")
    assert page.run("[at('key').value, document.activeElement.id]") == [server.key, "other-keep"]
    page.press("Enter")
    page.wait("!at('other').open")
    assert page.run("[at('key').value, keptKey()]") == [server.key, server.key]
    follow("sk-vg-other")
    page.wait("at('other').open")
    page.run("at('other-use').click()")
    page.wait("!at('alert').hidden")
    assert page.run("[at('key').value, keptKey(), at('door').hidden]") == ["sk-vg-other", "", False]


def test_the_key_is_kept_for_the_session_of_the_tab_alone(page: Tab, server: Server) -> None:
    try_page.enter_key(page, server.key)
    kept = page.run(
        "indexedDB.databases().then(bases => JSON.stringify([bases, {...localStorage},"
        " document.cookie, history.state, location.href, document.documentElement.outerHTML]))"
    )
    assert server.key not in kept
    page.open(f"{server.url}/")
    page.wait(try_page.HAS_VOICES)
    assert page.run("at('key').value") == server.key
    page.run("at('key-change').click()")
    page.open(f"{server.url}/")
    assert page.run("[at('key').value, at('door').hidden]") == ["", False]


def test_the_page_asks_nobody_but_its_server(page: Tab, server: Server) -> None:
    try_page.open_page(page, server)
    try_page.enter_key(page, server.key)
    try_page.fill(page, "input", "Hi.")
    speak(page)
    page.wait(try_page.IS_HEARD)
    others = [
        url for url in page.requests if not url.startswith((f"{server.url}/", f"blob:{server.url}", "data:"))
    ]
    assert page.requests
    assert not others


def test_the_keyboard_is_enough(page: Tab, server: Server) -> None:
    page.run("document.body.focus()")
    places: list[str] = []
    while page.run("document.activeElement.id") != "key":
        page.press("Tab")
    page.type(server.key)
    page.press("Enter")
    page.wait(f"{try_page.HAS_VOICES} && document.activeElement.id === 'input'")
    for _ in range(3):
        page.press("Tab")
        places.append(page.run("document.activeElement.id"))
    assert places == ["pick", "language", "speak"]
    # Straight to the chosen voice, and back to the others by the arrows.
    page.run("at('pick').focus()")
    page.press("Enter")
    assert page.run("document.activeElement.value") == "alloy"
    page.press("ArrowDown")
    assert page.run("[chosen !== 'alloy', chosen === document.activeElement.value]") == [True, True]
    page.press("Tab")
    assert page.run("document.activeElement.ariaLabel.startsWith('Play ')")
    page.run("at('speak').focus()")
    page.press("Enter")
    page.wait(try_page.IS_HEARD)


def test_a_focus_on_the_stop_button_outlives_it(page: Tab, server: Server) -> None:
    try_page.enter_key(page, server.key)
    speak(page)
    page.wait("!at('stop').hidden")
    page.run("at('stop').focus()")
    page.wait(try_page.IS_HEARD)
    assert page.run("[document.activeElement.id, at('stop').hidden]") == ["speak", True]


@pytest.mark.parametrize("looks", [try_page.IN_TURN, *soak((try_page.ALL_LOOKS,))])
def test_everybody_can_read_it(page: Tab, server: Server, looks: tuple[try_page.Looks, ...]) -> None:
    turns = cycle(looks)
    try_page.open_page(page, server)
    try_page.load_axe(page)
    page.run("(at('input').value = 'Hi there.', refresh())")
    try_page.assert_readable(page, next(turns), "main")
    try_page.enter_key(page, server.key)
    try_page.assert_readable(page, next(turns))
    speak(page)
    page.wait(try_page.IS_HEARD)
    page.run("(at('guessed').hidden = at('plainly').hidden = false, at('plainly').textContent = 'Plainly.')")
    page.run("document.querySelector('details').open = true")
    try_page.assert_readable(page, next(turns), "main")
    try_page.fill(page, "input", " ")
    speak(page)
    page.wait("!at('alert').hidden")
    try_page.assert_readable(page, next(turns), "main")


def test_the_page_is_light() -> None:
    page = TryPage().page
    assert len(gzip.compress(page.html.encode())) < 60_000
