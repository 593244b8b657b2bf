"""Long recordings that are cut: clips with their words, charged once, and gone with their voice."""

import asyncio
import io
import zipfile
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from proxy.audio.formats import wav_header
from proxy.catalogue.voice_records import ComparisonResult
from proxy.features.admin.verify import verify
from proxy.features.consents.comparison import RatedRecording, SpeakerComparison
from proxy.features.jobs.kinds.cut import kind as cut_kind
from proxy.features.jobs.kinds.cut.pauses import cut_master, find_pieces
from proxy.features.transcriptions import long_recordings
from proxy.storage import usage
from proxy.storage.blobs import list_all
from speech_engine import Finished
from tests.features.jobs.conversions import rig
from tests.features.jobs.job_kills import Kill, killed_at_each
from tests.features.jobs.job_rig import job, job_with, kind_of
from tests.features.own_voices.test_clips import add, listed
from tests.features.transcriptions.ears import Ears, said, whole
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.owning import agree, send
from tests.proxy.api.scripted import Halt
from tests.replies import json_of
from tests.tables import each_row
from tests.tones import of_seconds
from tests.waiting import soon

WORDS = [
    f"Line {number}: a train to the coast leaves at noon, and comes back in the evening. It is late."
    for number in range(6)
]
PCM = rig.said(WORDS, 1.2)
AUDIO = wav_header(len(PCM) // 2) + PCM
pytestmark = [
    pytest.mark.usefixtures("short"),
    pytest.mark.slow_but(
        "test_clips_have_their_words_and_cost_the_length_of_the_recording",
        "test_a_voice_that_is_erased_takes_its_recording_along",
    ),
]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut_kind, "LEAST_MS", 2_000)
    monkeypatch.setattr(cut_kind, "_CLIPS_OF_COMMIT", 1)
    monkeypatch.setattr(long_recordings, "MOST_MS", 12_000)


async def new_voice(server: Inside, **consent: Any) -> str:
    agreed = await agree(server, **{"language": "en", "uses": ["training"], **consent})
    sent = {"name": f"Ana {agreed['id']}", "consent": agreed["id"], "language": "en"}
    return str(json_of(await send(server, sent))["id"])


async def ask(
    server: Inside, voice: str, audio: bytes = AUDIO, once: str | None = None, cut: str = "true", **sent: Any
) -> httpx2.Response:
    path = f"/v1/audio/voices/{voice}/samples?cut={cut}"
    return await send(server, sent, audio, path=path, file="file", once=once)


