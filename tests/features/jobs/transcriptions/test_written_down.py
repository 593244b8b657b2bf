"""Jobs that write a long recording down: cut, heard, charged once, read in every format, and gone."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import av
import pytest
from msgspec.structs import replace

from proxy.errors import DecodingFailed
from proxy.features.admin.verify import verify
from proxy.features.jobs.core import records
from proxy.features.jobs.kinds.transcription.kind import shift_segments
from proxy.features.transcriptions.long_decoder import LongDecoder
from proxy.features.transcriptions.long_recordings import StretchRequest
from proxy.queue import tasks
from proxy.storage.blobs import list_all
from proxy.storage.store import Statement
from speech_engine import EngineFailed, Finished, TranscriptSegment
from speech_engine.hearing import TranscriptWord
from tests.features.jobs.conversions import rig
from tests.features.jobs.conversions.rig import short_stretches
from tests.features.jobs.conversions.test_served import contents
from tests.features.jobs.job_rig import job, job_with, kind_of
from tests.features.jobs.test_exactly_once import another
from tests.features.transcriptions.ears import Ears, said, whole
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.scripted import Halt
from tests.replies import json_of
from tests.tables import each_row
from tests.tones import of_seconds, tones
from tests.waiting import soon

WORDS = [f"Sentence number {number}." for number in range(6)]
AUDIO = rig.recording(WORDS)
ONE = '[engines.one]\ncosts = { "*" = { usd = 0.6, per = "hour" } }\n'
__all__ = ["short_stretches"]
pytestmark = [
    pytest.mark.usefixtures("short_stretches"),
    pytest.mark.slow_but(
        "test_a_long_recording_is_written_down_in_order_with_its_times_and_charged_by_its_length",
        "test_a_step_that_is_cancelled_or_fails_costs_nothing_and_is_charged_once",
        "test_of_two_holders_of_a_step_the_second_ones_whole_settlement_falls",
    ),
]


async def new_job(server: Inside, audio: bytes = AUDIO, **more: Any) -> dict[str, Any]:
    return json_of(await rig.ask_conversion(server, audio, **{**rig.TRANSCRIPTION, **more}), 202)


async def read(server: Inside, id_: str, what: str = "content") -> str:
    answer = await server.ask("GET", f"/v1/jobs/{id_}/{what}")
    assert answer.status_code == 200, answer.text
    return answer.text


def cues(text: str, format_: str) -> list[tuple[float, float, str]]:
    """The cues of a text as FFmpeg reads them."""
    with av.open(io.BytesIO(text.encode()), mode="r", format=format_) as file:
        packets = [packet for packet in file.demux(file.streams[0]) if packet.size]
    return [
        (
            (packet.pts or 0) / 1000,
            ((packet.pts or 0) + (packet.duration or 0)) / 1000,
            bytes(packet).decode(),
        )
        for packet in packets
    ]


def times() -> list[tuple[float, float]]:
    """When each of the words begins and ends in the recording."""
    found, at_s = list[tuple[float, float]](), 0.0
    for word in WORDS:
        end_s = at_s + len(tones(word)) / 48_000
        found.append((at_s, end_s))
        at_s = end_s + rig.PAUSE_S
    return found


async def test_a_long_recording_is_written_down_in_order_with_its_times_and_charged_by_its_length(
    tmp_path: Path, store_url: str
) -> None:
    async with rig.conversions_inside(tmp_path, store_url) as server:
        made = await new_job(server, response_format="srt", title="A talk", prompt="Sealed.", tag="ep:1")
        assert (made["kind"], made["format"], made["voice"]) == ("transcription", "srt", "")
        done = await job_with(server, made["id"], "done", "failed")
        assert (done["status"], done["steps_done"], done["error"]) == ("done", made["steps"], "")
        assert made["steps"] > 2
        for what in ("content", "subtitles?format=srt", "content?format=vtt", "subtitles?format=vtt"):
            found = cues(await read(server, made["id"], what), "webvtt" if "vtt" in what else "srt")
            assert [text for _, _, text in found] == WORDS
            for (begins, ends, _), (begin_s, end_s) in zip(found, times(), strict=True):
                assert begins == pytest.approx(begin_s, abs=0.06)
                assert ends == pytest.approx(end_s, abs=0.06)
        assert await read(server, made["id"], "content?format=text") == f"{' '.join(WORDS)}\n"
        verbose = json.loads(await read(server, made["id"], "content?format=verbose_json"))
        assert [each["text"].strip() for each in verbose["segments"]] == WORDS
        seconds = rig.seconds_of(AUDIO)
        assert verbose["duration"] == verbose["usage"]["seconds"] == pytest.approx(seconds, abs=0.001)
        assert (done["seconds"], done["credits"]) == (verbose["duration"], verbose["duration"])
        rows = await server.usage()
        assert len(rows) == made["steps"]
        assert {(row.kind, row.outcome, row.language, row.tag, row.job) for row in rows} == {
            ("transcription", "finished", "en", "ep:1", made["id"])
        }
        assert (await verify(server.worker.store)).is_clean
        files = await asyncio.to_thread(contents, tmp_path)
        assert not [file for file in files if b"Sealed." in file or b"number 3" in file]
        step = await server.ask("GET", f"/v1/jobs/{made['id']}/steps/1/content")
        assert (step.status_code, envelope(step)["param"]) == (404, "number")
        wrong = await server.ask("GET", f"/v1/jobs/{made['id']}/content?format=docx")
        assert (wrong.status_code, envelope(wrong)["param"]) == (400, "format")
        assert (await server.ask("DELETE", f"/v1/jobs/{made['id']}")).is_success
        assert await list_all(server.worker.store) == []


async def test_words_have_times_and_a_translation_is_in_english(tmp_path: Path) -> None:
    async with rig.conversions_inside(tmp_path) as server:
        key = {"idempotency-key": "once"}
        sent: dict[str, Any] = {
            **rig.TRANSCRIPTION,
            "task": "translate",
            "language": "pt",
            "stream": "true",
            "response_format": "json",
            "headers": key,
        }
        made = json_of(await rig.ask_conversion(server, AUDIO, **sent), 202)
        again = await rig.ask_conversion(server, AUDIO, **sent)
        assert (again.json()["id"], again.headers["x-voxgate-replayed"]) == (made["id"], "true")
        other = await rig.ask_conversion(server, AUDIO, **{**sent, "task": "transcribe"})
        assert envelope(other)["code"] == "idempotency_key_reused"
        assert made["warnings"] == ["stream: not all of it is followed"]
        words = {"timestamp_granularities[]": "word"}
        timed = await new_job(server, AUDIO, response_format="verbose_json", **words)
        assert (await job_with(server, made["id"], "done", "failed"))["status"] == "done"
        answer = json.loads(await read(server, made["id"]))
        assert answer["text"] == " ".join(WORDS).upper()
        verbose = json.loads(await read(server, made["id"], "content?format=verbose_json"))
        assert verbose["language"] == "english"
        assert (await job_with(server, timed["id"], "done", "failed"))["status"] == "done"
        found = json.loads(await read(server, timed["id"]))
        assert [each["word"] for each in found["words"]] == " ".join(WORDS).split()
        begins = [each["start"] for each in found["words"] if each["word"] == "Sentence"]
        assert begins == pytest.approx([begin_s + 0.264 for begin_s, _ in times()], abs=0.05)


async def test_a_step_that_is_cancelled_or_fails_costs_nothing_and_is_charged_once(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ears, halt = Ears(), Halt(1)
    text = rig.CONFIG.format(url=store_url) + ONE + "[engines.blunt]\n"
    monkeypatch.setattr("proxy.features.jobs.core.steps.MOST_TRIES", 1)
    engines = {"one": ears, "blunt": Ears(times_words=False)}
    async with inside(tmp_path, text, engines, "metered") as server:
        refused = await rig.ask_conversion(server, AUDIO, **{**rig.TRANSCRIPTION, "model": "blunt/m"})
        assert envelope(refused)["param"] == "model", "any format may be fetched, so times are needed"
        # Cancelled in the middle.
        ears.script = (said("One."), halt, Finished())
        first = await new_job(server, of_seconds(3.0), model="one/m")
        await asyncio.wait_for(halt.is_there.wait(), 20.0)
        assert (await server.ask("POST", f"/v1/jobs/{first['id']}/cancel")).json()["status"] == "canceled"
        assert not ears.open
        assert (await server.ask("GET", f"/v1/jobs/{first['id']}/content")).status_code == 409
        (row,) = await server.usage()
        assert (row.outcome, row.credits, row.micro_usd > 0) == ("left", 0, True)
        # Its engine breaks, and its last try fails; then both are tried again.
        ears.script = (said("One."), EngineFailed("It broke."))
        second = await new_job(server, of_seconds(2.0), model="one/m")
        failed = await job_with(server, second["id"], "done", "failed")
        assert (failed["status"], failed["error_code"], failed["credits"]) == (
            "failed",
            "engine_unavailable",
            0,
        )
        ears.script = whole(said("One."), said("Two.", 1.0, 9.0))
        for id_, seconds in ((first["id"], 3.0), (second["id"], 2.0)):
            assert (await server.ask("POST", f"/v1/jobs/{id_}/retry")).is_success
            done = await job_with(server, id_, "done", "failed")
            assert (done["status"], done["credits"]) == ("done", seconds)
            assert cues(await read(server, id_, "subtitles"), "srt")[-1][1] == seconds, "never after its end"
        assert len([row for row in await server.usage() if row.credits]) == 2
        assert (await verify(server.worker.store)).is_clean


async def test_of_two_holders_of_a_step_the_second_ones_whole_settlement_falls(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A look would tell the first one that its lease is lost.
    monkeypatch.setattr(tasks, "LEASE_CHECK_S", 100.0)
    halt = Halt()  # of both: a quick second one would have ended before it is looked at
    ears = Ears(said("One."), halt, Finished())
    text = rig.CONFIG.format(url=store_url) + ONE
    async with inside(tmp_path, text, {"one": ears}, "metered") as server:
        store = server.worker.store
        made = await new_job(server, of_seconds(3.0), model="one/m")
        await asyncio.wait_for(halt.is_there.wait(), 20.0)
        assert (ears.jobs[0].urgency, ears.jobs[0].times) == ("idle", "segments")
        assert (await server.speech(model="tone/standard")).status_code == 200, "it takes no stream"
        await store.write(Statement("UPDATE job_steps SET lease = 0"))
        steps = another(server)
        await steps.look()
        # Before its hold, the second one would find the text of the first, and would not hear it again.
        await soon(lambda: "Holds 2 live" in repr(server.worker.ledger.holds))
        halt.goes_on.set()
        await steps.finish()
        rows = await soon(server.usage, lambda rows: len(rows) == 3)
        assert sorted((row.outcome, row.credits) for row in rows if row.job) == [
            ("failed", 0),
            ("finished", 3_000_000),
        ]
        assert len(await records.list_clips(store, made["id"])) == 1
        assert (await job(server, made["id"]))["credits"] == 3
        assert (await verify(store)).is_clean
        await steps.close()


async def test_what_was_heard_before_a_step_that_fails_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stretch = LongDecoder.stretch

    async def lost(decoder: LongDecoder, account: str, asked: StretchRequest, hz: int) -> bytes:
        if asked.start_ms > 0:
            raise DecodingFailed
        return await stretch(decoder, account, asked, hz)

    monkeypatch.setattr(LongDecoder, "stretch", lost)
    monkeypatch.setattr("proxy.features.jobs.core.steps.MOST_TRIES", 1)
    async with rig.conversions_inside(tmp_path) as server:
        kind_of(server).most_at_once = 1
        made = await new_job(server, response_format="text")
        failed = await job_with(server, made["id"], "done", "failed")
        assert (failed["error_code"], failed["steps_done"]) == ("server_busy", 1)
        heard = await read(server, made["id"])
        assert heard.strip()
        assert " ".join(WORDS).startswith(heard.strip())
        monkeypatch.setattr(LongDecoder, "stretch", stretch)
        assert (await server.ask("POST", f"/v1/jobs/{made['id']}/retry")).is_success
        done = await job_with(server, made["id"], "done", "failed")
        assert await read(server, made["id"]) == f"{' '.join(WORDS)}\n"
        assert done["credits"] == pytest.approx(rig.seconds_of(AUDIO), abs=0.001)
        # Text behind a gap would hide the gap.
        await server.worker.store.write(Statement("DELETE FROM job_clips WHERE number = 2"))
        assert await read(server, made["id"]) == heard


@each_row(
    ("begin_s", "language", "text", "is_"),
    [
        (0.0, "en", "One.", "One."),
        (9.0, "en", "One.", " One."),
        (9.0, "", " One.", " One."),
        (9.0, "zh-TW", "一。", "一。"),
    ],
)
def test_a_step_is_parted_from_the_one_before_where_its_language_has_blanks(
    begin_s: float, language: str, text: str, is_: str
) -> None:
    words = (TranscriptWord(1.0, 1.5, text.strip()),)
    segment = TranscriptSegment(start_s=1.0, end_s=2.0, text=text, language=language, words=words)
    first, second = shift_segments([segment, replace(segment, text="Two.")], begin_s)
    assert (first.text, first.start_s, first.end_s) == (is_, begin_s + 1.0, begin_s + 2.0)
    assert first.words == (TranscriptWord(begin_s + 1.0, begin_s + 1.5, text.strip()),)
    assert second.text == "Two."
