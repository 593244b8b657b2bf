"""What no client should send as a long recording: each answer names the field, and none makes a job."""

from pathlib import Path
from typing import Any

import pytest

from proxy.features.transcriptions import long_reading_child, long_recordings
from proxy.http.form import MOST_FILE_BYTES
from tests.features.jobs.conversions.rig import FORM, ask_conversion, conversions_inside, recording
from tests.proxy.api.inside import envelope
from tests.tones import of_seconds

AUDIO = recording(["Hello."])
WRONG: tuple[tuple[dict[str, Any], int, str | None, str], ...] = (
    ({"audio": None}, 400, "file", "missing_required_parameter"),
    ({"audio": b"garbage" * 100}, 400, "file", "invalid_audio"),
    ({"audio": of_seconds(400.0, level=0)}, 400, "file", "invalid_audio"),
    ({"audio": of_seconds(0.0)}, 400, "file", "invalid_audio"),
    ({"audio": bytes(MOST_FILE_BYTES + 1)}, 400, "file", "file_too_large"),
    ({"audio": bytes(26 * 1024 * 1024)}, 413, "file", "request_too_large"),
    ({"kind": None}, 400, "kind", "missing_required_parameter"),
    ({"kind": "speech"}, 400, "kind", "invalid_value"),
    ({"model": None}, 400, "model", "missing_required_parameter"),
    ({"model": "nobody"}, 404, "model", "model_not_found"),
    ({"model": "cloud/tts-1"}, 400, "model", "unsupported_model"),
    ({"voice": "voice_of_others"}, 400, "voice", "voice_not_found"),
    ({"pitch": "13"}, 400, "pitch", "invalid_value"),
    ({"pitch": "2"}, 400, "pitch", "unsupported_value"),
    ({"seed": "-1"}, 400, "seed", "invalid_value"),
    ({"consent": None}, 400, "consent", "missing_required_parameter"),
    ({"consent": "cons_nobody"}, 404, "consent", "consent_not_found"),
    ({"response_format": "json"}, 400, "response_format", "invalid_value"),
    ({"response_format": "wav", "bitrate": "64"}, 400, "bitrate", "invalid_value"),
    ({"provenance": "c2pa", "response_format": "wav"}, 400, "provenance", "invalid_value"),
)


async def test_what_is_wrong_is_named_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    async with conversions_inside(tmp_path) as server:
        for more, status, param, code in WRONG:
            answer = await ask_conversion(server, **{"audio": AUDIO, **more})
            error = envelope(answer)
            assert (answer.status_code, error["param"], error["code"]) == (status, param, code), more
        store = server.worker.store
        for table in ("jobs", "job_steps", "blobs", "usage"):
            assert await store.read(f"SELECT * FROM {table}") == [], table


async def test_an_unknown_text_is_passed_over_and_an_unknown_file_is_refused(tmp_path: Path) -> None:
    async with conversions_inside(tmp_path) as server, server.client() as client:
        answer = await client.post("/v1/jobs", data={**FORM, "hobby": "chess"}, files={"file": AUDIO})
        assert answer.status_code == 202, answer.text
        answer = await client.post("/v1/jobs", data=FORM, files={"file": AUDIO, "other": AUDIO})
        assert (answer.status_code, envelope(answer)["param"]) == (400, "other")


async def test_in_json_it_says_that_a_form_is_wanted(tmp_path: Path) -> None:
    async with conversions_inside(tmp_path) as server:
        answer = await server.ask("POST", "/v1/jobs", body={**FORM, "input": "Hello."})
        error = envelope(answer)
        assert (answer.status_code, error["param"]) == (400, "kind")
        assert "in a form conversion" in error["message"]


async def test_what_is_longer_than_any_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    survey = long_reading_child.survey
    monkeypatch.setattr(
        "proxy.features.transcriptions.long_reading_child.survey", lambda file, _longest_s: survey(file, 10)
    )
    async with conversions_inside(tmp_path) as server:
        answer = await ask_conversion(server, of_seconds(10.1))
        error = envelope(answer)
        assert (answer.status_code, error["param"], error["code"]) == (400, "file", "recording_too_long")
        assert f"{long_recordings.LONGEST_S // 3600} hours" in error["message"]
        assert (await ask_conversion(server, of_seconds(10.0))).status_code == 202


@pytest.mark.parametrize(
    ("plan", "status", "code"), [("none", 403, "jobs_not_allowed"), ("free", 429, "insufficient_quota")]
)
async def test_who_may_not_or_cannot_pay_is_told_before_anything_is_read(
    tmp_path: Path, plan: str, status: int, code: str
) -> None:
    broke = '[plans.free]\nallowance = 0\nprices.conversion = { credits = 1, per = "minute" }\n'
    async with conversions_inside(tmp_path, plan=plan, more=broke) as server:
        answer = await ask_conversion(server, b"no recording")
        assert (answer.status_code, envelope(answer)["code"]) == (status, code)
