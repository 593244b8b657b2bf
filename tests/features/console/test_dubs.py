"""Dubs: subtitles get a voice for each name, become a track, and a late line is said again."""

from pathlib import Path

import pytest

from tests import speech_clips
from tests.features.console.console_page import ALL_LOOKS, LOOKS, Reader
from tests.features.console.test_books import choose_file
from tests.features.console.test_jobs import _state

pytestmark = pytest.mark.slow_but("test_a_dub_is_cast_previewed_and_heard_line_by_line")

_LATE = "A line that is much too long for half a second of any film, by far, and so the next one is late."
_SRT = f"""1
00:00:01,000 --> 00:00:01,500
Ana: {_LATE}

2
00:00:01,500 --> 00:00:02,000
Ben: Only here.

3
00:00:20,000 --> 00:00:21,000
Ana: Come.

4
00:00:22,000 --> 00:00:23,000
Ben: I do.
"""
_OF_LANGUAGES = """
import(performance.getEntriesByType('resource').find(({ name }) => name.endsWith('/catalogue.js')).name)
  .then(({ catalogue }) => catalogue.voices.forEach((voice) => {
    voice.language = { 'tone/slow': 'es-MX', 'tone/late': 'fr' }[voice.id] ?? voice.language;
  }))
"""
_LACKS_A_CUE = r"""(() => {
  const ask = fetch;
  window.fetch = async (...asked) => {
    const answer = await ask(...asked);
    if (!answer.url.includes('/subtitles')) return answer;
    return new Response((await answer.text()).replace(/(^|\n)2\n.+\n.+\n\n/, '$1'));
  };
})()"""
_ROWS = "[...document.querySelectorAll('#lines-list tbody tr')]"


@pytest.mark.kit("axe")
def test_a_dub_is_cast_previewed_and_heard_line_by_line(reader: Reader, tmp_path: Path) -> None:
    priced = reader.of_plan("priced")
    priced.open("jobs/dub")
    priced.wait("at('#job-go')?.disabled")
    choose_file(priced, tmp_path, "film.srt", _SRT.encode())
    priced.wait("document.querySelectorAll('#script-cast li').length === 2")
    for name in ("Ana", "Ben"):
        priced.choose(f"[aria-label='Voice of {name}']", "tone/tone")
    priced.wait("at('#dub-preview') && !at('#job-go').disabled")
    priced.choose("#job-response_format", "wav")
    priced.assert_readable(ALL_LOOKS[:1])
    priced.reload("document.querySelector('#dub-preview')")
    assert priced.tab.run("document.querySelectorAll('#script-cast li').length") == 2
    priced.wait("!at('#job-go').disabled")
    priced.press(priced.text("#job-go").strip())
    _state(priced, "Done")
    priced.wait("at('#lines-list')")
    priced.reads("late", "#lines-list")
    priced.assert_readable(ALL_LOOKS[:1])
    assert priced.tab.run(f"{_ROWS}.length") == 1
    priced.tab.run("at('#lines-late').click()")
    priced.wait(f"{_ROWS}.length === 4")
    priced.tab.run(f"{_ROWS}[2].querySelector('button').click()")
    priced.wait("at('#player-seek') && Number(at('#player-seek').value) >= 19.5")


