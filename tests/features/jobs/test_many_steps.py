"""Very many steps of one account: no look for work reads them all."""

from __future__ import annotations

from proxy.features.jobs import records
from proxy.features.jobs.records import STEPS, Job
from proxy.storage import accounts
from proxy.storage.store import Store


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
            assert await records.add(store, job, [(n, n + 1) for n in range(steps)])
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
