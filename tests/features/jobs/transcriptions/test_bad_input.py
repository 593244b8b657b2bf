"""What no client should send to be written down: each answer names the field, and none makes a job."""

from pathlib import Path
from typing import Any

import pytest

from proxy.features.transcriptions import long_reading_child
from tests.features.jobs.conversions.rig import TRANSCRIPTION, ask_conversion, conversions_inside
from tests.proxy.api.inside import envelope
from tests.tones import of_seconds

pytestmark = pytest.mark.slow

AUDIO = of_seconds(1.0)
WRONG: tuple[tuple[dict[str, Any], int, str | None, str], ...] = (
    ({"audio": None}, 400, "file", "missing_required_parameter"),
    ({"audio": b"garbage" * 100}, 400, "file", "invalid_audio"),
    ({"audio": of_seconds(0.0)}, 400, "file", "invalid_audio"),
    ({"audio": of_seconds(10.1)}, 400, "file", "recording_too_long"),
    ({"audio": bytes(26 * 1024 * 1024)}, 413, "file", "request_too_large"),
    ({"kind": None}, 400, "kind", "missing_required_parameter"),
    ({"kind": "dictation"}, 400, "kind", "invalid_value"),
    ({"model": None}, 400, "model", "missing_required_parameter"),
    ({"model": "nobody"}, 404, "model", "model_not_found"),
    ({"model": "tone/standard"}, 400, "model", "unsupported_model"),
    ({"model": "gpt-4o-transcribe-diarize"}, 400, "model", "unsupported_value"),
    ({"task": "dub"}, 400, "task", "invalid_value"),
    ({"language": "no language!"}, 400, "language", "invalid_value"),
    ({"temperature": "2"}, 400, "temperature", "invalid_value"),
    ({"response_format": "docx"}, 400, "response_format", "invalid_value"),
    ({"response_format": "diarized_json"}, 400, "response_format", "unsupported_value"),
    ({"response_format": "srt", "stream": "true"}, 400, "response_format", "unsupported_value"),
    ({"timestamp_granularities[]": "word"}, 400, "timestamp_granularities", "unsupported_value"),
    ({"prompt": "x" * 8192, "keywords": "y"}, 400, "prompt", "invalid_value"),
    ({"title": "t" * 201}, 400, "title", "invalid_value"),
    ({"tag": "two\nlines"}, 400, "tag", "invalid_value"),
)


async def test_what_is_wrong_is_named_and_nothing_of_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    survey = long_reading_child.survey
    monkeypatch.setattr(
        "proxy.features.transcriptions.long_reading_child.survey", lambda file, _most_s: survey(file, 10)
    )
    async with conversions_inside(tmp_path) as server:
        for more, status, param, code in WRONG:
            answer = await ask_conversion(server, **{"audio": AUDIO, **TRANSCRIPTION, **more})
            error = envelope(answer)
            assert (answer.status_code, error["param"], error["code"]) == (status, param, code), more
        for table in ("jobs", "job_steps", "blobs", "usage"):
            assert await server.worker.store.read(f"SELECT * FROM {table}") == [], table
