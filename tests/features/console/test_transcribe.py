"""Transcribe: a recording is written down, played from a sentence of its text, and saved in four forms."""

import json
from pathlib import Path

import pytest

from tests.features.console.console_page import ALL_LOOKS, LOOKS, Reader
from tests.features.jobs.conversions.rig import flac, said
from tests.tables import soak

pytestmark = pytest.mark.slow_but("test_a_recording_is_written_down_and_heard_from_a_sentence")

_WORDS = ["The first one.", "And the second."]


@pytest.fixture
def page(reader: Reader) -> Reader:
    reader = reader.of_plan("heard")
    reader.open("transcribe")
    reader.wait("at('#transcribe-go')")
    return reader


def _choose(page: Reader, folder: Path, data: bytes) -> None:
    (folder / "talk.flac").write_bytes(data)
    page.file("#transcribe-file-file", folder / "talk.flac")
    page.reads("talk.flac", ".said")


def _send(page: Reader) -> None:
    page.press("Transcribe", "at('#page')")


def _two(folder: Path, page: Reader) -> None:
    _choose(page, folder, flac(said(_WORDS, pause_s=1.0)))


def test_a_recording_is_written_down_and_heard_from_a_sentence(page: Reader, tmp_path: Path) -> None:
    page.press("Transcribe", "at('#page')")
    page.reads("Make a recording, or choose a file.", "[role=alert]")
    _two(tmp_path, page)
    page.reads("credits", "#transcribe-form [role=status].num")
    _send(page)
    page.wait("at('#transcribe-text') && document.activeElement.id === 'transcribe-end'")
    texts = page.tab.run("[...document.querySelectorAll('#transcribe-text .about')].map((p) => p.innerText)")
    assert texts == _WORDS
    page.tab.run("document.querySelectorAll('#transcribe-text button')[1].click()")
    # Without a hand no browser plays: it stands at the sentence's beginning.
    page.reads("2.2 /", "#player-clock")
    for format_, beginning in (
        ("txt", "The first one. And the second.\n"),
        ("srt", "1\n00:00:00,"),
        ("vtt", "WEBVTT\n\n00:00:00."),
    ):
        saved = page.tab.downloaded(tmp_path, f"at('#transcribe-{format_}').click()")
        assert saved.decode().startswith(beginning)
    assert len([each for each in page.tab.requests if "/transcriptions" in each]) == 1
    page.go_to_history(1)
    page.reads(" ".join(_WORDS), "#history-list")
    page.press(f"Play: {' '.join(_WORDS)}")
    page.wait("shown('.dock')")


def test_a_model_without_times_is_asked_for_a_text_alone(page: Reader, tmp_path: Path) -> None:
    script = str(page.tab.run("at('script[src]').src")).replace("head.js", "core/catalogue.js")
    page.tab.run(
        f"import({json.dumps(script)}).then(({{ catalogue }}) =>"
        " catalogue.models.forEach((each) => delete each.times_words))"
    )
    _two(tmp_path, page)
    _send(page)
    page.reads(" ".join(_WORDS), "#transcribe-text")
    assert page.tab.run("[at('#transcribe-srt'), at('#transcribe-txt') !== null]") == [None, True]


def test_what_is_recorded_is_written_down_in_english(page: Reader) -> None:
    page.press("Record")
    page.wait("button('Stop', at('#page'))")
    page.tab.run("new Promise((done) => setTimeout(done, 1500))")
    page.press("Stop", "at('#page')")
    page.reads("seconds.", ".said")
    page.tab.run("at('#transcribe-english').click()")
    page.wait("at('#transcribe-language').disabled")
    _send(page)
    page.wait("at('#transcribe-end')")
    assert [each for each in page.tab.requests if "/translations" in each]


def test_a_long_recording_is_a_job_whose_text_is_read_there(page: Reader, tmp_path: Path) -> None:
    _choose(page, tmp_path, flac(said(_WORDS, pause_s=1801.0)))
    _send(page)
    page.reads("a job writes it down", "#transcribe-end")
    page.press("Job", "at('#transcribe-end')")
    page.reads("The first one. And the second.", "#job-text")
    page.assert_readable(((375, "light"),))
    saved = page.tab.downloaded(tmp_path, "at('#job-srt').click()")
    assert saved.decode().startswith("1\n00:00:00,")
    page.go("jobs")
    page.reads("Transcription", "#jobs-list")


def test_a_refusal_is_told_beside_the_file(page: Reader, tmp_path: Path) -> None:
    _choose(page, tmp_path, b"no recording")
    _send(page)
    page.reads("Invalid file format", "[role=alert]")
    assert page.tab.run("document.activeElement.id") == "transcribe-file"
    page.file("#transcribe-file-file", _large(tmp_path))
    page.reads("more than 25 MiB", ".said")


def _large(folder: Path) -> Path:
    (folder / "large.wav").write_bytes(bytes(25 * 2**20 + 1))
    return folder / "large.wav"


@pytest.mark.parametrize("looks", [LOOKS, *soak((ALL_LOOKS,))])
def test_it_can_be_read_in_each_state(
    page: Reader, tmp_path: Path, looks: tuple[tuple[int, str], ...]
) -> None:
    page.assert_readable(looks[:1])
    _two(tmp_path, page)
    _send(page)
    page.wait("at('#transcribe-text')")
    page.assert_readable(looks)


def test_a_text_becomes_the_same_files_as_the_servers(page: Reader) -> None:
    script = str(page.tab.run("at('script[src]').src")).replace("head.js", "pages/transcribe.js")
    segments = [
        {"start": 0, "end": 1.5, "text": " One."},
        {"start": 3599.9996, "end": 3725.25, "text": " Two."},
    ]
    found = json.dumps({"text": "One. Two.", "segments": segments})
    made = page.tab.run(
        f"import({json.dumps(script)}).then(({{ fileOf }}) =>"
        f" ['srt', 'vtt'].map((each) => fileOf({found}, each)))"
    )
    times = "00:00:00,000 --> 00:00:01,500", "01:00:00,000 --> 01:02:05,250"
    assert made[0] == f"1\n{times[0]}\nOne.\n\n2\n{times[1]}\nTwo.\n"
    assert made[1] == f"WEBVTT\n\n{times[0]}\nOne.\n\n{times[1]}\nTwo.\n".replace(",", ".")
