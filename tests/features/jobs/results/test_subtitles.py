"""Subtitles: cues that one can read, in the user's own words, at the time at which they are heard."""

import asyncio
import re
import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.api.speech_headers import WORD_TIMES
from proxy.features.jobs.texts.subtitles import LINE_WIDTH, WRITERS, CueWriter, add_times, cues
from proxy.features.transcriptions import word_times
from proxy.speech.spoken_word import SpokenWord
from proxy.storage.store import Statement
from speech_engine import EngineFailed, Finished, Started, Transcript
from speech_engine.hearing import TranscriptSegment, TranscriptWord
from tests.features.jobs.job_rig import content, job_with, jobs_inside, new_chapters, new_job
from tests.features.transcriptions.ears import Ears, whole
from tests.proxy.api.inside import Inside, envelope
from tests.proxy.api.scripted import RATE_HZ, Scripted, sound, spoken
from tests.sound import decoded
from tests.tones import words

pytestmark = pytest.mark.slow

_TIME = r"(\d\d):(\d\d):(\d\d)[.,](\d{3})"
_CUE = re.compile(rf"{_TIME} --> {_TIME}\n(.+?)\n\n", re.DOTALL)
PREAMBLE_S = 0.264
"""Before the word, in its tones."""
HEARD = {"word_times": "heard", "audio_format": "wav"}
EVENTS = {"response_format": "pcm", "stream_format": "words"}


class Said(NamedTuple):
    start_seconds: float
    source_start: int
    source_end: int


class Shown(NamedTuple):
    start_s: float
    end_s: float
    text: str


def said(text: str, word: str = r"\w+", each_s: float = 0.4) -> list[Said]:
    """Return the words of a text, as heard one after the other."""
    return [Said(number * each_s, *found.span()) for number, found in enumerate(re.finditer(word, text))]


def lines_of(text: str, **more: float) -> list[tuple[str, ...]]:
    found = said(text, **more)  # type: ignore[arg-type]
    return [cue.lines for cue in cues(text, found, len(found) * 0.4)]


def test_a_cue_ends_before_a_pause() -> None:
    text = "One two. [pause 0.5s] Three four. [pause 2s]"
    found = said(text.replace("pause", "-----").replace("0.5s", "----").replace("2s", "--"))
    heard = [
        each._replace(start_seconds=each.start_seconds + 0.5 * (number > 1))
        for number, each in enumerate(found)
    ]
    shown = [(cue.lines, round(cue.end_s, 3)) for cue in cues(text, heard, 4.1)]
    assert shown == [(("One two.",), 0.8), (("Three four.",), 2.1)]


def test_words_without_times_share_the_time_outside_of_pauses() -> None:
    text = "[pause 1s] One. [pause 5s] Two. [pause 2s]"
    shown = [(cue.start_s, cue.end_s, cue.lines) for cue in cues(text, add_times(text, (), (), 9.0), 9.0)]
    assert shown == [(0.0, 1.0, ("One.",)), (6.0, 7.0, ("Two.",))], (
        "the pause before the first word has no sound"
    )


def parsed(subtitles: str) -> list[Shown]:
    found = []
    for cue in _CUE.finditer(subtitles):
        times = [int(each) for each in cue.groups()[:8]]
        start, end = [3600 * h + 60 * m + s + ms / 1000 for h, m, s, ms in (times[:4], times[4:])]
        found.append(Shown(start, end, cue[9]))
    return found


def test_cues_end_where_sentences_do() -> None:
    assert lines_of("It was a dark and stormy night. The rain fell in torrents.") == [
        ("It was a dark and stormy night.",),
        ("The rain fell in torrents.",),
    ]


def test_a_long_sentence_is_parted_at_a_comma_and_has_two_lines() -> None:
    text = (
        "The rain fell in torrents, except at occasional intervals, when it was checked by a violent gust "
        "of wind which swept up the streets."
    )
    found = lines_of(text, each_s=0.2)
    assert " ".join(" ".join(lines) for lines in found) == text
    assert found[0][-1].endswith("intervals,")
    assert all(len(line) <= LINE_WIDTH for lines in found for line in lines)
    assert max(map(len, found)) == 2


