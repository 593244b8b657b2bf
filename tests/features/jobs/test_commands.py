"""`voxgate jobs …` beside a live server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests import server
from tests.faults.processes import until


def test_jobs_are_listed_shown_canceled_and_tried_again(tmp_path: Path) -> None:
    with server.running(tmp_path) as running:

        def asked(*arguments: str) -> dict[str, Any]:
            answer: dict[str, Any] = json.loads(running.cli("jobs", *arguments, "--json").stdout)
            return answer

        body = {"model": "tone", "voice": "alloy", "input": "Hello.", "response_format": "pcm"}
        with running.client() as client:
            job = client.post("/v1/jobs", json=body).json()["id"]
        until(lambda: asked("show", job)["status"] == "done")
        assert [row["id"] for row in asked("list", "--account", "dev")["data"]] == [job]
        assert "1 of 1" in running.cli("jobs", "list").stdout
        assert asked("cancel", job)["status"] == "done", "it has ended before"
        refused = running.cli("jobs", "retry", job, check=False)
        assert refused.returncode == 1
        assert "nothing is to be tried again" in refused.stderr
        gone = running.cli("jobs", "show", "job_gone", check=False)
        assert "does not exist" in gone.stderr
