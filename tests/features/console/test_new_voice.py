"""A new voice: recorded or chosen, judged, agreed to, made, heard and erased."""

import json
import time
from pathlib import Path

import httpx2
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from plugins.tone.decode import decode_timbres
from tests import speech_clips
from tests.features.console.console_page import ALL_LOOKS, LOOKS, PLAIN, Reader, forget
from tests.features.console.test_speak import IS_HEARD, _module, speak
from tests.tables import soak
from tests.waiting import until

pytestmark = pytest.mark.slow_but("test_what_is_left_keeps_nothing")

_RATE_HZ = 24_000
_FIRST_MINUTE_S = 60.0
_SAMPLE, _READING = "#new-audio_sample", "#new-recording"
MICROPHONE_IS_FREE = "tracks.length && tracks.every(({ readyState }) => readyState === 'ended')"
_LOSE_ONE_ANSWER = """
(() => {
  const real = window.fetch;
  window.fetch = async (url, more) => {
    const answer = await real(url, more);
    if (!String(url).endsWith("/audio/voices") || more.method !== "POST") return answer;
    window.fetch = real;
    throw new TypeError("lost");
  };
})()
"""


_NO_VERDICT = """
(() => {
  const real = window.fetch;
  const good = async () => Response.json({ advice: "" });
  window.fetch = (url, more) => (String(url).includes("voice_quality") ? good() : real(url, more));
})()
"""
_HOLD_A_CONSENT = """
(() => {
  const real = window.fetch;
  const freed = new Promise((resolve) => { window.free = resolve; });
  window.fetch = async (url, more) => {
    const answer = await real(url, more);
    if (String(url).endsWith("/voice_consents") && more.method === "POST") await freed;
    return answer;
  };
})()
"""


def client(reader: Reader) -> httpx2.Client:
    return reader.server.client(reader.key.secret)


def own(reader: Reader) -> list[dict[str, object]]:
    with client(reader) as asked:
        return list(asked.get("/v1/audio/voices", params={"mine": "true"}).json()["data"])


def consents(reader: Reader) -> list[dict[str, object]]:
    with client(reader) as asked:
        return list(asked.get("/v1/audio/voice_consents").json()["data"])


def with_plan(reader: Reader, plan: str) -> Reader:
    """The same browser, with the key of an account of another plan."""
    return reader._replace(key=reader.server.mint_key(f"{plan}-{reader.key.id}", plan=plan))


def open_maker(reader: Reader, language: str = "en-US") -> None:
    reader.open("voices/new")
    reader.choose("#new-language", language)
    reader.wait("at('#new-phrase')?.lang")


def record(reader: Reader, button: str, seconds: float) -> str:
    """Speak into the microphone until the page shows so many seconds, and return what it says of that."""
    reader.wait(f"at('{button}')")
    reader.tab.run(f"at('{button}').click()")
    reader.wait(f"parseFloat(at('{button}-seconds')?.textContent) >= {seconds}")
    reader.tab.run(f"at('{button}').click()")
    return told(reader, button)


def told(reader: Reader, button: str) -> str:
    """What a recorder says of the recording that it has by now."""
    reader.wait(f"at('{button}-hear')")
    return reader.text(f"{button}-recorder .said")


def chosen(reader: Reader, button: str, file: Path) -> str:
    reader.file(f"{button}-file", file)
    return told(reader, button)


def state(reader: Reader, name: str) -> None:
    """Choose a name, and a consent in writing."""
    reader.fill("#new-name", name)
    reader.tab.run("at('#new-way-statement').click()")
    reader.fill("#new-statement", "Ana agreed on paper.")


def create(reader: Reader) -> str:
    """Press the button, and return what was refused, or ""."""
    reader.press("Create the voice")
    reader.wait("at('[role=alert]') || !at('#new-create') && at('#voice-about')")
    return reader.text("[role=alert]")


def heard_timbre(reader: Reader) -> float:
    """Speak with the chosen voice: its sound says how long the recording was of which it is made."""
    speak(reader, "A")
    reader.wait(IS_HEARD)
    pieces = reader.tab.run("played")
    samples = np.concatenate([np.array(piece["samples"]) for piece in pieces])
    [timbre] = decode_timbres(samples, pieces[0]["rate"])
    return float(timbre.seconds)


def erase(reader: Reader) -> None:
    """Delete the voice that is shown, with its consent."""
    reader.press("Delete")
    reader.wait("at('#question').open")
    reader.tab.run("at('#question-check').click()")
    reader.press("Delete", "at('#question')")
    reader.reads("Nothing of it is left on this server. Its consent is deleted too.")


