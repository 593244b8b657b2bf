"""`voxgate jobs …` beside a live server."""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import pytest

from proxy.commands.command import CommandContext
from proxy.feature_list import load_config
from proxy.features.jobs.commands import jobs_watch
from proxy.file_store import data_folder
from tests.commands import command
from tests.features.jobs.job_rig import text_of
from tests.server import ALONE, Server, live_server
from tests.waiting import until

pytestmark = pytest.mark.slow

running = live_server()


def test_jobs_are_listed_shown_canceled_and_tried_again(running: Server) -> None:
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


def test_a_job_is_watched_until_its_end_and_deleted(running: Server, tmp_path: Path) -> None:
    with running.client() as client:

        def new_job(text: str) -> str:
            body = {"model": "tone", "voice": "alloy", "input": text, "response_format": "pcm"}
            return str(client.post("/v1/jobs", json=body).raise_for_status().json()["id"])

        short, long = new_job("Hello."), new_job(text_of(400))
    watched = running.cli("jobs", "watch", short)
    lines = watched.stdout.splitlines()
    assert lines[-1] == "done, 1 of 1 steps"
    assert len(lines) == len(set(lines))
    goes_on = running.cli("jobs", "watch", long, "--minutes", "0", check=False)
    assert (goes_on.returncode, goes_on.stdout.count("of 400 steps")) == (2, 1)
    running.cli("jobs", "cancel", long)
    canceled = running.cli("jobs", "watch", long, "--json", check=False)
    assert (canceled.returncode, json.loads(canceled.stdout)["status"]) == (1, "canceled")
    assert running.cli("jobs", "delete", short, "--yes").stdout == f"Deleted {short}.\n"
    for name in ("show", "watch"):
        gone = running.cli("jobs", name, short, check=False)
        assert (gone.returncode, "does not exist" in gone.stderr) == (1, True)
    (tmp_path / "config.toml").write_text(ALONE)
    alone = command(tmp_path / "config.toml", "jobs", "watch", long, check=False)
    assert "no server runs on" in alone.stderr


@pytest.mark.parametrize(("status", "code"), [("done", 0), ("failed", 1), ("canceled", 1), ("expired", 1)])
def test_a_watch_ends_with_the_job(tmp_path: Path, status: str, code: int) -> None:
    (tmp_path / "config.toml").write_text(ALONE)
    config = load_config(tmp_path / "config.toml", {})
    looks = cast(
        "Generator[object, Any, int]",
        jobs_watch("job_1", CommandContext(None, None, lambda _file: config)),
    )
    with data_folder.lock_data_folder(Path(config.data)):
        next(looks)
    with pytest.raises(StopIteration) as end:
        looks.send({"status": status, "ended": "2026-11-26T00:00:00Z"})
    assert end.value.value == code