def test_very_short_sentences_share_a_cue_and_a_paragraph_never_does() -> None:
    assert lines_of("Yes. No. Perhaps.\n\nOh.") == [("Yes. No. Perhaps.",), ("Oh.",)]


def test_a_pause_ends_a_cue_and_nothing_is_shown_in_it() -> None:
    text = "one two three"
    found = cues(text, [Said(0.0, 0, 3), Said(5.0, 4, 7), Said(5.3, 8, 13)], 9.0)
    assert [cue.lines for cue in found] == [("one",), ("two three",)]
    assert found[0].end_s < 3.0
    assert found[1].start_s == 5.0


def test_a_number_that_takes_long_ends_no_cue() -> None:
    found = said("It cost £2.50 to post.", r"\S+")
    found[3:] = [each._replace(start_seconds=each.start_seconds + 1.4) for each in found[3:]]
    assert [cue.lines for cue in cues("It cost £2.50 to post.", found, 3.4)] == [("It cost £2.50 to post.",)]


def test_tags_and_marks_that_are_not_said_are_not_shown() -> None:
    text = "[Ana] [happy] **Hello**, “you” there! [Ben] See [this](http://a.b/c) *now*."
    spans = [
        found.span()
        for word in ("Hello", "you", "there", "See", "this", "now")
        for found in re.finditer(rf"\b{word}\b", text)
    ]
    found = cues(text, [Said(0.5 * number, *span) for number, span in enumerate(spans)], 3.0)
    assert " ".join(line for cue in found for line in cue.lines) == "Hello, “you” there! See this now."


THAI = "กาลครั้งหนึ่งนานมาแล้วมีเจ้าหญิงองค์หนึ่งอาศัยอยู่ในปราสาทที่สวยงามมากบนภูเขาสูงเสียดฟ้า"
JAPANESE = "昔々あるところにおじいさんとおばあさんが住んでいました。おじいさんは山へ芝刈りに行きました。"


@pytest.mark.parametrize("text", [THAI * 3, JAPANESE * 3])
def test_a_language_without_blanks_is_cut_where_letters_are_whole(text: str) -> None:
    found = cues(text, [Said(0.0, 0, len(text))], 20.0)
    shown = [line for cue in found for line in cue.lines]
    assert "".join(shown) == text
    assert len(found) > 1
    for line in shown:
        assert unicodedata.category(line[0])[0] != "M"
        assert line[0] not in "ะาำ"
        assert line[-1] not in "เแโใไ"


_GAPS = st.sampled_from([" ", ". ", ", ", "\n\n", "", "! “", " ["])
_WORDS = st.lists(st.tuples(st.text("aé1ก", min_size=1, max_size=60), _GAPS), max_size=60)


@given(_WORDS, st.lists(st.floats(0.0, 3.0), min_size=60, max_size=60))
def test_cues_have_all_words_in_order_and_never_overlap(
    pairs: list[tuple[str, str]], gaps: list[float]
) -> None:
    text, found, at_s = "", list[Said](), 0.0
    for (word, gap), gap_s in zip(pairs, gaps, strict=False):
        found.append(Said(at_s, len(text), len(text) + len(word)))
        text += word + gap
        at_s += gap_s
    made = cues(text, found, at_s + 1.0)
    letters = "".join(each for cue in made for line in cue.lines for each in line if each.isalnum())
    assert letters == "".join(each for each in text if each.isalnum())
    assert all(1 <= len(cue.lines) <= 2 for cue in made)
    written = b"".join(writer.write_cues(text, found, 7.0, 8.0 + at_s) for writer in [CueWriter()]).decode()
    times = [time for each in parsed(written) for time in (each.start_s, each.end_s)]
    assert len(times) == 2 * len(made)
    assert all(before <= after for before, after in pairwise(times))
    assert all(each.start_s < each.end_s for each in parsed(written))


def test_what_begins_a_tag_in_vtt_is_escaped() -> None:
    text = "a<b>c & d --> e"
    vtt = WRITERS["vtt"]().write_cues(text, said(text), 0.0, 4.0).decode()
    assert "a&lt;b&gt;c &amp; d --&gt; e" in vtt
    assert vtt.startswith("00:00:00.000 --> ")
    srt = WRITERS["srt"]().write_cues(text, said(text), 3661.5, 3665.0).decode()
    assert srt.startswith("1\n01:01:01,500 --> ")
    assert text in srt