@pytest.mark.clock
def test_a_voice_is_recorded_agreed_to_made_heard_and_erased(reader: Reader, tmp_path: Path) -> None:
    open_maker(reader)
    reader.fill("#new-name", "Ana")
    assert record(reader, _SAMPLE, 4.2).endswith("6 to 30 seconds are better.")
    assert reader.tab.run(MICROPHONE_IS_FREE)
    reader.reads("I am the owner of this voice", "#new-phrase")
    assert chosen(reader, _READING, speech_clips.wav_file()).startswith("13.1 seconds.")
    reader.tab.run("at('#new-uses [value=training]').click()")
    assert create(reader) == ""
    [voice], [consent] = own(reader), consents(reader)
    assert (voice["name"], voice["language"], consent["kind"]) == ("Ana", "en-US", "recording")
    assert consent["uses"] == ["speech", "conversion", "training"]
    assert reader.tab.run("[document.title, document.activeElement.textContent]") == ["Ana · voxgate", "Ana"]
    assert f"{voice['quality']['rating']} quality" in reader.text("#voice-about")  # type: ignore[index]
    reader.reads("Ana", "#dock")  # it speaks by itself
    assert sum(f"{voice['id']}/preview?" in url for url in reader.tab.requests) == 1
    reader.go("voices")
    reader.go(f"voices/{voice['id']}")
    reader.wait("at('#voice-about')")
    assert sum(f"{voice['id']}/preview?" in url for url in reader.tab.requests) == 1
    reader.press("Use")
    reader.wait("location.hash === '#/speak'")
    assert heard_timbre(reader) > 3.2
    reader.go(f"voices/{voice['id']}")
    erase(reader)
    assert reader.tab.run("document.activeElement.textContent") == "Ana is deleted"
    receipt = json.loads(reader.tab.downloaded(tmp_path, "button('Receipt').click()"))
    assert (receipt["id"], receipt["pending"]) == (voice["id"], [])
    assert (own(reader), consents(reader)) == ([], [])
    assert reader.tab.run("Boolean(at('.dock'))") is False


def test_a_recording_that_cannot_be_a_voice_stops_before_the_consent(reader: Reader, tmp_path: Path) -> None:
    open_maker(reader)
    before = consents(reader), own(reader)
    state(reader, "Ana")
    chosen(reader, _SAMPLE, _file(tmp_path, _tone(8.0, 0.2)))
    assert create(reader).endswith("no speech is heard in it: it is noise, a tone or music.")
    assert (consents(reader), own(reader)) == before


@pytest.mark.clock
def test_the_keyboard_is_enough_to_record_and_to_delete(reader: Reader) -> None:
    reader.open("voices")
    reader.tab_to("#voices-new")
    reader.tab.press("Enter")
    reader.wait("document.activeElement.textContent === 'New voice' && at('#new-name')")
    reader.tab_to("#new-name")
    reader.tab.type("Ana")
    reader.tab.press("Tab")
    reader.tab.call("Input.dispatchKeyEvent", type="keyDown", key="e", text="e")
    reader.tab.call("Input.dispatchKeyEvent", type="keyUp", key="e")
    reader.wait("at('#new-phrase').lang")
    load = f"import('{_module(reader, 'core/player.js')}')"
    reader.tab.run(f"{load}.then(({{ player }}) => void (window.player = player))")
    reader.tab_to(_SAMPLE)
    began_s = time.monotonic()
    reader.tab.press("Enter")
    reader.wait(f"parseFloat(at('{_SAMPLE}-seconds')?.textContent) >= 4.2")
    assert reader.tab.run("document.activeElement.id") == _SAMPLE[1:]
    reader.tab.press("Enter")
    told(reader, _SAMPLE)
    assert reader.tab.run("document.activeElement.textContent.trim()") == "Record again"
    reader.tab_to("[name=way]")
    reader.tab.press("ArrowDown")
    reader.tab_to("#new-statement")
    reader.tab.type("Ana agreed on paper.")
    reader.tab_to("#new-create")
    reader.tab.press("Enter")
    reader.wait("at('#voice-delete') && document.activeElement.textContent === 'Ana'")
    # No press asks for the sound: the browser lets it play after the one before.
    reader.wait("player.audio.currentTime > 0 && player.clip.title === 'Ana'")
    assert time.monotonic() - began_s < _FIRST_MINUTE_S
    reader.tab_to("#voice-delete")
    reader.tab.press("Enter")
    reader.wait("document.activeElement.id === 'question-no'")
    reader.tab.press("Escape")
    reader.wait("document.activeElement.id === 'voice-delete'")
    reader.tab.press("Enter")
    reader.wait("document.activeElement.id === 'question-no'")
    reader.tab_to("#question-yes")
    reader.tab.press("Enter")
    reader.reads("Nothing of it is left on this server. Its consent is kept.")
    assert own(reader) == []


