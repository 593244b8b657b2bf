"""Very many steps of one account: no look for work reads them all."""

from pathlib import Path
from typing import Any

import pytest

from proxy.features.jobs.core import opening
from proxy.features.jobs.core.records import STEPS, Job
from proxy.storage import accounts
from proxy.storage.store import Store
from tests.features.jobs.job_rig import content, job, job_with, jobs_inside, new_job, text_of

pytestmark = pytest.mark.slow


async def test_a_look_reads_a_few_steps_of_each_account(store: Store) -> None:
    for account in ("book", "short"):
        made = await accounts.create(store, name=account, plan="free")
        for number in range(20 if account == "book" else 1):
            steps = 500 if account == "book" else 3
            job = Job(
                id=f"job_{account}_{number}",
                account=made.id,
                key="key_a",
                created=1,
                format="mp3",
                characters=steps,
                steps=steps,
                digest=f"{account}_{number}",
                wrapped="",
                sealed="",
            )
            assert await opening.add_with_steps(store, job, [(n, n + 1) for n in range(steps)])
    listed = await STEPS.list_open(store, await store.now(), 8)
    assert [each.job.split("_")[1] for each in listed] == ["book", "short"] * 2
    explain = "EXPLAIN" if store.is_shared else "EXPLAIN QUERY PLAN"
    params = {"now": await store.now(), "limit": 8}
    plan = [
        str(value)
        for row in await store.read(f"{explain} {STEPS._list(only_if='1 = 1')}", params)
        for value in row.values()
    ]
    assert not [line for line in plan if "Seq Scan on job_steps" in line]
    assert not [line for line in plan if line.startswith("SCAN job_steps") and "INDEX" not in line]


@pytest.mark.clock
async def test_what_looks_at_all_steps_of_a_job_delays_no_check_of_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await new_job(server, text_of(2), response_format="mp3")
        await job_with(server, made["id"], "done")
        store, short = server.worker.store, list[str]()
        read = store.read

        async def noted(sql: str, *params: Any) -> Any:
            short.append(sql)
            return await read(sql, *params)

        monkeypatch.setattr(store, "read", noted)
        await job(server, made["id"])
        assert (await content(server, made["id"])).status_code == 200
        path = f"/v1/jobs/{made['id']}"
        assert (await server.ask("GET", f"{path}/subtitles")).status_code == 200
        assert (await server.ask("GET", f"{path}/events")).status_code == 200
        assert short
        assert not [sql for sql in short if "job_clips" in sql or "job_steps" in sql]
