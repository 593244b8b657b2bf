"""History: what was spoken is found again, heard, saved, said again with the same settings, and deleted."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from plugins.tone.decode import decode
from tests.features.console.console_page import Reader
from tests.features.console.many_entries import book_many
from tests.features.console.test_speak import IS_HEARD, heard, speak
from tests.sound import decoded
from tests.waiting import until

pytestmark = pytest.mark.slow_but("test_entries_are_chosen_and_deleted_with_keys")

_TEXTS = "[...document.querySelectorAll('#history-list .extract')].map((each) => each.innerText)"


def _kept(reader: Reader, **fields: Any) -> str:
    """Speak with an entry in the history, and wait until it is there."""
    body = {"model": "tts-1", "voice": "alloy", "history": True, **fields}
    with reader.server.client(reader.key.secret) as client:
        with client.stream("POST", "/v1/audio/speech", json=body) as answer:
            id_ = str(answer.headers["x-request-id"])
            with suppress(httpx2.RemoteProtocolError):  # an answer may break off
                answer.read()
        until(lambda: client.get(f"/v1/history/{id_}").is_success)
    return id_


def _request(reader: Reader, id_: str = "") -> dict[str, Any]:
    """The request of an entry; without an id, of the newest."""
    with reader.server.client(reader.key.secret) as client:
        id_ = id_ or client.get("/v1/history").json()["data"][0]["id"]
        found: dict[str, Any] = client.get(f"/v1/history/{id_}").json()["request"]
        return found


def _lists(reader: Reader, *texts: str) -> None:
    reader.wait(f"JSON.stringify({_TEXTS}) === {json.dumps(json.dumps(texts, separators=(',', ':')))}")


def test_an_entry_is_heard_saved_and_said_again(reader: Reader, tmp_path: Path) -> None:
    reader = reader.of_plan("priced")
    reader.open("history")
    reader.reads("Kept for 30 days, then erased.", "#history-days")
    reader.reads("Nothing is kept yet.")
    reader.assert_readable()
    reader.press("Speak", "at('#page')")
    reader.choose("#speak-language", "en")
    reader.tab.run("at('#speak-more').click()")
    reader.fill("#speak-tag", "part-1")
    speak(reader, "Find me again.")
    assert heard(reader) == "Find me again."
    # In another format it is spoken again, once, for a price.
    reader.reads(", or saying it again, costs up to ", "#speak-price")
    reader.tab.run("at('#speak-save').click()")
    reader.tab.downloaded(tmp_path, "at('#speak-save').click()")
    assert sum(url.endswith("/v1/audio/speech") for url in reader.tab.requests) == 2
    reader.choose("#speak-format", "wav")
    reader.wait("!at('#speak-price').innerText")
    reader.go_to_history(1)
    _lists(reader, "Find me again.")
    assert "credits · part-1" in reader.text("#history-list")
    reader.tab.run("played.length = 0")
    reader.press("Play: Find me again.")
    reader.wait("at('.dock .title')?.textContent.includes('Find me again.') && button('Download as FLAC')")
    for press in ("button('Download as FLAC').click()", "button('Download as FLAC: Find me again.').click()"):
        sound = decoded(reader.tab.downloaded(tmp_path, press), "flac")
        assert decode(sound.samples, sound.sample_rate_hz) == ("Find me again.",)
    # What was typed since then is not what is said again.
    reader.go("speak")
    reader.choose("#speak-language", "")
    reader.fill("#speak-tag", "part-2")
    reader.fill("#speak-input", "Another text.")
    reader.go("history")
    reader.press("Say it again: Find me again.")
    reader.wait("at('#speak-input')?.value === 'Find me again.' && at('#speak-language').value === 'en'")
    reader.reads("Filled in from the history.", ".composer")
    first = _request(reader)
    speak(reader)
    reader.wait(f"{IS_HEARD} && at('#speak-result')")
    reader.go_to_history(2)
    _lists(reader, "Find me again.", "Find me again.")
    assert _request(reader) == first
    # A text that is spoken without the switch is not kept.
    reader.go("speak")
    reader.tab.run("at('#speak-kept').click()")
    reader.tab.run("played.length = 0")
    speak(reader, "Forget me.")
    assert heard(reader) == "Forget me."
    reader.go("history")
    _lists(reader, "Find me again.", "Find me again.")


def test_a_request_of_a_program_is_said_again_as_it_was(reader: Reader) -> None:
    cast = {"cast": {"Ana": "alloy", "Ben": "tone/slow"}}
    more = {"seed": 4, "language": "auto"}
    first = _request(reader, _kept(reader, input="[Ana] Hi. [Ben] Hello.", voice=cast, speed=1.25, **more))
    reader.open("history")
    reader.reads("alloy + Slow · ")
    assert "gone" not in reader.text("#history-list")
    reader.press("Say it again: [Ana] Hi. [Ben] Hello.")
    reader.reads("Said again as it was, with: seed, voice, language")
    reader.reads("several voices", "#speak-voice")
    reader.reads("1.25 ×", ".speed")
    reader.assert_readable()
    speak(reader)
    reader.wait(IS_HEARD)
    reader.go_to_history(2)
    reader.wait("document.querySelectorAll('#history-list li').length === 2")
    assert {**_request(reader), "response_format": "mp3"} == first
    reader.press("Say it again: [Ana] Hi. [Ben] Hello.")
    reader.press("Leave that out")
    reader.reads("Alloy", "#speak-voice")
    assert "Said again" not in reader.text()


def test_what_became_of_an_entry_is_told(reader: Reader) -> None:
    reader = reader.of_plan("priced")
    hostile = "<img src=x onerror=alert(1)>\u202e" + "w" * 150
    whole, part = _kept(reader, input="Given back."), _kept(reader, input="Half of it.")
    _kept(reader, input="Longer " * 580, response_format="pcm", sample_rate=48000)
    _kept(reader, input="It breaks.", voice="tone/fail-late")
    _kept(reader, input=hostile, response_format="g711_ulaw")
    with reader.server.control() as operator:
        operator.post(f"/admin/requests/{whole}/refund", json={"reason": "late"})
        operator.post(f"/admin/requests/{part}/refund", json={"reason": "late", "credits": 0.25})
    reader.open("history")
    reader.wait("document.querySelectorAll('#history-list li').length === 5")
    told = [
        [tag.strip() for tag in tags]
        for tags in reader.tab.run(
            "[...document.querySelectorAll('#history-list li')].map((row) =>"
            " [...row.querySelectorAll('.tag')].map((tag) => tag.innerText))"
        )
    ]
    assert told[1:] == [
        ["Failed, not charged"],
        ["Sound not kept"],
        ["0.25 given back"],
        ["1.03 given back"],
    ], told
    assert reader.tab.run("document.images.length") == 0
    # A telephone's format can be saved, and not played. What has no sound can be neither.
    rows = "[...document.querySelectorAll('#history-list li')]"
    off = reader.tab.run(f"{rows}.map((row) => row.querySelectorAll(':disabled').length)")
    assert off == [1, 2, 2, 0, 0]
    reader.assert_readable()
    off_plan = reader.of_plan("unkept")
    off_plan.open("history")
    off_plan.reads("This plan keeps no history.")
    off_plan.assert_readable()


@pytest.mark.kit("axe")
def test_entries_are_chosen_and_deleted_with_keys(reader: Reader) -> None:
    mix = {"name": "Blend", "mix": [{"id": "tone/tone"}, {"id": "tone/slow"}]}
    with reader.server.client(reader.key.secret) as client:
        voice = client.post("/v1/audio/voices", json=mix).json()["id"]
        for text, spoken_by in (
            ("One.", voice),
            ("Two.", "alloy"),
            ("Three.", "alloy"),
            ("Four.", "tone/slow"),
        ):
            _kept(reader, input=text, voice=spoken_by)
        reader.open("history")
        _lists(reader, "Four.", "Three.", "Two.", "One.")
        # Who erases a voice erases what it spoke.
        assert client.delete(f"/v1/audio/voices/{voice}").is_success
        reader.go("usage")
        reader.go("history")
        _lists(reader, "Four.", "Three.", "Two.")
    reader.wait("at('#history-voice [value=alloy]')")
    # What was asked for first comes last, and is not played.
    reader.hold("/content")
    reader.press("Play: Four.")
    reader.wait("window.letGo")
    reader.press("Play: Three.")
    reader.reads("Three.", ".dock .title")
    reader.tab.run("letGo()")
    reader.tab.run("button('Delete: Four.').focus()")
    reader.tab.press("Enter")
    reader.wait("at('#question').open && document.activeElement.id === 'question-no'")
    reader.assert_readable(part="#question")
    reader.tab.press("Enter")
    reader.wait("!at('#question-no')")
    _lists(reader, "Four.", "Three.", "Two.")
    reader.tab.run("button('Delete: Four.').focus()")
    for key in ("Enter", "Tab", "Enter"):
        reader.tab.press(key)
    _lists(reader, "Three.", "Two.")
    reader.reads("1 entry is deleted.")
    assert reader.tab.run("document.activeElement.ariaLabel") == "Delete: Three."
    assert "Three." in reader.text(".dock .title")
    _kept(reader, input="Five.", voice="tone/slow")
    reader.choose("#history-period", "7")
    reader.choose("#history-voice", "alloy")
    _lists(reader, "Three.", "Two.")
    reader.choose("#history-period", "before")
    reader.reads("Nothing fits this choice.")
    reader.choose("#history-period", "")
    _lists(reader, "Three.", "Two.")
    reader.press("Delete these")
    reader.reads("Delete all that is listed here?", "#question")
    reader.press("Delete")
    reader.reads("2 entries are deleted.")
    reader.wait("document.activeElement.id === 'history-title'")
    reader.choose("#history-voice", "")
    _lists(reader, "Five.")


def test_ten_thousand_entries_are_few_nodes(reader: Reader) -> None:
    book_many(reader.server, reader.key.secret)
    reader.open("history")
    for page in range(1, 5):
        reader.reads(f"Page {page}", "#pager")
        reader.wait("document.querySelectorAll('#history-list li').length === 50")
        assert reader.tab.run("document.querySelectorAll('*').length") <= 1500
        reader.press("Next")
    reader.press("Previous")
    reader.reads("Page 4", "#pager")
    reader.wait("document.activeElement.id === 'history-title'")
    reader.assert_readable()