@pytest.mark.clock
def test_a_phone_is_enough_to_record_and_to_delete(reader: Reader) -> None:
    reader.tab.show(width=375)
    reader.tab.call("Emulation.setTouchEmulationEnabled", enabled=True)
    try:
        open_maker(reader)
        reader.tap("#new-name")
        reader.tab.type("Ana")
        chosen(reader, _SAMPLE, speech_clips.wav_file())
        reader.tap(_READING)
        # Three seconds of speech are needed, and a busy browser loses some.
        reader.wait(f"parseFloat(at('{_READING}-seconds')?.textContent) >= 4.5")
        reader.tap(_READING)
        told(reader, _READING)
        reader.tap("#new-create")
        reader.tap("#voice-delete")
        reader.tap("#question-check")
        reader.tap("#question-yes")
        reader.reads("Nothing of it is left on this server. Its consent is deleted too.")
        assert reader.tab.run("document.documentElement.scrollWidth") <= 375
    finally:
        reader.tab.call("Emulation.setTouchEmulationEnabled", enabled=False)


def test_what_was_typed_is_kept_until_the_server_takes_it(reader: Reader, tmp_path: Path) -> None:
    bad = tmp_path / "letter.wav"
    bad.write_text("This is no sound. " * 100)
    open_maker(reader)
    state(reader, "Ana")
    assert create(reader) == "Make a recording, or choose a file."
    assert reader.tab.run("document.activeElement.id") == _SAMPLE[1:]
    told = chosen(reader, _SAMPLE, bad)
    assert told == "This browser cannot play it. The server will tell whether it can read it."
    refused = "Invalid 'audio_sample': it cannot be read as wav, mp3, m4a, aac, ogg, webm or flac."
    assert create(reader) == refused
    assert reader.text(f"{_SAMPLE}-recorder [role=alert]") == refused
    assert reader.tab.run("document.activeElement.id") == _SAMPLE[1:]
    # The consent that was kept for the first try serves the others.
    chosen(reader, _SAMPLE, speech_clips.wav_file())
    assert reader.tab.run("Boolean(at('[role=alert]'))") is False
    reader.fill("#new-name", "alloy")
    assert create(reader) == "'alloy' is a voice of the server; take another name."
    assert reader.tab.run("document.activeElement.id") == "new-name"
    reader.fill("#new-name", "Ana")
    reader.tab.run(_LOSE_ONE_ANSWER)
    assert create(reader) == "The server cannot be reached. Is it still running?"
    assert create(reader) == ""
    assert [len(own(reader)), len(consents(reader))] == [1, 1]


def test_the_key_of_a_link_to_another_machine_is_asked_about_before_an_upload(reader: Reader) -> None:
    forget(reader.tab)
    reader.tab.open(f"{reader.server.url.replace('127.0.0.1', PLAIN)}/#key={reader.key.secret}")
    reader.wait("at('.known')")
    reader.go("voices/new")
    reader.choose("#new-language", "en-US")
    state(reader, "Ana")
    chosen(reader, _SAMPLE, speech_clips.wav_file())
    # "No" is where the focus begins.
    reader.press("Create the voice")
    reader.wait("document.activeElement.id === 'question-no'")
    assert "Upload to the account “reader-" in reader.text("#question")
    reader.tab.press("Enter")
    # The page hears of the answer a moment after the question has closed.
    reader.wait("!at('#question-no')")
    assert consents(reader) == []
    reader.press("Create the voice")
    reader.press("Upload", "at('#question')")
    reader.wait("at('#voice-about')")
    assert len(own(reader)) == 1
    forget(reader.tab)
    reader.tab.requests.clear()


