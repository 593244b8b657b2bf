"""What the endpoints of jobs are asked by the test of /openapi.json, in this order."""

from __future__ import annotations

from tests.proxy.http.described import Exchange

_JOB = {"model": "tts-1", "voice": "alloy", "input": "Hello there."}

EXCHANGES = (
    Exchange("create_job", "POST", "/v1/jobs", _JOB, 202),
    Exchange("create_job", "POST", "/v1/jobs", _JOB | {"response_format": "json"}, 400),
    Exchange("create_job", "POST", "/v1/jobs", _JOB | {"model": "gone"}, 404),
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
)
