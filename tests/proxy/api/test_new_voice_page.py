"""A new voice on the page at /: recorded or chosen, judged, agreed to, made, heard and deleted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, cycle
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from plugins.tone.decode import decode_timbres
from tests import speech_clips
from tests.browser import Tab
from tests.proxy.api import try_page
from tests.proxy.api.try_page import record, told
from tests.server import ALONE, Server, running
from tests.sound import decoded
from tests.tables import soak

_RATE_HZ = 24_000
_WAIVED = '[plans.waived]\nconsent = "waived"\n'
_LOSE_ONE_ANSWER = """
(() => {
  const real = window.fetch;
  window.fetch = async (url, more) => {
    const answer = await real(url, more);
    if (!url.endsWith("/audio/voices")) return answer;
    window.fetch = real;
    throw new TypeError("lost");
  };
})()
"""
_ANSWER_LATE = """
(() => {
  const real = navigator.mediaDevices.getUserMedia;
  const answer = new Promise((resolve) => { window.allow = resolve; });
  navigator.mediaDevices.getUserMedia = async (wanted) => (await answer, real(wanted));
})()
"""
_names = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    named = ALONE.replace("[server]", '[server]\nhosts = ["voices.test", "127.0.0.1"]')
    with running(tmp_path_factory.mktemp("server"), named + _WAIVED) as opened:
        yield opened


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with try_page.speaking_browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def key(server: Server) -> str:
    """The key of a new account."""
    return server.mint_key(f"new-{next(_names)}", plan="unlimited").secret


@pytest.fixture
def page(browser: Tab, server: Server, key: str) -> Tab:
    browser.show(width=1280)
    try_page.open_maker(browser, server, key)
    browser.complaints.clear()
    return browser


def _file(folder: Path, samples: NDArray[np.float64]) -> Path:
    file = folder / "chosen.wav"
    soundfile.write(file, samples, _RATE_HZ, "PCM_16")
    return file


def _choose(page: Tab, recorder: str, file: Path) -> str:
    page.choose_file(f"#{recorder} [data-part=file]", file)
    return told(page, recorder)


@pytest.mark.clock
def test_a_voice_is_recorded_agreed_to_made_heard_and_deleted(
    page: Tab, server: Server, key: str, tmp_path: Path
) -> None:
    try_page.fill(page, "own-name", "Ana")
    told = record(page, "sample", 6.5)
    # A browser that gets no processor loses sound, and the page says so: one speaks again, and longer.
    while told.endswith("6 to 30 seconds are better."):
        told = record(page, "sample", 20.0)
    assert told.endswith("Its length and level are good.")
    assert "I consent to voxgate" in str(page.run("at('phrase').textContent"))
    # Three seconds of speech are needed, and a busy browser loses some.
    record(page, "reading", 8.0)
    assert page.run(try_page.MICROPHONE_IS_FREE)
    assert try_page.create(page).startswith("Ana is made. Its quality is ")
    assert page.run("document.activeElement.querySelector('h3').textContent") == "Ana"
    with server.client(key) as client:
        [voice] = client.get("/v1/audio/voices", params={"mine": "true"}).json()["data"]
        consent = client.get(f"/v1/audio/voice_consents/{voice['consent']}").json()
        assert (voice["name"], voice["language"], consent["kind"]) == ("Ana", "en-US", "recording")
        assert voice["quality"]["rating"] in page.run("at('own-list').textContent")
        page.run("document.querySelector('[aria-label=\"Use Ana\"]').click()")
        assert page.run("[chosen, document.activeElement.id]") == [voice["id"], "input"]
        _assert_heard(page, tmp_path, 6.0)
        page.run("document.querySelector('[aria-label=\"Delete Ana\"]').click()")
        page.run("(at('doom-both').click(), at('doom-delete').click())")
        page.wait("at('own-status').textContent.includes('consent')")
        said = "Ana is deleted. Nothing of it is left on this server. Its consent is deleted too."
        assert page.run("at('own-status').textContent") == said
        assert page.run("[at('own-list').children.length, document.activeElement.id]") == [0, "own-new"]
        assert client.get(f"/v1/audio/voices/{voice['id']}").status_code == 404
        assert client.get(f"/v1/audio/voice_consents/{consent['id']}").status_code == 404
        assert client.get(f"/v1/audio/voices/erasures/{voice['id']}").json()["pending"] == []
    assert voice["id"] not in page.run("at('voice').innerHTML")
    assert not page.complaints


def _assert_heard(page: Tab, folder: Path, least_s: float) -> None:
    """Speak with the chosen voice: the answer says of what recording the voice was made."""
    try_page.fill(page, "input", "Hello.")
    try_page.speak(page)
    page.wait(try_page.IS_HEARD)
    kept = decoded(page.downloaded(folder, "at('save').click()"), "wav")
    [timbre] = decode_timbres(kept.samples, kept.sample_rate_hz)
    assert timbre.seconds > least_s
    assert timbre.pitch_hz > 50


def test_a_bad_file_is_refused_in_the_words_of_the_server(
    page: Tab, server: Server, key: str, tmp_path: Path
) -> None:
    bad = tmp_path / "letter.wav"
    bad.write_text("This is no sound. " * 100)
    try_page.state(page, "Ana")
    assert _choose(page, "sample", bad) == "This browser cannot read it. The server says whether it can."
    said = try_page.create(page)
    assert said == "Invalid 'audio_sample': it cannot be read as wav, mp3, m4a, aac, ogg, webm or flac."
    assert page.run(f"document.activeElement === {try_page.part('sample', 'file')}")
    assert page.run("at('sample').contains(at('alert'))")
    assert page.run(f"{try_page.part('sample', 'file')}.getAttribute('aria-errormessage')") == "alert"
    # The consent that was kept for the first try serves the second one.
    _choose(page, "sample", speech_clips.wav_file())
    assert page.run("at('alert').hidden")
    assert try_page.create(page).startswith("Ana is made.")
    with server.client(key) as client:
        assert len(client.get("/v1/audio/voice_consents").json()["data"]) == 1


def test_a_file_that_is_too_large_is_not_sent(page: Tab, tmp_path: Path) -> None:
    large = tmp_path / "large.wav"
    large.write_bytes(bytes(10 * 1024 * 1024 + 1))
    page.choose_file("#sample [data-part=file]", large)
    page.wait(f"{try_page.part('sample', 'said')}.textContent")
    assert "more than 10 MiB" in str(page.run(f"{try_page.part('sample', 'said')}.textContent"))
    try_page.state(page, "Ana")
    assert try_page.create(page) == "Record the voice, or choose a file."


def test_a_voice_is_made_once_if_the_answer_is_lost(page: Tab, server: Server, key: str) -> None:
    try_page.state(page, "Ana")
    _choose(page, "sample", speech_clips.wav_file())
    page.run(_LOSE_ONE_ANSWER)
    assert try_page.create(page) == "The server cannot be reached. Does it still run?"
    assert try_page.create(page).startswith("Ana is made.")
    with server.client(key) as client:
        assert len(client.get("/v1/audio/voices", params={"mine": "true"}).json()["data"]) == 1


def test_with_the_key_of_a_link_the_first_upload_is_asked_about(browser: Tab, server: Server) -> None:
    name = f"new-{next(_names)}"
    key = server.mint_key(name, plan="unlimited").secret
    try_page.open_page(browser, server)
    browser.open("about:blank")
    browser.open(f"{server.url}/#key={key}")
    browser.wait(try_page.HAS_VOICES)
    # A reload does not make it the reader's own.
    browser.open(f"{server.url}/")
    browser.wait("!at('own-new').hidden")
    assert browser.run("at('other').open") is False
    browser.run("at('own-new').click()")
    browser.wait("at('own-language').options.length")
    try_page.speaks(browser, "en-US")
    try_page.state(browser, "Ana")
    _choose(browser, "sample", speech_clips.wav_file())
    browser.run("at('create').click()")
    browser.wait("at('other').open")
    assert browser.run("at('other-title').textContent") == f"Upload to the account “{name}”?"
    assert browser.run("document.activeElement.id") == "other-keep"
    browser.press("Enter")
    browser.wait("!making && !at('other').open")
    with server.client(key) as client:
        assert client.get("/v1/audio/voice_consents").json()["data"] == []
        browser.run("at('create').click()")
        browser.wait("at('other').open")
        browser.run("at('other-use').click()")
        browser.wait("!making && at('maker').hidden")
        assert len(client.get("/v1/audio/voice_consents").json()["data"]) == 1
    browser.open(f"{server.url}/")
    browser.wait(try_page.HAS_VOICES)
    assert browser.run("mayUpload(keptKey())") is True


def test_a_name_that_is_taken_is_told_beside_the_name(page: Tab) -> None:
    try_page.state(page, "alloy")
    _choose(page, "sample", speech_clips.wav_file())
    assert try_page.create(page) == "'alloy' is a voice of the server; take another name."
    assert page.run("document.activeElement.id") == "own-name"


def test_what_is_cancelled_leaves_nothing(page: Tab, server: Server, key: str, tmp_path: Path) -> None:
    try_page.state(page, "Ana")
    _choose(page, "sample", _file(tmp_path, np.zeros(8 * _RATE_HZ)))
    assert "silent" in try_page.create(page)
    with server.client(key) as client:
        assert len(client.get("/v1/audio/voice_consents").json()["data"]) == 1
        page.run("at('cancel').click()")
        page.wait("at('own-status').textContent === 'Nothing was kept.'")
        assert client.get("/v1/audio/voice_consents").json()["data"] == []
    assert page.run("[at('maker').hidden, at('alert').hidden, document.activeElement.id]") == [
        True,
        True,
        "own-new",
    ]
    page.run("at('own-new').click()")
    assert page.run("[at('own-name').value, at('own-statement').value, sample.take]") == ["", "", None]


def _tone(seconds: float, level: float) -> NDArray[np.float64]:
    return level * np.sin(np.arange(round(seconds * _RATE_HZ)) * 2 * np.pi * 220 / _RATE_HZ)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (_tone(2, 0.3), "2.0 seconds. It is too short: at least 3 seconds of speech are needed."),
        (_tone(4, 0.3), "4.0 seconds. It is short: 6 to 30 seconds are better."),
        (_tone(40, 0.3), "40.0 seconds. It is long: 6 to 30 seconds are enough."),
        (_tone(8, 0.0), "8.0 seconds. It is silent: is the right microphone on?"),
        (_tone(8, 0.01), "8.0 seconds. It is very quiet: turn the microphone up, or move closer to it."),
        (np.clip(_tone(8, 3.0), -1, 1), "8.0 seconds. It is distorted, because it was too loud: "),
        (_tone(8, 0.3), "8.0 seconds. Its length and level are good."),
    ],
    ids=["too-short", "short", "long", "silent", "quiet", "clipped", "good"],
)
def test_the_browser_says_what_it_can_know_before_anything_is_sent(
    page: Tab, tmp_path: Path, samples: NDArray[np.float64], said: str
) -> None:
    assert _choose(page, "sample", _file(tmp_path, samples)).startswith(said)
    page.run(f"{try_page.part('sample', 'discard')}.click()")
    assert page.run(
        f"[{try_page.part('sample', 'kept')}.hidden, {try_page.part('sample', 'file')}.value]"
    ) == [True, ""]
    assert page.run(f"document.activeElement === {try_page.part('sample', 'record')}")


@pytest.mark.clock
@pytest.mark.parametrize(
    "leave",
    [
        "at('cancel').click()",
        "document.querySelector('[name=way][value=statement]').click()",
        f"{try_page.part('sample', 'record')}.click()",
        "(at('key').value = '', at('key').dispatchEvent(new Event('change')))",
    ],
    ids=["cancel", "another-way", "another-recorder", "another-key"],
)
def test_the_microphone_is_given_back_by_whatever_ends_a_recording(page: Tab, leave: str) -> None:
    page.run(f"{try_page.part('reading', 'record')}.click()")
    page.wait(f"!{try_page.part('reading', 'stop')}.hidden")
    page.run("(window.first = tracks[0])")
    assert page.run("first.readyState") == "live"
    page.run(leave)
    page.wait("first.readyState === 'ended'")
    page.run("at('maker').hidden || at('cancel').click()")
    page.wait(try_page.MICROPHONE_IS_FREE)


def test_a_microphone_that_comes_too_late_is_given_back(page: Tab) -> None:
    page.run(_ANSWER_LATE)
    page.run(f"({try_page.part('sample', 'record')}.click(), at('cancel').click(), allow())")
    page.wait(try_page.MICROPHONE_IS_FREE)
    assert page.run(f"[{try_page.part('sample', 'stop')}.hidden, sample.take]") == [True, None]


def test_a_browser_that_cannot_record_gives_the_microphone_back(page: Tab) -> None:
    page.run("window.MediaRecorder = class { constructor() { throw new Error('unknown'); } }")
    assert _refusal(page) == "This browser cannot record. Choose a file instead."
    assert page.run(try_page.MICROPHONE_IS_FREE)


@pytest.mark.clock
def test_the_keyboard_is_enough_to_record(page: Tab) -> None:
    assert page.run("document.activeElement.id") == "own-name"
    page.type("Ana")
    page.press("Tab")
    page.press("Tab")
    page.press("Enter")
    page.wait(f"!{try_page.part('sample', 'stop')}.hidden")
    assert page.run(f"document.activeElement === {try_page.part('sample', 'stop')}")
    page.press("Enter")
    page.wait(f"!{try_page.part('sample', 'kept')}.hidden")
    assert page.run(f"document.activeElement === {try_page.part('sample', 'record')}")


def test_the_sentence_is_in_the_language_of_the_voice(page: Tab) -> None:
    try_page.speaks(page, "pt")
    assert "Eu sou o propriet" in str(page.run("at('phrase').textContent"))


def test_a_plan_that_needs_no_consent_asks_for_none(browser: Tab, server: Server) -> None:
    try_page.open_maker(browser, server, server.mint_key(f"new-{next(_names)}", plan="waived").secret)
    browser.run("document.querySelector('[name=way][value=none]').click()")
    try_page.fill(browser, "own-name", "Ana")
    _choose(browser, "sample", speech_clips.wav_file())
    assert try_page.create(browser).startswith("Ana is made.")


def test_a_consent_serves_several_voices_and_can_be_deleted_without_them(page: Tab) -> None:
    assert page.run("document.querySelector('[name=way][value=kept]').closest('label').hidden")
    try_page.state(page, "Ana")
    _choose(page, "sample", speech_clips.wav_file())
    try_page.create(page)
    page.run("at('own-new').click()")
    page.wait("!document.querySelector('[name=way][value=kept]').closest('label').hidden")
    page.run("document.querySelector('[name=way][value=kept]').click()")
    try_page.fill(page, "own-name", "Bea")
    _choose(page, "sample", speech_clips.wav_file())
    # The page asks for the language, and guesses none.
    assert try_page.create(page) == "Choose the language that is spoken in the recording."
    assert page.run("document.activeElement.id") == "own-language"
    try_page.speaks(page, "en-US")
    assert try_page.create(page).startswith("Bea is made.")
    page.run("at('own-new').click()")
    page.wait("at('own-consent').length")
    page.run("(document.querySelector('[name=way][value=kept]').click(), at('own-forget').click())")
    page.wait("!at('alert').hidden")
    assert "needs this consent" in str(page.run("at('alert').textContent"))


@pytest.fixture(scope="module")
def deaf_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """None of its engines speaks recordings."""
    deaf = ALONE.replace("[engines.tone]", "[engines.tone]\nspeaks_samples = false\nclones = false")
    with running(tmp_path_factory.mktemp("deaf"), deaf) as opened:
        yield opened


def test_a_server_that_cannot_speak_a_recording_says_so_before_there_is_one(
    browser: Tab, deaf_server: Server
) -> None:
    browser.show(width=1280)
    try_page.open_maker(
        browser, deaf_server, deaf_server.mint_key(f"new-{next(_names)}", plan="unlimited").secret
    )
    try_page.load_axe(browser)
    told = "Nothing on this server can speak a voice of a recording"
    assert str(browser.run("at('own-hint').textContent")).startswith(f"{told}. The operator of this server")
    browser.run("(at('own-language').value = 'en', at('own-language').dispatchEvent(new Event('change')))")
    browser.wait(f"at('maker-hint').textContent.startsWith(\"{told} in the language 'en'\")")
    # Before the recorder, in the order of reading.
    assert browser.run("at('maker-hint').compareDocumentPosition(at('sample')) & 4") == 4
    try_page.assert_readable(browser, try_page.NARROW, "#own")
    try_page.state(browser, "Ana")
    _choose(browser, "sample", speech_clips.wav_file())
    assert try_page.create(browser).startswith("Ana is made.")
    buttons = "[...document.querySelectorAll('#own-list button')].map(({ disabled }) => disabled)"
    assert browser.run(buttons) == [True, True, False]
    assert "voxgate models pull" in browser.run("at('own-list').textContent")
    assert browser.run("at('voice').querySelector('[value^=voice_]').disabled")
    try_page.assert_readable(browser, try_page.WIDE, "#own")


@pytest.fixture(scope="module")
def strict_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """Its reader says no to the microphone, and knows the server by a name."""
    name = "--host-resolver-rules=MAP voices.test 127.0.0.1"
    with try_page.speaking_browser(tmp_path_factory.mktemp("strict"), name, is_allowed=False) as tab:
        yield tab


def test_a_microphone_that_is_refused_is_told(strict_browser: Tab, server: Server, key: str) -> None:
    try_page.open_maker(strict_browser, server, key)
    assert "does not let this page use the microphone" in _refusal(strict_browser)


def test_a_page_without_https_says_why_it_has_no_microphone(
    strict_browser: Tab, server: Server, key: str
) -> None:
    named = server._replace(url=server.url.replace("127.0.0.1", "voices.test"))
    try_page.open_maker(strict_browser, named, key)
    assert "only to pages over https" in _refusal(strict_browser)


def _refusal(page: Tab) -> str:
    page.run(f"{try_page.part('sample', 'record')}.click()")
    page.wait(f"/file/.test({try_page.part('sample', 'said')}.textContent)")
    return str(page.run(f"{try_page.part('sample', 'said')}.textContent"))


@pytest.mark.parametrize("looks", [try_page.IN_TURN, *soak((try_page.ALL_LOOKS,))])
def test_everybody_can_read_it(
    browser: Tab, server: Server, key: str, tmp_path: Path, looks: tuple[try_page.Looks, ...]
) -> None:
    page, turns = browser, cycle(looks)
    page.show(width=1280)
    try_page.open_maker(page, server, key)
    try_page.load_axe(page)
    _choose(page, "sample", _file(tmp_path, np.zeros(8 * _RATE_HZ)))
    page.run(f"{try_page.part('reading', 'record')}.click()")
    page.wait(f"!{try_page.part('reading', 'stop')}.hidden")
    try_page.assert_readable(page, next(turns), "#own")
    try_page.state(page, "A name that is long " * 4)
    try_page.create(page)
    try_page.assert_readable(page, next(turns), "#own")
    _choose(page, "sample", speech_clips.wav_file())
    try_page.create(page)
    try_page.assert_readable(page, next(turns), "#own")
    page.run("document.querySelectorAll('#own-list button')[2].click()")
    try_page.assert_readable(page, next(turns))
    page.run("at('doom-keep').click()")
