"""A disk that is full for a while delays a job, and fails none: it goes on once there is room."""

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.features.admin.verify import verify
from proxy.features.jobs.core.encoding import MOST_WAIT_S
from proxy.file_store import objects
from proxy.file_store.objects import VaultRefused
from proxy.speech import spill
from tests.features.jobs.job_rig import job, job_with, jobs_inside, kind_of, new_job
from tests.proxy.api.inside import Inside
from tests.proxy.api.scripted import Scripted, spoken
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row

pytestmark = pytest.mark.slow

_FULL_S, _SOON_S = 30.0, 40.0


class _Disk:
    """Takes so many writes, and then none until there is room again."""

    def __init__(self, takes: int, error: Exception = OSError(errno.ENOSPC, "no space")) -> None:  # noqa: B008
        self.takes = takes
        self.error = error

    def of(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def written(*args: Any) -> Any:
            self.takes -= 1
            if self.takes < 0:
                raise self.error
            return write(*args)

        return written


async def _new_job(
    server: Inside, patches: pytest.MonkeyPatch, module: Any, name: str, disk: _Disk
) -> dict[str, Any]:
    """Make a job whose first step begins when the disk is in place of the function `name`."""
    kind, text = kind_of(server), "Hello there. " * 40
    kind.most_at_once, most = 0, kind.most_at_once
    made = await new_job(server, text, model="one", voice="one", response_format="m4b")
    patches.setattr(module, name, disk.of(getattr(module, name)))
    kind.most_at_once = most
    return made


@each_row(
    ("module", "name", "takes"),
    [(spill, "_write_all", 0), (objects, "_write", 0), (objects, "_write", 2)],
    ids=["the whole answer", "a step's sound", "the file"],
)
@simulated
async def test_a_job_goes_on_soon_after_the_room_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, takes: int
) -> None:
    disk = _Disk(takes)
    for each in ("steps", "encoding"):
        monkeypatch.setattr(f"proxy.features.jobs.core.{each}.MOST_TRIES", 2)
    async with jobs_inside(tmp_path, one=Scripted(*spoken(20.0))) as server:
        made = await _new_job(server, monkeypatch, module, name, disk)
        await asyncio.sleep(_FULL_S)
        shown = await job(server, made["id"])
        assert (shown["status"], disk.takes < 0) == ("running" if takes else "queued", True)
        disk.takes = 1_000_000
        async with asyncio.timeout(_SOON_S):
            await job_with(server, made["id"], "done")
        assert (await verify(server.worker.store)).is_clean


@simulated
async def test_a_disk_that_stays_full_is_tried_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = _Disk(2)
    async with jobs_inside(tmp_path, one=Scripted(*spoken(20.0))) as server:
        made = await _new_job(server, monkeypatch, objects, "_write", disk)
        await asyncio.sleep(300)
        assert 5 <= -disk.takes <= 8
        disk.takes = 1_000_000
        async with asyncio.timeout(MOST_WAIT_S + _SOON_S):
            await job_with(server, made["id"], "done")


@simulated
async def test_a_store_that_refuses_fails_the_job_at_its_last_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.features.jobs.core.encoding.MOST_TRIES", 2)
    disk = _Disk(2, VaultRefused("vault.store: 403"))
    async with jobs_inside(tmp_path, one=Scripted(*spoken(20.0))) as server:
        made = await _new_job(server, monkeypatch, objects, "_write", disk)
        async with asyncio.timeout(600):
            failed = await job_with(server, made["id"], "done", "failed")
        assert (failed["status"], -disk.takes) == ("failed", 2)
        assert (await verify(server.worker.store)).is_clean
