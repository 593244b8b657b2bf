"""Dubs: subtitles become a track that is exactly as long as their video."""

import asyncio
import csv
import io
import json
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from proxy.audio.formats import Chunk
from proxy.features.dubs.lines import MOST_CHARACTERS, make_lines, unnamed_warnings
from proxy.features.dubs.request import decode_line
from proxy.features.dubs.subtitle_text import SpokenTurn
from proxy.features.dubs.track import DubFile
from tests.features.dubs.rig import CAST, SRT, ask_dub, file_of, new_dub, original_of, sound_of, user_file
from tests.features.jobs.job_rig import jobs_inside, said
from tests.proxy.http.hostile_json import MOST_S, cost
from tests.replies import json_of
from tests.tables import each_row


async def test_a_dub_has_each_line_at_its_time(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        id_ = await new_dub(server)
        sound, rate_hz = sound_of(await file_of(server, id_))
        assert (len(sound), rate_hz) == (156_000, 24_000), "without an original, it ends with the last cue"
        for start, word in ((1.0, "One."), (3.0, "Two."), (5.0, "Three.")):
            part = sound[round(start * rate_hz) : round((start + 1.4) * rate_hz)]
            assert said(part.tobytes()) == [word]
            assert not np.any(sound[round((start - 0.5) * rate_hz) : round(start * rate_hz)])
        report = json.loads(await file_of(server, id_, "report.json"))
        assert [(each["number"], each["speaker"], each["start"]) for each in report["cues"]] == [
            (1, "Ana", 1.0),
            (2, "Ben", 3.0),
            (3, "Ana", 5.0),
        ]
        assert (report["late"], report["longest_shift"], report["paces"]) == (
            0,
            0.0,
            {"Ana": 1.0, "Ben": 1.0},
        )
        rows = [*csv.reader(io.StringIO((await file_of(server, id_, "report.csv")).decode()))]
        assert (len(rows), rows[0][:3], rows[1][:2]) == (4, ["number", "speaker", "start"], ["1", "Ana"])
        told = (await server.ask("GET", f"/v1/jobs/{id_}/subtitles")).text
        assert told.startswith("1\n00:00:01,000 --> 00:00:01,")
        assert "Three." in told
        shown = json_of(await server.ask("GET", f"/v1/jobs/{id_}"))
        assert (shown["kind"], shown["steps"], shown["characters"], shown["format"]) == ("dub", 3, 14, "flac")
        step = await server.ask("GET", f"/v1/jobs/{id_}/steps/1/content")
        assert step.status_code == 409, "it has no mark"


async def test_the_original_is_softer_under_speech(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        film = original_of(8.123, 44_100)
        id_ = await new_dub(server, SRT, film, results=["track", "speech", "bed"], response_format="wav")
        track, rate_hz = sound_of(await file_of(server, id_))
        bed, _ = sound_of(await file_of(server, id_, "bed"))
        speech, _ = sound_of(await file_of(server, id_, "speech"))
        assert rate_hz == 48_000
        assert len(track) == len(bed) == len(speech) == round(8.123 * 48_000)
        levels = [float(np.std(bed[round(at * 48_000) :][:4800])) for at in (0.2, 1.05, 7.5)]
        assert levels[1] == pytest.approx(levels[0] * 10 ** (-14 / 20), rel=0.1)
        assert levels[2] == pytest.approx(levels[0], rel=0.1)
        assert np.max(np.abs(track.astype(int) - bed - speech)) <= 2


@pytest.mark.parametrize("lines", [300, pytest.param(3000, marks=pytest.mark.slow)])
async def test_a_preview_of_many_lines_never_holds_the_loop_for_long(tmp_path: Path, lines: int) -> None:
    def stamp(at: int) -> str:
        return f"{at // 3600:02}:{at // 60 % 60:02}:{at % 60:02}"

    srt = "\n".join(
        f"{n}\n{stamp(2 * n)},000 --> {stamp(2 * n + 1)},900\nLine {n} is said.\n"
        for n in range(1, lines + 1)
    )
    async with jobs_inside(tmp_path) as server:
        file = await user_file(server, srt.encode())
        body = {"kind": "dub", "model": "tone", "voice": "alloy", "input_file_id": file}
        async with cost() as found:
            shown = json_of(await server.ask("POST", "/v1/jobs/preview", body=body))
        assert shown["steps"] == lines
        assert found.held_s < MOST_S, found


# Six encodings: other fast cases have two of them.
@pytest.mark.slow
async def test_each_format_has_the_length_of_its_video(tmp_path: Path, subtests: pytest.Subtests) -> None:
    async with jobs_inside(tmp_path) as server:
        exact = [(each, 0.0) for each in ("flac", "wav", "opus", "m4a")]
        for format_, more in (*exact, ("mp3", 0.06), ("aac", 0.06)):
            with subtests.test(format_):
                id_ = await new_dub(server, SRT, length_s=7.5, response_format=format_, sample_rate=48000)
                sound, rate_hz = sound_of(await file_of(server, id_))
                assert 0 <= len(sound) / rate_hz - 7.5 <= more


async def test_a_short_text_is_spoken_in_place_of_a_late_one(tmp_path: Path) -> None:
    text = "1\n00:00:00,000 --> 00:00:01,000\n{}\n\n2\n00:00:01,000 --> 00:00:03,000\nEnd.\n"
    async with jobs_inside(tmp_path) as server:
        short = await user_file(server, text.format("Short.").encode())
        long = text.format("A text that is much too long for a single second of this film, by far.")
        id_ = await new_dub(server, long, short_file_id=short)
        cues = json.loads(await file_of(server, id_, "report.json"))["cues"]
        assert [each["is_short"] for each in cues] == [True, False]
        shown = json_of(await server.ask("GET", f"/v1/jobs/{id_}"))
        assert (shown["characters"], shown["credits"]) == (10, 10), "only what is spoken is charged"


async def test_names_in_a_table_are_no_formulas(tmp_path: Path) -> None:
    name = "=1+1"
    async with jobs_inside(tmp_path) as server:
        srt = f"1\n00:00:00,000 --> 00:00:01,000\n<v {name}>Hi.\n"
        id_ = await new_dub(server, srt, voice={"cast": {name: "alloy"}})
        assert "'=1+1" in (await file_of(server, id_, "report.csv")).decode()


async def test_bad_input_names_its_field(tmp_path: Path, subtests: pytest.Subtests) -> None:
    cases: dict[str, tuple[str, bytes | None, dict[str, Any], str]] = {
        "unusable_subtitles": ("No times.", None, {}, "input_file_id"),
        "speaker_without_voice": (SRT.replace("Ben:", "<v Cy>"), None, {}, "voice.cast"),
        "unusable_original": (SRT, b"no sound", {}, "original_file_id"),
        "original_too_long": (SRT, original_of(70, 8000), {}, "original_file_id"),
        "voice_not_found": (SRT, None, {"voice": {"cast": {"Ana": "alloy", "Ben": "nobody"}}}, "voice"),
        "files_too_large": (
            SRT + "\n4\n03:59:00,000 --> 03:59:01,000\nLate.\n",
            None,
            {"response_format": "wav", "sample_rate": 48000, "results": ["track", "speech"]},
            "results",
        ),
        "file_not_found": (SRT, None, {"short_file_id": "file_no"}, "short_file_id"),
    }
    async with jobs_inside(tmp_path) as server:
        for code, (srt, original, more, field) in cases.items():
            with subtests.test(code):
                answer = await ask_dub(server, srt, original, **more)
                error = answer.json()["error"]
                assert (error["code"], error["param"]) == (code, field)
                assert answer.status_code in (400, 404)
        late = await ask_dub(server, SRT, length_s=2)
        assert json_of(late, 400)["error"]["param"] == "length_s"
        assert json_of(await ask_dub(server, SRT, voice=CAST, pace=2), 400)["error"]["param"] == "pace"
        listed = json_of(await server.ask("GET", "/v1/jobs"))
        assert listed["data"] == [], "nothing is made, and nothing is charged"


async def test_a_preview_tells_the_price_and_makes_nothing(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        body = {"kind": "dub", "model": "tone", "voice": CAST}
        body["input_file_id"] = await user_file(
            server, SRT.encode() + b"\n4\n00:00:07,000 --> 00:00:08,000\n[door]\n"
        )
        shown = json_of(await server.ask("POST", "/v1/jobs/preview", body=body))
        assert (shown["steps"], shown["characters"], shown["credits"], shown["most_credits"]) == (
            3,
            14,
            14,
            14,
        )
        assert shown["cast"] == {"names": ["Ana", "Ben"], "without_voice": []}
        assert shown["warnings"] == [
            "Cues without a name behind a named one, spoken by Ana: 1",
            "1 cues have sounds alone, and are not spoken",
        ]
        refused = await server.ask(
            "POST", "/v1/jobs/preview", body={**body, "voice": {"cast": {"Ben": "nobody"}}}
        )
        assert (
            json_of(refused, 404 if refused.status_code == 404 else 400)["error"]["code"] == "voice_not_found"
        )
        assert json_of(await server.ask("GET", "/v1/jobs"))["data"] == []
        voices = {"Ana": "alloy", "Ben": "tone/tone"}
        await server.ask("POST", "/v1/jobs", body={**body, "voice": {"cast": voices}})
        (made,) = json_of(await server.ask("GET", "/v1/jobs"))["data"]
        assert made["voice"] == "alloy+tone/tone", "in the order in which they are heard"


async def test_a_sentence_over_three_cues_is_spoken_as_one(tmp_path: Path) -> None:
    times = ("01,000 --> 00:00:02,000", "02,100 --> 00:00:03,000", "03,100 --> 00:00:04,000")
    srt = "".join(
        f"{n}\n00:00:{each}\n{text}\n\n"
        for n, (each, text) in enumerate(zip(times, ("One", "two", "three."), strict=True), 1)
    )
    async with jobs_inside(tmp_path) as server:
        id_ = await new_dub(server, srt)
        (cue,) = json.loads(await file_of(server, id_, "report.json"))["cues"]
        assert (cue["number"], cue["start"]) == (1, 1.0)
        assert "One two three." in (await server.ask("GET", f"/v1/jobs/{id_}/subtitles?format=vtt")).text


# A dub is made twice: only the bytes of a repeated end are at stake.
@pytest.mark.slow
async def test_the_same_files_come_after_the_end_was_made_again(tmp_path: Path) -> None:
    film = original_of(8.0)
    async with jobs_inside(tmp_path) as server:
        first, second = [await file_of(server, await new_dub(server, SRT, film)) for _ in range(2)]
        assert first == second


async def test_lines_that_are_late_or_cut_are_warnings(tmp_path: Path) -> None:
    srt = "".join(
        f"{n}\n00:00:0{n},000 --> 00:00:0{n},100\nA line that takes much longer than it should.\n\n"
        for n in (1, 2, 3)
    )
    async with jobs_inside(tmp_path) as server:
        id_ = await new_dub(server, srt)
        shown = json_of(await server.ask("GET", f"/v1/jobs/{id_}"))
        assert shown["warnings"] == [
            "2 lines begin more than 200 ms late: shorten what is said before",
            "2 lines are cut by the end of the track",
        ]
        assert len(sound_of(await file_of(server, id_))[0]) == round(3.1 * 24_000), (
            "and it is as long as it should be"
        )


class _Slow:
    """An encoder whose thread is busy until it `may_end`."""

    def __init__(self) -> None:
        self.calls, self.is_fed, self.may_end, self.is_closed = list[str](), Event(), Event(), Event()

    def feed(self, pcm: bytes) -> Chunk:
        self.is_fed.set()
        self.may_end.wait(5)
        self.calls.append("fed")
        return Chunk(pcm)

    def flush(self) -> Chunk:
        return Chunk()

    def close(self) -> None:
        self.calls.append("closed")
        self.is_closed.set()


async def test_a_canceled_file_closes_its_encoder_when_no_thread_uses_it() -> None:
    encoder, unused = _Slow(), cast("Any", SimpleNamespace(add_part=None))
    file = DubFile(unused, unused, encoder)
    adding = asyncio.create_task(file.add_sound(bytes(2)))
    assert await asyncio.to_thread(encoder.is_fed.wait, 5)
    adding.cancel()
    with suppress(asyncio.CancelledError):
        await adding
    file.drop_encoder()
    encoder.may_end.set()
    assert await asyncio.to_thread(encoder.is_closed.wait, 5)
    assert encoder.calls == ["fed", "closed"]


def cues(*texts: tuple[str, int, str]) -> list[SpokenTurn]:
    """Return cues of a second by the speaker, the pause before, in milliseconds, and the text of each."""
    starts = accumulate((1000 + pause for _, pause, _ in texts), initial=-1000)
    rows = zip(range(1, 1 + len(texts)), [*starts][1:], texts, strict=True)
    return [
        SpokenTurn(number=n, speaker=who, start_ms=at, end_ms=at + 1000, text=text)
        for n, at, (who, _, text) in rows
    ]


@each_row(
    ("turns", "spoken", "unnamed"),
    [
        (cues(("Ben", 0, "I went to"), ("", 300, "the old shed.")), [("Ben", "I went to the old shed.")], 0),
        (
            cues(("Ben", 0, "If"), ("", 0, "he"), ("", 0, "comes"), ("", 100, "now.")),
            [("Ben", "If he comes"), ("Ben", "now.")],
            0,
        ),
        (cues(("Ben", 0, "If"), ("", 301, "he comes.")), [("Ben", "If"), ("Ana", "he comes.")], 1),
        (
            cues(("", 0, "Once."), ("Ben", 0, "No."), ("", 0, "Yes."), ("", 900, "So.")),
            [("Ana", "Once."), ("Ben", "No."), ("Ana", "Yes."), ("Ana", "So.")],
            2,
        ),
        (cues(("", 0, "Once there"), ("", 0, "was.")), [("Ana", "Once there was.")], 0),
    ],
)
def test_a_cue_without_a_name_goes_on_with_the_sentence_of_its_speaker(
    turns: list[SpokenTurn], spoken: list[tuple[str, str]], unnamed: int
) -> None:
    lines = make_lines(turns, (), ("Ana", "Ben"))
    assert [(line.speaker, line.text) for line in lines] == spoken
    assert [each.rpartition(": ")[2] for each in unnamed_warnings(turns, ("Ana", "Ben"))] == [
        str(unnamed)
    ] * (unnamed > 0)


def test_a_step_reads_its_own_line_alone() -> None:
    line = make_lines([SpokenTurn(number=7, speaker="Ana", start_ms=0, end_ms=9, text="One.")], (), ())[0]
    data = msgspec.json.encode({"lines": ["another one that is no line", line], "samples": 1})
    assert decode_line(data, 2) == line


def test_no_sentence_is_longer_than_a_step_may_be() -> None:
    text = "a" * (MOST_CHARACTERS // 2)
    turns = [
        SpokenTurn(number=n, speaker="Ana", start_ms=1000 * n, end_ms=1000 * n + 900, text=text)
        for n in range(3)
    ]
    lengths = [len(line.text) for line in make_lines(turns, (), ("Ana",))]
    assert lengths == [len(text)] * 3
    lines = make_lines([replace(turns[0], text="a"), *turns[1:]], (), ("Ana",))
    assert [len(line.turns) for line in lines] == [2, 1]