def test_what_is_left_keeps_nothing(reader: Reader, tmp_path: Path) -> None:
    open_maker(reader)
    state(reader, "Ana")
    large = tmp_path / "large.wav"
    large.write_bytes(bytes(10 * 1024 * 1024 + 1))
    reader.file(f"{_SAMPLE}-file", large)
    reader.reads("more than 10 MiB", f"{_SAMPLE}-recorder")
    reader.tab.run(_NO_VERDICT)
    chosen(reader, _SAMPLE, _file(tmp_path, np.zeros(8 * _RATE_HZ)))
    assert "silent" in create(reader)
    [first] = consents(reader)
    # Other words are another consent, which takes the place of the first.
    reader.fill("#new-statement", "Ana agreed once more.")
    assert "silent" in create(reader)
    until(lambda: len(consents(reader)) == 1)
    assert consents(reader) != [first]
    # Nor stays a consent that is recorded while its page is left.
    reader.fill("#new-statement", "Ana agreed again.")
    reader.tab.run(_HOLD_A_CONSENT)
    reader.press("Create the voice")
    until(lambda: len(consents(reader)) == 2)
    reader.press("Cancel")
    until(lambda: len(consents(reader)) == 1)
    reader.tab.run("free()")
    until(lambda: consents(reader) == [])
    reader.go("voices/new")
    reader.wait("at('#new-name')")
    assert reader.tab.run("[at('#new-name').value, Boolean(at('#new-audio_sample-hear'))]") == ["", False]
    reader.choose("#new-language", "pt")
    reader.reads("Eu sou o propriet", "#new-phrase")
    reader.choose("#new-language", "")
    assert create(reader) == "Choose the language that is spoken in the recording."
    assert reader.tab.run("document.activeElement.id") == "new-language"


def test_a_consent_serves_several_voices_and_can_be_deleted_without_them(reader: Reader) -> None:
    open_maker(reader)
    assert reader.tab.run("[Boolean(at('#new-way-kept')), Boolean(at('#new-way-none'))]") == [False, False]
    state(reader, "Ana")
    chosen(reader, _SAMPLE, speech_clips.wav_file())
    assert create(reader) == ""
    [consent] = consents(reader)
    reader.go("voices/new")
    reader.choose("#new-language", "en-US")
    reader.wait("at('#new-way-kept')")
    reader.tab.run("at('#new-way-kept').click()")
    reader.fill("#new-name", "Bea")
    chosen(reader, _SAMPLE, speech_clips.wav_file())
    assert create(reader) == ""
    assert [voice["consent"] for voice in own(reader)] == [consent["id"]] * 2
    reader.press("Delete")
    reader.tab.run("at('#question-check').click()")
    reader.press("Delete", "at('#question')")
    reader.reads("Its consent is kept. The voice ")
    reader.go("voices/new")
    reader.wait("at('#new-way-kept')")
    reader.tab.run("at('#new-way-kept').click()")
    reader.press("Delete this consent")
    reader.reads("needs this consent")


def test_a_plan_that_needs_no_consent_asks_for_none(reader: Reader) -> None:
    reader = with_plan(reader, "waived")
    open_maker(reader)
    reader.tab.run("at('#new-way-none').click()")
    reader.fill("#new-name", "Ana")
    chosen(reader, _SAMPLE, speech_clips.wav_file())
    assert create(reader) == ""
    reader.reads("It is erased on ", "#voice-about")
    reader.go("voices")
    reader.reads("erased on ", "#voices-own")


def test_where_nothing_speaks_a_recording_there_is_a_sentence_and_a_command_in_place_of_a_form(
    reader: Reader,
) -> None:
    reader = with_plan(reader, "rules")
    reader.open("voices")
    reader.reads("Nothing on this server can speak with the voice of a recording.", "#voices-hint")
    reader.tab.run("at('#voices-new').click()")
    reader.reads("voxgate voices own", "#offer-ask")
    assert reader.tab.run("at('#page form')") is None
    reader.assert_readable(LOOKS[1:])


def _file(folder: Path, samples: NDArray[np.float64]) -> Path:
    file = folder / f"chosen{len(list(folder.iterdir()))}.wav"
    soundfile.write(file, samples, _RATE_HZ, "PCM_16")
    return file


def _tone(seconds: float, level: float) -> NDArray[np.float64]:
    return level * np.sin(np.arange(round(seconds * _RATE_HZ)) * 2 * np.pi * 220 / _RATE_HZ)


_JUDGED = [
    (_tone(2, 0.3), "2 seconds. It is too short: at least 3 seconds of speech are needed."),
    (_tone(4, 0.3), "4 seconds. It is short: 6 to 30 seconds are better."),
    (_tone(40, 0.3), "40 seconds. It is long: 6 to 30 seconds are enough."),
    (_tone(8, 0.0), "8 seconds. It is silent: is the right microphone on?"),
    (_tone(8, 0.01), "8 seconds. It is very quiet: turn the microphone up, or move closer to it."),
    (np.clip(_tone(8, 3.0), -1, 1), "8 seconds. It is distorted, because it was too loud: "),
    (_tone(8.1, 0.3), "8.1 seconds. Its length and level are good."),
]