def test_a_late_line_of_a_dub_is_mended(reader: Reader, tmp_path: Path) -> None:
    priced = reader.of_plan("priced")
    with priced.server.client(priced.key.secret) as client:
        file = client.post(
            "/v1/files", data={"purpose": "user_data"}, files={"file": ("film.srt", _SRT.encode())}
        ).json()["id"]
        body = {"kind": "dub", "input_file_id": file, "model": "tone", "response_format": "wav"}
        voices = {"voice": {"cast": {"Ana": "tone/tone", "Ben": "tone/tone"}}, "title": "Film"}
        job = client.post("/v1/jobs", json={**body, **voices}).raise_for_status().json()["id"]
    priced.open(f"jobs/{job}")
    priced.wait("at('#lines-list')")
    priced.tab.run("at('#lines-late').click()")
    priced.wait(f"{_ROWS}.length === 4")
    priced.fill("#lines-list textarea", "Short.")
    priced.wait("at('.changed')")
    # What was typed outlives a reload.
    priced.reload("document.querySelector('.changed')")
    priced.press("Say 1 changed line again")
    priced.reads("Steps that are spoken: 1,", "#question")
    priced.press("Say it again", "at('#question')")
    priced.wait(f"!location.hash.endsWith('{job}')")
    _state(priced, "Done")
    priced.wait("at('#lines-list') && !at('#lines-late')")
    assert priced.tab.run(f"{_ROWS}[0].querySelector('textarea').value") == "Short."
    with priced.server.client(priced.key.secret) as client:
        made = client.get("/v1/jobs").json()["data"][0]["id"]
        steps = client.get(f"/v1/jobs/{made}/steps").json()["data"]
    assert [each["is_taken_over"] for each in steps] == [False, True, True, True]
    # A line whose subtitle is lacking is there, and is not said without its text.
    priced.tab.run(_LACKS_A_CUE)
    priced.go("jobs")
    priced.go(f"jobs/{made}")
    priced.wait(f"{_ROWS}.length === 4")
    texts = f"{_ROWS}.map((row) => row.querySelector('textarea').value)"
    assert priced.tab.run(texts) == ["Short.", "", "Come.", "I do."]
    priced.fill("#lines-list textarea", "Shorter.")
    priced.wait("at('.changed') && at('#lines-go').disabled")
    priced.fill("[aria-label='Line 2']", "Only here.")
    priced.wait("!at('#lines-go').disabled")
    priced.press("Say line 2 again")
    priced.reads("Steps that are spoken: 1,", "#question")
    priced.press("Not now", "at('#question')")


def test_the_voices_of_the_language_come_first(reader: Reader, tmp_path: Path) -> None:
    reader.open("jobs/dub")
    choose_file(reader, tmp_path, "film.srt", _SRT.encode())
    reader.wait("document.querySelectorAll('#script-cast li').length === 2")
    reader.tab.run(_OF_LANGUAGES)
    listed = "[...at('[aria-label=\"Voice of Ana\"]').options].map(({ value }) => value)"
    for language, first, last in (("es", "tone/slow", "tone/late"), ("fr", "tone/late", "tone/slow")):
        reader.choose("#job-language", language)
        reader.wait(f"{listed}[0] === '{first}'")
        assert reader.tab.run(f"{listed}.at(-1)") == last


def test_a_dub_over_its_original_is_made_by_the_keyboard(reader: Reader, tmp_path: Path) -> None:
    reader.open("jobs/dub")
    srt = _SRT.replace("Ben: Only here.", "Only here.").replace("00:00:2", "00:00:0")
    choose_file(reader, tmp_path, "film.srt", srt.encode())
    reader.reads("These look like names, and are read aloud: Ben")
    reader.press("Make them names")
    reader.wait("document.querySelectorAll('#script-cast li').length === 2")
    for name in ("Ana", "Ben"):
        reader.choose(f"[aria-label='Voice of {name}']", "tone/tone")
    choose_file(reader, tmp_path, "film.wav", speech_clips.wav(), "original_file_id")
    reader.wait("at('#dub-preview, #job-fault')")
    reader.tab.run("at('#page h1').focus()")
    reader.tab_to("details summary")
    reader.tab.press("Enter")
    reader.tab_to("#job-stems")
    reader.tab.run("document.activeElement.click()")
    reader.wait("!at('#job-go').disabled")
    reader.assert_readable(LOOKS)
    # The price is asked for anew, with the stems.
    reader.wait("!at('#job-go').disabled")
    reader.tab_to("#job-go")
    reader.tab.press("Enter")
    _state(reader, "Done")
    assert reader.text("h1") == "film"
    assert b"number,speaker," in reader.tab.downloaded(tmp_path, "at('#job-report').click()")
    for name in ("speech", "bed"):
        assert reader.tab.downloaded(tmp_path, f"at('#job-{name}').click()")[:4] == b"fLaC"
    assert b"-->" in reader.tab.downloaded(tmp_path, "at('#job-vtt').click()")
