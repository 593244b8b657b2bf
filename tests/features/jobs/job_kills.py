"""Kills at points of one job's steps, one after the other, and what must hold in the end."""

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from policies.price import MICRO
from policies.tasks import SECOND_US
from proxy.feature_list import open_store
from proxy.features.admin.verify import verify
from proxy.features.jobs.core import records
from proxy.storage import usage
from proxy.storage.store import Statement, Store
from tests import forked
from tests.features.jobs.batches.rig import batch, line, new_batch, said_in, unzipped
from tests.features.jobs.job_rig import content, job, jobs_inside, kind_of, new_job, text_of, words_of
from tests.sound import decoded
from tests.tones import words

TAG = "episode:7"
Kill = tuple[str, int]
"""A point of `job_program`, and how often it was come to by then."""


class Books(NamedTuple):
    """In how many cycles steps were charged, and over how many days."""

    cycles: int
    days: float


async def expect_one_of_each(
    folder: Path, url: str, kills: Sequence[Kill], steps: int, format_: str = "pcm", days: float = 0.0
) -> Books:
    """Kill a worker at each of these points, and let the next one go on, over so many days.

    Then each step was spoken and charged once, and the file is whole.
    """
    text = text_of(steps)
    async with jobs_inside(folder, url) as server:
        kind_of(server).most_at_once = 0
        id_ = (await new_job(server, text, response_format=format_, tag=TAG))["id"]
        # Of three days, a cycle turns in the second one.
        later = await server.worker.store.now() + 2 * 86_400 * SECOND_US
        await server.worker.store.write(Statement("UPDATE accounts SET anchor = :later", {"later": later}))
        before = server
    await killed_at_each(folder, url, kills, days)
    async with jobs_inside(folder, url, name="ben") as server:
        books = await expect_books(server.worker.store, id_, steps, text)
        ours = before._replace(worker=server.worker)
        shown = await job(ours, id_)
        assert (shown["status"], shown["steps_done"], shown["credits"]) == ("done", steps, len(text))
        assert words(*decoded((await content(ours, id_)).content, format_)) == words_of(steps)
    return books


async def expect_one_of_each_line(folder: Path, url: str, kills: Sequence[Kill], lines: int) -> None:
    """The same of a batch, whose last line fails, which costs nothing."""
    texts = words_of(lines)
    sent = [line(f"{number}", text, tag=TAG) for number, text in enumerate(texts)]
    async with jobs_inside(folder, url) as server:
        kind_of(server).most_at_once = 0
        id_ = (await new_batch(server, *sent, line("nobody", "Lost.", voice="nobody")))["id"]
        before = server
    await killed_at_each(folder, url, kills)
    async with jobs_inside(folder, url, name="ben") as server:
        store = server.worker.store
        rows = await store.read(
            "SELECT state, count(*) AS steps FROM job_steps GROUP BY state ORDER BY state"
        )
        assert [(row["state"], row["steps"]) for row in rows] == [("done", lines), ("failed", 1)]
        await _expect_bills(store, id_, lines, "".join(texts))
        shown = await batch(before._replace(worker=server.worker), id_)
        counts = {"total": lines + 1, "completed": lines, "failed": 1}
        assert (shown["status"], shown["request_counts"]) == ("completed", counts)
        sounds = unzipped((await content(before._replace(worker=server.worker), id_)).content)
        assert [said_in(name, data) for name, data in sounds.items()] == [[text] for text in texts]


async def killed_at_each(folder: Path, url: str, kills: Sequence[Kill], days: float = 0.0) -> None:
    """Kill a worker at each of these points, and let a last one go on to the end. On PostgreSQL, every second
    one is a `voxgate worker`."""
    struck, roles = 0, ("server", "server" if url == "sqlite" else "worker")
    for turn, (point, number) in enumerate(kills):
        day = str(days * turn / len(kills))
        struck += await _run(folder, roles[turn % 2], day, point, str(number)) == -signal.SIGKILL
        async with open_store(url, folder / "data") as store:
            # The leases of the dead are over, and the delays.
            await store.write(Statement("UPDATE job_steps SET lease = 0, due = asked"))
    assert await _run(folder, roles[-1], str(days)) == 0
    assert struck == len(kills), "a point was not come to"


async def expect_books(store: Store, id_: str, steps: int, text: str) -> Books:
    """Each step has one sound and one charge."""
    rows = await store.read(
        "SELECT state, count(*) AS steps FROM job_steps WHERE kind = 'speech' GROUP BY state"
    )
    assert [(row["state"], row["steps"]) for row in rows] == [("done", steps)]
    return await _expect_bills(store, id_, steps, text)


async def _expect_bills(store: Store, id_: str, steps: int, text: str) -> Books:
    clips = await records.list_clips(store, id_)
    assert [clip.number for clip in clips] == list(range(1, steps + 1))
    used = [row for row in await usage.list_newest(store, limit=100_000) if row.credits]
    bills = {row.id: row.credits for row in used}
    assert bills.keys() == {clip.request for clip in clips}
    assert sum(bills.values()) == len(text) * MICRO
    assert {row.tag for row in used} == {TAG}
    assert (await verify(store)).is_clean
    cycles = await store.read("SELECT DISTINCT pool FROM entries WHERE kind = 'spend'")
    times = [row.started for row in used]
    return Books(len(cycles), (max(times) - min(times)) / (86_400 * SECOND_US))


async def _run(folder: Path, *point: str) -> int:
    ended = await forked.run("tests.features.jobs.job_program", str(folder / "config.toml"), *point)
    assert ended.returncode in (0, -signal.SIGKILL), ended.stdout
    return ended.returncode
