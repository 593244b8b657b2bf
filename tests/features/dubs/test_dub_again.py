"""A dub is said again: lines that are unchanged are taken over, and the track is fitted and mixed anew."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.features.dubs.rig import CAST, SRT, file_of, new_dub, original_of, sound_of, user_file
from tests.features.jobs.job_rig import job_with, jobs_inside, said
from tests.proxy.api.inside import Inside, envelope
from tests.replies import json_of

_SHORTER = SRT.replace("Ben: Two.", "Ben: 2.")


async def _again(server: Inside, id_: str, **body: Any) -> dict[str, Any]:
    made = json_of(await server.ask("POST", f"/v1/jobs/{id_}/again", body=body), 202)
    return await job_with(server, made["id"], "done")


async def _taken(server: Inside, id_: str) -> list[bool]:
    steps = json_of(await server.ask("GET", f"/v1/jobs/{id_}/steps"))["data"]
    return [each["is_taken_over"] for each in steps]


def _words(track: bytes, at_s: float) -> list[str] | None:
    sound, rate_hz = sound_of(track)
    return said(sound[round(at_s * rate_hz) : round((at_s + 1.4) * rate_hz)].tobytes())


async def test_a_cue_costs_a_cue_and_the_rest_is_taken_over(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        film = original_of(8.0)
        id_ = await new_dub(server, SRT, film, results=["track", "speech", "bed"])
        path = f"/v1/jobs/{id_}/again"
        shown = json_of(await server.ask("POST", path, body={"steps": [2], "preview": True}))
        assert (shown["steps"], shown["credits"], shown["most_credits"], shown["characters"]) == (1, 4, 4, 14)
        assert len(json_of(await server.ask("GET", "/v1/jobs"))["data"]) == 1, "a preview makes nothing"
        done = await _again(server, id_, steps=[2])
        assert (done["credits"], done["kind"], done["steps"]) == (4, "dub", 3)
        assert await _taken(server, done["id"]) == [True, False, True]
        for name in ("track", "speech", "bed"):
            assert await file_of(server, done["id"], name) == await file_of(server, id_, name)


async def test_mended_subtitles_cost_their_changes_and_keep_the_length(
    tmp_path: Path,
) -> None:
    async with jobs_inside(tmp_path) as server:
        id_ = await new_dub(server, SRT)
        # The first line is gone, and the last one ends two seconds later.
        mended = _SHORTER[_SHORTER.index("2\n") :].replace("06,500", "08,500")
        file = await user_file(server, mended.encode())
        done = await _again(server, id_, input_file_id=file)
        assert (done["steps"], done["credits"]) == (2, 2)
        # A replay needs the file no more.
        asked: dict[str, Any] = {"body": {"input_file_id": file}, "idempotency-key": "again-1"}
        keyed = json_of(await server.ask("POST", f"/v1/jobs/{id_}/again", **asked), 202)
        assert (await server.ask("DELETE", f"/v1/files/{file}")).status_code == 200
        replayed = await server.ask("POST", f"/v1/jobs/{id_}/again", **asked)
        assert json_of(replayed, 202)["id"] == keyed["id"]
        assert await _taken(server, done["id"]) == [False, True]
        track = await file_of(server, done["id"])
        assert len(sound_of(track)[0]) == 156_000, "a track does not grow unasked"
        assert (_words(track, 3.0), _words(track, 5.0)) == (["2."], ["Three."])
        assert not np.any(sound_of(track)[0][: 24_000 * 2])
        longer = await _again(server, done["id"], length_s=8.5)
        assert longer["credits"] == 0
        assert len(sound_of(await file_of(server, longer["id"]))[0]) == 204_000


# Three dubs on each store: an original that leaves too early fails a later job, which says so.
@pytest.mark.slow
async def test_the_original_lives_as_long_as_a_job_needs_it(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        id_ = await new_dub(server, SRT, original_of(8.0), results=["track", "bed"])
        bed = await file_of(server, id_, "bed")
        for file in json_of(await server.ask("GET", "/v1/files"))["data"]:
            assert (await server.ask("DELETE", f"/v1/files/{file['id']}")).status_code == 200
        second = await _again(server, id_, steps=[1, 3])
        assert (await server.ask("DELETE", f"/v1/jobs/{id_}")).status_code == 200
        third = await _again(server, second["id"], steps=[2])
        assert await file_of(server, third["id"], "bed") == bed
        for each in (second, third):
            assert (await server.ask("DELETE", f"/v1/jobs/{each['id']}")).status_code == 200
        assert await server.worker.store.read("SELECT digest FROM blobs") == []


async def test_words_and_voices_say_their_lines_again(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        id_ = await new_dub(server, SRT)
        done = await _again(server, id_, words={"Two": "Deux"})
        assert await _taken(server, done["id"]) == [True, False, True]
        assert _words(await file_of(server, done["id"]), 3.0) == ["Deux."]
        told = (await server.ask("GET", f"/v1/jobs/{done['id']}/subtitles")).text
        assert "Two." in told, "subtitles have the text as it is written"
        same = await _again(server, done["id"], cast={"ben": "alloy"})
        assert await _taken(server, same["id"]) == [True, True, True]
        assert _words(await file_of(server, same["id"]), 3.0) == ["Deux."], "earlier words stay"
        kept = await _again(server, id_, words={"Two": "Dos"}, keep_words=True)
        assert kept["credits"] == 4
        assert json_of(await server.ask("GET", "/v1/lexicons"))["data"][0]["name"] == "en"


async def test_a_cue_of_a_joined_sentence_names_its_line(tmp_path: Path) -> None:
    times = ("01,000 --> 00:00:02,000", "02,100 --> 00:00:03,000", "04,000 --> 00:00:05,000")
    texts = ("One", "two.", "Ben: Three.")
    rows = zip(times, texts, strict=True)
    srt = "".join(f"{n}\n00:00:{each}\n{text}\n\n" for n, (each, text) in enumerate(rows, 1))
    async with jobs_inside(tmp_path) as server:
        id_ = await new_dub(server, srt)
        numbers = [each["number"] for each in json.loads(await file_of(server, id_, "report.json"))["cues"]]
        assert numbers == [1, 3]
        assert await _taken(server, (await _again(server, id_, steps=[3]))["id"]) == [True, False]
        assert await _taken(server, (await _again(server, id_, steps=[2]))["id"]) == [False, True]


async def test_bad_input_names_its_field(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        id_ = await new_dub(server, SRT)
        no_cue = await user_file(server, b"No times.")
        late = await user_file(
            server, SRT.replace("00:00:05,000 --> 00:00:06,500", "00:00:07,000 --> 00:00:08,000").encode()
        )
        for body, param, code in (
            ({}, "only", "missing_required_parameter"),
            ({"only": "1"}, "only", "chapter_not_found"),
            ({"steps": [4]}, "steps", "step_not_found"),
            ({"cast": {"Cy": "alloy"}}, "cast", "speaker_not_found"),
            ({"cast": {"Ben": "nobody"}}, "voice", "voice_not_found"),
            ({"input_file_id": "file_no"}, "input_file_id", "file_not_found"),
            ({"input_file_id": no_cue}, "input_file_id", "unusable_subtitles"),
            ({"input_file_id": late}, "length_s", "invalid_value"),
            ({"length_s": 5}, "length_s", "invalid_value"),
        ):
            refused = await server.ask("POST", f"/v1/jobs/{id_}/again", body=body)
            assert refused.status_code in (400, 404), body
            assert (envelope(refused)["param"], envelope(refused)["code"]) == (param, code), refused.text
        alone = await new_dub(server, SRT.replace("Ben: ", ""), voice="alloy")
        refused = await server.ask("POST", f"/v1/jobs/{alone}/again", body={"cast": CAST["cast"]})
        assert envelope(refused)["param"] == "cast"
