"""The receipt of a dub, and what goes with an erased voice."""

import hashlib
import json
from pathlib import Path

from proxy.features.jobs.core import records
from tests.features.dubs.rig import SRT, file_of, new_dub, original_of, sound_of
from tests.features.erasure.erasing import erasure_of
from tests.features.jobs.job_rig import job_with, jobs_inside
from tests.proxy.api.inside import Inside
from tests.proxy.api.owning import clone
from tests.replies import json_of


async def test_a_receipt_names_each_file_and_each_voice_with_its_consent(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        voice = await clone(server)
        cast = {"cast": {"Ana": voice["id"], "Ben": "alloy"}}
        results = ["track", "speech", "bed"]
        id_ = await new_dub(server, SRT, original_of(8.0), voice=cast, results=results)
        receipt = json.loads(await file_of(server, id_, "receipt.json"))
        claims = receipt["claims"]
        assert (receipt.keys(), receipt["id"]) == ({"object", "id", "claims"}, id_), "nobody signs it"
        await _expect_files(server, id_, results)
        ana, ben = claims["voices"]
        assert (ana["name"], ana["voice"], len(ana["consents"])) == ("Ana", voice["id"], 1)
        assert ben == {"name": "Ben", "voice": "alloy", "consents": []}
        assert (claims["kind"], claims["samples"], claims["sample_rate_hz"]) == ("dub", 8 * 48_000, 48_000)
        assert [each["model"] for each in claims["speakers"]] == ["tone/standard"]
        track = await file_of(server, id_)
        assert (claims["sha256"], claims["bytes"]) == (hashlib.sha256(track).hexdigest(), len(track))


async def test_a_receipt_names_an_m4a_whose_head_was_written_last(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        id_ = await new_dub(server, SRT, response_format="m4a", results=["track", "speech"])
        await _expect_files(server, id_, ["track", "speech"])


async def _expect_files(server: Inside, id_: str, names: list[str]) -> None:
    files = json.loads(await file_of(server, id_, "receipt.json"))["claims"]["files"]
    assert [each["name"] for each in files] == names
    for each in files:
        file = await file_of(server, id_, each["name"])
        assert (each["sha256"], each["bytes"]) == (hashlib.sha256(file).hexdigest(), len(file))


async def test_an_erased_voice_takes_its_lines_and_the_track_and_the_job_says_so(
    tmp_path: Path, store_url: str
) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        voice = await clone(server)
        cast = {"cast": {"Ana": voice["id"], "Ben": "alloy"}}
        results = ["track", "speech", "bed"]
        first = await new_dub(server, SRT, original_of(8.0), voice=cast, results=results)
        made = json_of(await server.ask("POST", f"/v1/jobs/{first}/again", body={"steps": [2]}), 202)
        second = (await job_with(server, made["id"], "done"))["id"]
        refused = await server.ask("DELETE", f"/v1/audio/voice_consents/{voice['consent']}")
        assert refused.status_code == 409, "a voice needs it"
        assert (await server.ask("DELETE", f"/v1/audio/voices/{voice['id']}")).status_code == 200
        await erasure_of(server.worker).finish_interrupted()
        consent = await server.ask("DELETE", f"/v1/audio/voice_consents/{voice['consent']}")
        assert consent.status_code == 200, consent.text
        for id_ in (first, second):
            assert [clip.number for clip in await records.list_clips(server.worker.store, id_)] == [2]
            for name in ("track", "speech"):
                gone = await server.ask("GET", f"/v1/jobs/{id_}/content?file={name}")
                assert "erased" in json_of(gone, 409)["error"]["message"]
            assert len(sound_of(await file_of(server, id_, "bed"))[0]) == 8 * 48_000, "it has no voice"
            shown = json_of(await server.ask("GET", f"/v1/jobs/{id_}"))
            assert shown["warnings"] == [
                "The sound of a voice in it was erased. Its lines, stems and track are gone."
            ]
            again = await server.ask("POST", f"/v1/jobs/{id_}/again", body={"steps": [2]})
            assert json_of(again, 400)["error"]["code"] == "voice_not_found"
            claims = json.loads(await file_of(server, id_, "receipt.json"))["claims"]
            assert len(claims["voices"][0]["consents"]) == 1, "it proves what was made"
