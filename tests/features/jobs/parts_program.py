"""A process that writes a large job in parts, for `tests/forked.py`: `main(URL, FOLDER, JOB, WHAT, NUMBER)`.

It makes, cancels, retries or removes the job, and kills itself after this number of parts.
"""

import os
import signal
from pathlib import Path
from typing import Any

import msgspec

from proxy.feature_list import open_store
from proxy.features.jobs.core import ends, opening, removals
from proxy.features.jobs.core.parts import PartClaim
from proxy.features.jobs.core.records import Job
from proxy.storage.store import Statement, Store


class NoNotices:
    """Tells nobody of the end of a job."""

    def statements(self, *_: Any) -> tuple[Statement, ...]:
        return ()


NO_NOTICES: Any = NoNotices()


def pieces(job: Job) -> list[tuple[int, int]]:
    return [(number, number + 1) for number in range(job.steps)]


async def carry_out(store: Store, job: Job, what: str) -> None:
    match what:
        case "make":
            assert await opening.add_with_steps(store, job, pieces(job))
        case "cancel":
            await ends.end_job(store, job, "canceled", NO_NOTICES)
        case "retry":
            assert await opening.reopen(store, job, None)
        case _:
            await removals.remove_job_rows(store, job.id)


def arm(left: int) -> None:
    write = PartClaim.write_part

    async def passing(self: PartClaim, *arguments: Any, **named: Any) -> Any:
        nonlocal left
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return await write(self, *arguments, **named)

    PartClaim.write_part = passing  # type: ignore[method-assign]


async def main(url: str, folder: str, job: str, what: str, number: str) -> None:
    arm(int(number))
    async with open_store(url, Path(folder)) as store:
        await carry_out(store, msgspec.json.decode(job, type=Job), what)