async def subtitles(server: Inside, id_: str, query: str = "") -> list[Shown]:
    answer = await server.ask("GET", f"/v1/jobs/{id_}/subtitles{query}")
    assert answer.status_code == 200, answer.text
    return parsed(answer.text)


@pytest.mark.parametrize("format_", ["mp3", "wav", "aac", "opus"])
async def test_each_word_is_shown_when_it_is_heard(tmp_path: Path, format_: str) -> None:
    """Also in a file whose joined frames play for longer than the sound in them."""
    async with jobs_inside(tmp_path) as server:
        made = await new_chapters(server, response_format=format_)
        assert (await job_with(server, made["id"], "done", "failed"))["status"] == "done"
        heard = decoded((await content(server, made["id"])).content, format_)
        shown = await subtitles(server, made["id"])
        assert [each.text for each in shown] == ["One.", "Two.", "Three.", "Four."]
        for number, each in enumerate(shown[1:], 1):
            # What is heard before it are the words before it, whole and alone.
            start = round((each.start_s - PREAMBLE_S) * heard.sample_rate_hz)
            assert words(heard.samples[:start], heard.sample_rate_hz) == [
                before.text for before in shown[:number]
            ]
        alone = await subtitles(server, made["id"], "?chapter=2&format=vtt")
        assert [each.text for each in alone] == ["Two.", "Three."]
        assert alone[0].start_s == PREAMBLE_S
        offset = shown[1].start_s - alone[0].start_s
        assert abs(shown[2].start_s - alone[1].start_s - offset) < 0.002


