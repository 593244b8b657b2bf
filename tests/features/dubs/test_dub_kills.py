"""Kill -9 while a dub is read, spoken, fitted, mixed and encoded; `make soak` has all points."""

import json
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from policies.price import MICRO
from proxy.feature_list import open_store
from proxy.features.admin.verify import verify
from proxy.storage import usage
from proxy.storage.store import Statement
from tests import forked
from tests.features.dubs.dub_program import MAKING, READING, SPEAKING
from tests.features.dubs.rig import CAST, file_of, original_of, user_file
from tests.features.jobs.job_program import FILE_POINTS
from tests.features.jobs.job_rig import job_with, jobs_inside
from tests.replies import json_of

pytestmark = pytest.mark.slow

_RESULTS = ("track", "speech", "bed")
_LINES = 12
_SRT = "".join(
    f"{n}\n00:00:{2 * n:02},000 --> 00:00:{2 * n + 1:02},500\n{'Ana' if n % 2 else 'Ben'}: Text {n}.\n\n"
    for n in range(1, _LINES + 1)
)
_SAID = [f"Text {n}." for n in range(1, _LINES + 1)]
Kill = tuple[str, int]


async def test_a_dub_has_the_same_bytes_however_often_it_is_killed(tmp_path: Path, store_url: str) -> None:
    points = {
        "sqlite": ("after original", "after sound", "in fitting", "after mixed"),
        "postgresql": ("after settlement", "after bed", "before file rows"),
    }
    await expect_the_same_dub(
        tmp_path, store_url, [(each, 1) for each in points[store_url.partition(":")[0]]]
    )


@pytest.mark.soak
async def test_a_dub_has_the_same_bytes_after_forty_kills(tmp_path: Path, store_url: str) -> None:
    # Once the step is over, or its rows are written, these points are not come to again.
    *encoding, last = FILE_POINTS
    kills = [(point, 1) for point in READING] + [(point, 1) for point in SPEAKING]
    kills += [(point, number) for point in MAKING for number in (1, 2)]
    kills += [(point, number) for point in encoding for number in (1, 2)]
    kills = [kill for kill in kills if kill not in {("before file rows", 2), ("in fitting", 2)}]
    kills = [*kills, *[("before bed", 1)] * (40 - len(kills) - 1), (last, 1)]
    assert len(kills) >= 40
    await expect_the_same_dub(tmp_path, store_url, kills)


async def expect_the_same_dub(folder: Path, url: str, kills: Sequence[Kill]) -> None:
    """Kill a dub at each of these points, and let the next process go on. In the end it is as another one
    that was never killed, and it was charged once."""
    async with jobs_inside(folder, url) as server:
        body = {"kind": "dub", "model": "tone", "voice": CAST, "seed": 7, "results": _RESULTS}
        body["input_file_id"] = await user_file(server, _SRT.encode())
        body["original_file_id"] = await user_file(server, original_of(2.0 * _LINES + 3), "film.flac")
        first = json_of(await server.ask("POST", "/v1/jobs", body=body), 202)["id"]
        await job_with(server, first, "done")
        wanted = [await file_of(server, first, name) for name in _RESULTS]
        before = server
    arguments = (str(folder / "config.toml"), before.key, json.dumps(body))
    missed = list[Kill]()
    for point, number in (*kills, ("", 1)):
        ended = await forked.run("tests.features.dubs.dub_program", *arguments, point, str(number))
        assert ended.returncode in (0, -signal.SIGKILL), ended.stdout
        missed += [(point, number)] if point and not ended.returncode else []
        async with open_store(url, folder / "data") as store:
            # The leases of the dead are over, and the delays.
            await store.write(Statement("UPDATE job_steps SET lease = 0, due = asked"))
    assert missed == [], "these points were not come to"
    async with jobs_inside(folder, url, name="ben") as server:
        store, ours = server.worker.store, before._replace(worker=server.worker)
        jobs = json_of(await ours.ask("GET", "/v1/jobs"))["data"]
        assert [each["status"] for each in jobs] == ["done", "done"]
        (second,) = [each["id"] for each in jobs if each["id"] != first]
        assert [await file_of(ours, second, name) for name in _RESULTS] == wanted
        rows = [row for row in await usage.list_newest(store, limit=1000) if row.credits]
        assert sum(row.credits for row in rows) == 2 * len("".join(_SAID)) * MICRO, (
            "each line is charged once"
        )
        assert (await verify(store)).is_clean