def test_the_browser_says_what_it_can_know_before_anything_is_sent(
    reader: Reader, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    reader.open("voices/new")
    reader.tab.run(_NO_VERDICT)  # so many at once have no place
    for samples, said in _JUDGED:
        with subtests.test(said):
            assert chosen(reader, _SAMPLE, _file(tmp_path, samples)).startswith(said)
            reader.tab.run(f"at('{_SAMPLE}-discard').click()")
            assert reader.tab.run(f"[document.activeElement.id, Boolean(at('{_SAMPLE}-hear'))]") == [
                _SAMPLE[1:],
                False,
            ]
    large = tmp_path / "large.wav"
    large.write_bytes(bytes(10 * 2**20 + 1))
    reader.file(f"{_SAMPLE}-file", large)
    reader.reads("The file has more than 10 MiB", f"{_SAMPLE}-recorder .said")
    # What was recorded is heard in the one player.
    chosen(reader, _SAMPLE, speech_clips.wav_file())
    reader.press("Listen")
    reader.reads("Recording of the voice", "#dock")


@pytest.mark.clock
def test_the_microphone_is_given_back_by_whatever_ends_a_recording(
    reader: Reader, subtests: pytest.Subtests
) -> None:
    other = reader.server.mint_key(f"other-{reader.key.id}", plan="creator").secret
    for leave in (
        "at('a[href=\"#/voices\"].button').click()",
        "at('#new-way-statement').click()",
        f"at('{_SAMPLE}').click()",
        f"void (location.hash = 'key={other}')",
    ):
        with subtests.test(leave):
            open_maker(reader)
            reader.tab.run(f"at('{_READING}').click()")
            reader.wait(f"at('{_READING}-seconds')")
            assert reader.tab.run("(window.first = tracks[0]).readyState") == "live"
            reader.tab.run(leave)
            if "key=" in leave:
                reader.press("Use the link's key")
            reader.wait("first.readyState === 'ended'")


_ANSWER_LATE = """
(() => {
  const real = navigator.mediaDevices.getUserMedia;
  const answer = new Promise((resolve) => { window.allow = resolve; });
  navigator.mediaDevices.getUserMedia = async (wanted) => (await answer, real(wanted));
})()
"""
_NO_RECORDER = "window.MediaRecorder = class { constructor() { throw new Error('unknown'); } }"
_REFUSE = (
    "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotAllowedError'); }"
)
_NO_DEVICES = "Object.defineProperty(navigator, 'mediaDevices', { value: undefined })"


def test_a_microphone_that_cannot_be_had_is_told(reader: Reader, subtests: pytest.Subtests) -> None:
    open_maker(reader)
    reader.tab.run(_ANSWER_LATE)
    reader.tab.run(f"(at('{_SAMPLE}').click(), void (location.hash = '#/voices'))")
    reader.wait("!at('#new-create')")
    reader.tab.run("allow()")
    reader.wait(MICROPHONE_IS_FREE)
    for how, said in (
        (_NO_RECORDER, "The microphone cannot be used"),
        (_REFUSE, "does not let this page use the microphone"),
        (_NO_DEVICES, "only to pages over https"),
    ):
        with subtests.test(said):
            reader.go("voices/new")
            reader.tab.run(f"void ({how})")
            reader.wait(f"at('{_SAMPLE}')")
            reader.tab.run(f"at('{_SAMPLE}').click()")
            reader.reads(said, f"{_SAMPLE}-recorder")
            assert reader.tab.run(f"at('{_SAMPLE}').textContent.trim()") == "Record"
            assert reader.tab.run(MICROPHONE_IS_FREE)


@pytest.mark.parametrize("looks", [LOOKS, *soak((ALL_LOOKS,))])
def test_it_can_be_read_in_each_state(
    reader: Reader, tmp_path: Path, looks: tuple[tuple[int, str], ...]
) -> None:
    turns = [(each,) for each in looks] if len(looks) == 2 else [looks, looks]
    open_maker(reader)
    chosen(reader, _SAMPLE, _file(tmp_path, np.zeros(8 * _RATE_HZ)))
    reader.tab.run(f"at('{_READING}').click()")
    reader.wait(f"at('{_READING}-seconds')")
    reader.assert_readable(turns[0])
    state(reader, "A name that is long " * 4)
    create(reader)
    reader.assert_readable(turns[1])
