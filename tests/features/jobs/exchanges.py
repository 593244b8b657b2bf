"""What the endpoints of jobs are asked by the test of /openapi.json, in this order."""

import json

from tests.proxy.audio.recordings.clips import wav
from tests.proxy.http.described import Exchange
from tests.sound import tone

_JOB = {"model": "tts-1", "voice": "alloy", "input": "Hello there."}
_LINES = json.dumps(
    {"custom_id": "a", "method": "POST", "url": "/v1/audio/speech", "body": {**_JOB, "model": "tone"}}
)
_BATCH = {"input_file_id": "{file}", "endpoint": "/v1/audio/speech", "completion_window": "24h"}
_FILE = ("lines.jsonl", _LINES.encode())

_RECORDING = wav(tone(440, 0.3))
_TRANSCRIPTION = {"kind": "transcription", "model": "tone/standard"}
_CONVERSION = {"kind": "conversion", "model": "tone/standard", "voice": "alloy", "consent": "true"}

EXCHANGES = (
    Exchange("create_job", "POST", "/v1/jobs", _JOB, 202),
    Exchange("create_job", "POST", "/v1/jobs", _JOB | {"response_format": "json"}, 400),
    Exchange("create_job", "POST", "/v1/jobs", _JOB | {"model": "gone"}, 404),
    Exchange("create_job", "POST", "/v1/jobs", _CONVERSION, 202, _RECORDING),
    Exchange("create_job", "POST", "/v1/jobs", _CONVERSION | {"pitch": "13"}, 400, _RECORDING),
    Exchange("create_job", "POST", "/v1/jobs", _TRANSCRIPTION, 400, _RECORDING),
    Exchange("preview_job", "POST", "/v1/jobs/preview", _JOB),
    Exchange("preview_job", "POST", "/v1/jobs/preview", _JOB | {"model": "gone"}, 404),
    Exchange("say_job_again", "POST", "/v1/jobs/job_gone/again", {"steps": [1]}, 404),
    Exchange("list_jobs", "GET", "/v1/jobs"),
    Exchange("list_jobs", "GET", "/v1/jobs?limit=0", status=400),
    Exchange("get_job", "GET", "/v1/jobs/{job}"),
    Exchange("get_job_events", "GET", "/v1/jobs/job_gone/events", status=404),
    Exchange("cancel_job", "POST", "/v1/jobs/{job}/cancel"),
    Exchange("get_job_content", "GET", "/v1/jobs/job_gone/content", status=404),
    Exchange("get_job_subtitles", "GET", "/v1/jobs/job_gone/subtitles?format=vtt", status=404),
    Exchange("list_job_steps", "GET", "/v1/jobs/{job}/steps"),
    Exchange("list_job_steps_of", "GET", "/admin/jobs/{job}/steps?limit=1"),
    Exchange("get_job_step_content", "GET", "/v1/jobs/{job}/steps/9/content", status=404),
    Exchange("list_jobs_of", "GET", "/admin/jobs?account=dev"),
    Exchange("get_job_of", "GET", "/admin/jobs/{job}"),
    Exchange("cancel_job_of", "POST", "/admin/jobs/{job}/cancel"),
    Exchange("retry_job", "POST", "/v1/jobs/job_gone/retry", status=404),
    Exchange("retry_job_of", "POST", "/admin/jobs/job_gone/retry", status=404),
    Exchange("delete_job_of", "DELETE", "/admin/jobs/job_gone", status=404),
    Exchange("delete_job", "DELETE", "/v1/jobs/{job}"),
    Exchange("create_file", "POST", "/v1/files", {"purpose": "batch"}, file=_FILE),
    Exchange("create_file", "POST", "/v1/files", {"purpose": "vision"}, 400, file=_FILE),
    Exchange("list_files", "GET", "/v1/files"),
    Exchange("list_files", "GET", "/v1/files?order=up", status=400),
    Exchange("get_file", "GET", "/v1/files/{file}"),
    Exchange("get_file", "GET", "/v1/files/file-gone", status=404),
    Exchange("get_file_content", "GET", "/v1/files/{file}/content"),
    Exchange("create_batch", "POST", "/v1/batches", _BATCH),
    Exchange("create_batch", "POST", "/v1/batches", _BATCH | {"input_file_id": "file-gone"}, 404),
    Exchange("create_job", "POST", "/v1/jobs", {"kind": "batch", "input_file_id": "{file}"}, 202),
    Exchange("list_batches", "GET", "/v1/batches"),
    Exchange("get_batch", "GET", "/v1/batches/{batch}"),
    Exchange("cancel_batch", "POST", "/v1/batches/{batch}/cancel"),
    Exchange("delete_file", "DELETE", "/v1/files/{file}"),
)