async def test_the_offset_of_a_step_is_what_those_before_it_play_for(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await new_chapters(server, response_format="mp3")
        await job_with(server, made["id"], "done")
        rows = await server.worker.store.read("SELECT played, samples FROM job_clips ORDER BY number")
        whole = decoded((await content(server, made["id"])).content, "mp3")
        assert sum(row["played"] for row in rows) == len(whole.samples)
        assert all(row["played"] > row["samples"] for row in rows)
        last = (await subtitles(server, made["id"]))[-1]
        assert abs(last.start_s - PREAMBLE_S - sum(row["played"] for row in rows[:3]) / 24_000) < 0.002


@pytest.mark.parametrize("joins", [False, True])
async def test_an_engine_without_word_times_has_subtitles_that_say_so(tmp_path: Path, joins: bool) -> None:
    """Whether its sentences come one by one, or all at once."""
    engine = Scripted(*spoken(2.0), joins_segments=joins)
    async with jobs_inside(tmp_path, one=engine) as server:
        made = await new_job(server, "Ready, steady. " * 200, model="one", voice="one")
        done = await job_with(server, made["id"], "done", "failed")
        assert (done["status"], done["steps"] > 1) == ("done", True)
        for format_ in WRITERS:
            answer = await server.ask("GET", f"/v1/jobs/{made['id']}/subtitles?format={format_}")
            assert (answer.status_code, answer.headers[WORD_TIMES]) == (200, "interpolated")
            shown = parsed(answer.text)
            assert (
                " ".join(each.text for each in shown).replace("\n", " ").split()
                == ["Ready,", "steady."] * 200
            )
            times = [time for each in shown for time in (each.start_s, each.end_s)]
            assert times == sorted(times)
            assert times[-1] <= done["seconds"] + 0.001
            # Each step has the same share of the sound.
            assert shown[-1].start_s > done["seconds"] * (1 - 1 / done["steps"])


@pytest.mark.parametrize("fault", ["", "less", "fails", "halts", "many", "long"])
async def test_times_of_an_engine_without_them_are_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Those of a job's subtitles, and of an answer in JSON that asks for them, unless that is long."""
    bounds = {
        "_STEP_WITHIN_S": "halts",
        "_ANSWER_WITHIN_S": "halts",
        "_MOST_SENTENCES": "many",
        "_MOST_S": "long",
    }
    for name in (each for each, at in bounds.items() if at == fault):
        monkeypatch.setattr(word_times, name, 0.01)
    text = "Ready, steady. Dr. Lin's off!"
    starts = [[0.8, 0.3], [9.1, 1.5, 1.4]]
    segments = tuple(
        TranscriptSegment(
            start_s=0.0, end_s=0.0, text="", words=tuple(TranscriptWord(at, at, "x") for at in each)
        )
        for each in starts
    )
    steps = {"fails": (EngineFailed(""),), "halts": (asyncio.Event().wait,)}
    events = steps.get(fault, whole(Transcript(segments[: 1 if fault == "less" else 2])))
    ears = Ears(*events, scores_text=True, known_words_late_s=(("en", 0.1),))
    sentences = [*sound(1.5, segment=0), *sound(1.5, segment=1)]
    engine = Scripted(Started(RATE_HZ), *sentences, Finished())
    async with jobs_inside(tmp_path, one=engine, ears=ears) as server:
        made = await new_job(server, text, model="one", voice="one")
        await job_with(server, made["id"], "done")
        # What halts may be given up before it has reached the ears.
        assert fault == "halts" or len(ears.jobs) == 1
        asked = (("Ready, steady.", "Dr. Lin's off!"), (0.0, 1.5))
        for job in ears.jobs:
            assert (job.texts, job.starts_s, job.urgency) == (*asked, "idle")
        subtitles = await server.ask("GET", f"/v1/jobs/{made['id']}/subtitles")
        assert subtitles.headers[WORD_TIMES] == ("heard" if fault in ("", "many", "long") else "interpolated")
        if not fault:
            first, second = parsed(subtitles.text)
            assert (first.start_s, second.start_s) == (0.7, 3.0), "in order, and in their sentences"
        body = {"model": "one", "voice": "one", "input": text, "response_format": "json"}
        plain, wav, pcm, streamed = [
            await server.ask("POST", "/v1/audio/speech", body=body | more)
            for more in ({}, HEARD, {**HEARD, "audio_format": "pcm"}, {**HEARD, **EVENTS})
        ]
        assert fault == "halts" or len(ears.jobs) == (1 if fault in ("many", "long") else 3)
        assert all((each.texts, each.starts_s) == asked for each in ears.jobs)
        assert (WORD_TIMES in plain.headers, streamed.headers["x-voxgate-ignored"]) == (False, "word_times")
        for answer in (wav, pcm):
            assert answer.headers[WORD_TIMES] == ("interpolated" if fault else "heard")
            words = answer.json()["words"]
            assert [word.get("interpolated", False) for word in words] == [bool(fault)] * 5
            assert fault or [word["start_seconds"] for word in words] == [0.7, 0.7, 3.0, 3.0, 3.0]


async def test_told_times_do_not_say_so_and_clips_of_before_have_computed_ones(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await new_job(server, "Hello there.")
        await job_with(server, made["id"], "done")
        path = f"/v1/jobs/{made['id']}/subtitles"
        assert WORD_TIMES not in (await server.ask("GET", path)).headers
        await server.worker.store.write(Statement("UPDATE job_clips SET words = 0, told = ''"))
        answer = await server.ask("GET", path)
        assert (answer.headers[WORD_TIMES], parsed(answer.text)[0].start_s) == ("interpolated", 0.0)


def test_computed_times_are_of_what_is_spoken() -> None:
    piece = "[Ana] [happy] Yes [the `lake`](https://lake.example/a), no.\n[Ben] [sic] Well."
    told = [SpokenWord(8.0, len(piece) - 5, len(piece) - 1)]
    found = add_times(piece, ("Ana", "Ben"), told, 9.0)
    assert [piece[each.source_start : each.source_end] for each in found] == [
        *("Yes", "the", "lake", "no", "sic", "Well")
    ]
    assert found[-1] == told[0]
    # Fifteen letters in eight seconds.
    assert [round(each.start_seconds * 15 / 8) for each in found] == [0, 3, 6, 10, 12, 15]


async def test_subtitles_that_cannot_be_are_refused(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path, one=Scripted(*spoken(0.3))) as server:
        made = await new_job(server, "Hello there.")
        await job_with(server, made["id"], "done")
        for query, field in (("?format=ass", "format"), ("?chapter=1", "chapter")):
            answer = await server.ask("GET", f"/v1/jobs/{made['id']}/subtitles{query}")
            assert (answer.status_code, envelope(answer)["param"]) == (400, field)
        assert (await server.ask("GET", "/v1/jobs/job_gone/subtitles")).status_code == 404