def words_of(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(row["ref_text"] for row in rows if row.get("training"))


async def test_clips_have_their_words_and_cost_the_length_of_the_recording(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.features.own_voices.clips.MOST_RECORDINGS", 2)
    async with rig.conversions_inside(tmp_path, store_url) as server:
        store, voice = server.worker.store, await new_voice(server)
        made = json_of(await ask(server, voice, once="one", title="Read", tag="ep:1"), 202)
        assert (made["kind"], made["voice"], made["title"]) == ("cut", voice, "Read")
        assert made["steps"] > 2
        again = await ask(server, voice, once="one", title="Read", tag="ep:1")
        assert (again.json()["id"], again.headers["x-voxgate-replayed"]) == (made["id"], "true")
        done = await job_with(server, made["id"], "done", "failed")
        seconds = rig.seconds_of(AUDIO)
        assert (done["status"], done["seconds"]) == ("done", done["credits"])
        assert done["credits"] == pytest.approx(seconds, abs=0.002)
        rows = [row for row in await server.usage() if row.job == made["id"]]
        assert {(row.kind, row.outcome, row.tag) for row in rows} == {("transcription", "finished", "ep:1")}
        assert (await verify(store)).is_clean
        found = await listed(server, voice)
        assert words_of(found) == WORDS
        assert {(row["emotion"], row.get("ref_text_from")) for row in found[1:]} == {(None, "heard")}
        report = json_of(await server.ask("GET", f"/v1/jobs/{made['id']}/content"))
        assert (report["clips"], report["left_out"]) == (6, {})
        assert [piece["text"] for piece in report["pieces"]] == WORDS
        assert report["seconds"] == pytest.approx(sum(row["duration_seconds"] for row in found[1:]))
        # They are none of the recordings that it speaks with.
        context = server.worker.open_features.context
        (saved,) = await context.own_voices.of_account(server.account.id)
        assert len(saved.voice.samples) == 1
        assert (await add(server, voice)).status_code == 201
        assert envelope(await add(server, voice))["code"] == "too_many_samples"
        exported = await server.ask("GET", f"/v1/audio/voices/{voice}/export")
        assert len(zipfile.ZipFile(io.BytesIO(exported.content)).namelist()) == 2 + 8
        clip = next(row["id"] for row in found if row.get("training"))
        assert (await server.ask("DELETE", f"/v1/audio/voices/{voice}/samples/{clip}")).is_success
        assert len(words_of(await listed(server, voice))) == 5
        monkeypatch.setattr(cut_kind, "MOST_CLIPS", 5)
        assert envelope(await ask(server, voice))["code"] == "too_many_samples"
        # The recording goes with the voice, and the job with its recording.
        assert (await server.ask("DELETE", f"/v1/audio/voices/{voice}")).is_success
        await soon(lambda: list_all(store), lambda blobs: not blobs)
        assert (await server.ask("GET", f"/v1/jobs/{made['id']}")).status_code == 404


async def test_a_voice_that_is_erased_takes_its_recording_along(tmp_path: Path, store_url: str) -> None:
    halt = Halt(1)
    ears = Ears(said("One."), halt, Finished())
    text = rig.CONFIG.format(url=store_url).replace("hears = true", "") + "[engines.one]\n"
    async with inside(tmp_path, text, {"one": ears}, "metered") as server:
        kind_of(server).most_at_once = 1
        store, voice = server.worker.store, await new_voice(server)
        made = json_of(await ask(server, voice), 202)
        await asyncio.wait_for(halt.is_there.wait(), 20.0)
        assert ears.jobs[0].urgency == "idle"
        assert (await server.ask("DELETE", f"/v1/audio/voices/{voice}")).is_success
        halt.goes_on.set()
        await soon(lambda: list_all(store), lambda blobs: not blobs)
        assert (await server.ask("GET", f"/v1/jobs/{made['id']}")).status_code == 404
        await soon(lambda: not ears.open)
        assert await store.read("SELECT id FROM samples") == []
        assert not [row for row in await server.usage() if row.credits]
        assert (await verify(store)).is_clean


KILLS: dict[str, tuple[Kill, ...]] = {
    "sqlite": (("after hold", 1), ("before clips", 1), ("after clips", 2), ("before end", 1)),
    "postgresql": (("before settlement", 1), ("after settlement", 1), ("after clips", 1), ("after end", 1)),
}


async def test_each_clip_comes_once_however_often_its_worker_is_killed(
    tmp_path: Path, store_url: str
) -> None:
    async with rig.conversions_inside(tmp_path, store_url) as server:
        kind_of(server).most_at_once = 0
        voice = await new_voice(server)
        made, before = json_of(await ask(server, voice), 202), server
    await killed_at_each(tmp_path, store_url, KILLS[store_url.partition(":")[0]])
    async with rig.conversions_inside(tmp_path, store_url, name="ben") as server:
        store, ours = server.worker.store, before._replace(worker=server.worker)
        shown = await job(ours, made["id"])
        assert (shown["status"], shown["steps_done"]) == ("done", made["steps"])
        assert words_of(await listed(ours, voice)) == WORDS
        charged = [row for row in await usage.list_newest(store, limit=1000) if row.credits]
        assert len(charged) == made["steps"]
        assert shown["credits"] == pytest.approx(rig.seconds_of(AUDIO), abs=0.001)
        assert (await verify(store)).is_clean


async def test_what_cannot_be_cut_is_refused_before_anything_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rig.conversions_inside(tmp_path) as server:
        voice, other = await new_voice(server), await new_voice(server, uses=["speech"])
        monkeypatch.setattr(cut_kind, "MOST_MS", 30_000)
        rows: tuple[tuple[dict[str, Any], int, str | None, str], ...] = (
            ({"audio": of_seconds(1.0)}, 400, "file", "audio_too_short"),
            ({"audio": of_seconds(31.0)}, 400, "file", "recording_too_long"),
            ({"audio": bytes(26 * 1024 * 1024)}, 413, "file", "request_too_large"),
            ({"audio": of_seconds(9.0, level=0)}, 400, "file", "invalid_audio"),
            ({"audio": b"garbage" * 100}, 400, "file", "invalid_audio"),
            ({"cut": "yes"}, 400, "cut", "invalid_value"),
            ({"language": "no language!"}, 400, "language", "invalid_value"),
            ({"title": "t" * 201}, 400, "title", "invalid_value"),
            ({"voice": "nobody"}, 404, "voice", "voice_not_found"),
            ({"voice": other}, 403, "voice", "consent_not_given"),
        )
        for more, status, param, code in rows:
            answer = await ask(server, **{"voice": voice, **more})
            error = envelope(answer)
            assert (answer.status_code, error["param"], error["code"]) == (status, param, code), more
        field = await add(server, voice, cut="true")
        assert (field.status_code, envelope(field)["param"]) == (400, "cut")
        for table in ("jobs", "job_steps", "usage"):
            assert await server.worker.store.read(f"SELECT * FROM {table}") == [], table


@each_row(
    ("features", "hears", "code"),
    [
        ('off = ["jobs", "books", "dubs", "estimates"]', "true", "feature_off"),
        ('off = ["transcriptions", "jobs", "books", "dubs", "estimates"]', "true", "feature_off"),
        ("off = []", "false", "model_not_found"),
    ],
)
async def test_a_server_without_ears_or_jobs_says_so(
    tmp_path: Path, features: str, hears: str, code: str
) -> None:
    text = rig.CONFIG.format(url="sqlite").replace("hears = true", f"hears = {hears}")
    async with inside(tmp_path, f"{text}[features]\n{features}\n", {}, "metered") as server:
        answer = await ask(server, await new_voice(server))
        assert (answer.status_code, envelope(answer)["code"]) == (404, code)


async def test_what_is_unclear_clipped_or_of_another_voice_is_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def other(_comparison: SpeakerComparison, *_: RatedRecording) -> ComparisonResult:
        return ComparisonResult("other", 0.1, "pitch")

    loud = np.clip(np.frombuffer(PCM, np.int16).astype(np.int32) * 9, -32768, 32767).astype("<i2").tobytes()
    ears = Ears()
    text = rig.CONFIG.format(url="sqlite").replace("hears = true", "") + "[engines.one]\n"
    async with inside(tmp_path, text, {"one": ears}, "metered") as server:
        voice = await new_voice(server)
        for audio, heard, why in (
            (AUDIO, said("Mumbled.", avg_logprob=-0.81), "unclear"),
            (AUDIO, said("And 1-1-1-1-1-1.", avg_logprob=-0.1), "unclear"),
            (wav_header(len(loud) // 2) + loud, said("Clear."), "clipped"),
            (AUDIO, said("Clear."), "other_voice"),
        ):
            ears.script = whole(heard)
            if why == "other_voice":
                monkeypatch.setattr(SpeakerComparison, "has_comparer", True)
                monkeypatch.setattr(SpeakerComparison, "compare", other)
            made = json_of(await ask(server, voice, audio), 202)
            assert (await job_with(server, made["id"], "done", "failed"))["status"] == "done"
            report = json_of(await server.ask("GET", f"/v1/jobs/{made['id']}/content"))
            assert (report["clips"], report["left_out"]) == (0, {why: 6})
        assert words_of(await listed(server, voice)) == []


def spoken(*lengths_s: float) -> bytes:
    """A master: sounds of these lengths, with a pause of a second before each but the first. A negative one
    is a pause of its own length."""
    rate, parts = 24_000, list[np.ndarray[Any, Any]]()
    for number, length_s in enumerate(lengths_s):
        if number and length_s > 0 and lengths_s[number - 1] > 0:
            parts.append(np.zeros(rate))
        noise = np.random.default_rng(number).normal(0, 3000, round(abs(length_s) * rate))
        parts.append(noise if length_s > 0 else np.zeros(len(noise)))
    pcm = np.concatenate(parts).astype("<i2").tobytes()
    return wav_header(len(pcm) // 2) + pcm


@each_row(
    ("lengths_s", "begin_ms", "is_last", "kept", "left"),
    [
        ((4.0, 5.0), 0, True, [(0.0, 4.15), (4.85, 10.0)], 0),
        # Short ones are joined over the shorter pause, up to fifteen seconds.
        ((1.0, 5.0, -0.5, 1.0), 0, True, [(0.0, 8.5)], 0),
        ((-2.0, 9.0, -0.4, 1.0, 5.0), 0, True, [(1.85, 12.55), (13.25, 18.4)], 0),
        ((-2.0, 1.0, -9.0, 14.9, -2.0), 0, True, [], 2),
        ((16.0, -3.0, 4.0), 0, True, [(18.85, 23.0)], 1),
        # What touches the border of a stretch may be half of a word.
        ((4.0, 4.0, 4.0), 60_000, False, [(64.85, 69.15)], 2),
        ((4.0, 4.0), 60_000, True, [(64.85, 69.0)], 1),
    ],
)
def test_pieces_are_cut_in_pauses(
    lengths_s: tuple[float, ...], begin_ms: int, is_last: bool, kept: list[tuple[float, float]], left: int
) -> None:
    master = spoken(*lengths_s)
    pieces = find_pieces(master, begin_ms, is_last=is_last)
    found = [piece for piece in pieces if not piece.left_out]
    assert [(piece.start_s, piece.end_s) for piece in found] == [
        pytest.approx(each, abs=0.06) for each in kept
    ]
    assert len(pieces) - len(found) == left
    for piece in found:
        assert rig.seconds_of(cut_master(master, begin_ms, piece)) == pytest.approx(piece.plays_s, abs=0.001)
