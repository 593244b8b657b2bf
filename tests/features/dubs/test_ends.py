"""The end of a dub whose lines are spoken: its files are made, whatever happened meanwhile."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.features.dubs.request import FILES
from proxy.features.jobs.core import encoding
from proxy.features.jobs.core.encoded_records import list_encoded
from proxy.features.jobs.core.encoding import FileSteps
from proxy.features.jobs.core.kind import ABSENT, JobKinds
from tests.features.dubs.rig import SRT, ask_dub, file_of
from tests.features.jobs.job_rig import job_with, jobs_inside
from tests.features.jobs.test_ends import expire, revoke
from tests.features.jobs.test_suspended import switch, with_operator
from tests.proxy.api.inside import Inside
from tests.replies import json_of
from tests.waiting import soon

_MADE = ("track", "report.json", "receipt.json")
_FILE_STEP = "SELECT error FROM job_steps WHERE job = :job AND kind = 'file' AND state = 'wanted'"


@asynccontextmanager
async def _spoken(folder: Path) -> AsyncIterator[tuple[Inside, FileSteps, str]]:
    """Yield a server, what makes its files and does not begin yet, and a dub whose lines are spoken."""
    async with jobs_inside(folder) as opened:
        server = await with_operator(opened)
        (files,) = [kind for kind in server.worker.task_kinds if isinstance(kind, FileSteps)]
        files.most_at_once = 0
        id_ = json_of(await ask_dub(server, SRT), 202)["id"]

        async def is_spoken() -> bool:
            return len(await server.worker.store.read(_FILE_STEP, {"job": id_})) == 1

        await soon(is_spoken)
        yield server, files, id_


def _begin(files: FileSteps) -> None:
    files.most_at_once = 1
    files.look_now()


async def test_a_dub_waits_for_its_feature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "WAITS_S", 0.0)
    async with _spoken(tmp_path) as (server, files, id_):
        kinds = server.worker.open_features.context.find(JobKinds)
        dubs = kinds._by_name.pop("dub")

        async def waits() -> bool:
            (step,) = await server.worker.store.read(_FILE_STEP, {"job": id_})
            return bool(step["error"] == ABSENT)

        _begin(files)
        await soon(waits)
        kinds.add_kind(dubs)
        _begin(files)
        await job_with(server, id_, "done")
        assert await file_of(server, id_, "report.json")


@pytest.mark.parametrize("end", [revoke, expire])
async def test_a_key_that_ends_after_the_last_line_takes_no_file(
    tmp_path: Path, end: Callable[[Inside, str], Awaitable[None]]
) -> None:
    async with _spoken(tmp_path) as (server, files, id_):
        (row,) = await server.worker.store.read("SELECT key FROM jobs")
        await end(server, row["key"])
        _begin(files)

        async def has_ended() -> bool:
            shown = (await server.administer("GET", f"jobs/{id_}")).json()
            return shown["ended"] is not None and bool(shown["status"] == "done")

        await soon(has_ended)
        assert all([await list_encoded(server.worker.store, id_, FILES[name]) for name in _MADE])


async def test_a_suspended_account_has_its_files_in_the_end(tmp_path: Path) -> None:
    async with _spoken(tmp_path) as (server, files, id_):
        await switch(server, "suspend")

        async def has_ended() -> bool:
            return (await server.administer("GET", f"jobs/{id_}")).json()["ended"] is not None

        _begin(files)
        await soon(has_ended)
        await switch(server, "resume")
        await job_with(server, id_, "done")
