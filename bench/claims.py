"""What jobs cost beside very many steps of one account: `python -m bench.claims`.

One account has 20 jobs of 500 steps that nobody works on yet, another hands in jobs of one step. Each claim
lists what there is to do, takes the lease of the first step, and ends it, on SQLite and on a real PostgreSQL.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from proxy.feature_list import open_store
from proxy.features.jobs.core import opening
from proxy.features.jobs.core.records import STEPS, Job
from proxy.storage import accounts
from proxy.storage.store import Store
from tests.databases import postgres

JOBS, STEPS_EACH = 20, 500
CLAIMS = 300
LISTED = 8


def a_job(account: str, name: str, steps: int) -> Job:
    return Job(
        id=f"job_{name}",
        account=account,
        key="key_bench",
        created=1,
        format="mp3",
        characters=2000 * steps,
        steps=steps,
        digest=name,
        wrapped="",
        sealed="",
    )


async def hand_in(store: Store, job: Job) -> float:
    pieces = [(2000 * number, 2000 * (number + 1)) for number in range(job.steps)]
    began = time.perf_counter()
    assert await opening.add_with_steps(store, job, pieces)
    return time.perf_counter() - began


async def measure(url: str, folder: Path) -> list[str]:
    async with open_store(url, folder) as store:
        book, short = [
            (await accounts.create(store, name=name, plan="free")).id for name in ("book", "short")
        ]
        long_ms = [await hand_in(store, a_job(book, f"book_{n:02}", STEPS_EACH)) for n in range(JOBS)]
        short_ms = [await hand_in(store, a_job(short, f"short_{n:03}", 1)) for n in range(CLAIMS)]
        listed_ms, claimed_ms, ended = await _claims(store)
    assert {book, short} == set(ended[:2]), "the other account is listed from the first claim on"
    return [
        f"add p50 {_ms(short_ms, 50)}, p99 {_ms(short_ms, 99)}; {STEPS_EACH} steps p50 {_ms(long_ms, 50)}",
        f"list p50 {_ms(listed_ms, 50)}; claim p50 {_ms(claimed_ms, 50)}, p99 {_ms(claimed_ms, 99)}",
    ]


async def _claims(store: Store) -> tuple[list[float], list[float], list[str]]:
    listed_ms, claimed_ms, ended = [], [], list[str]()
    for _ in range(CLAIMS):
        began = time.perf_counter()
        listed = await STEPS.list_open(store, await store.now(), LISTED)
        listed_ms.append(time.perf_counter() - began)
        held = await STEPS.take(store, listed[0], 60_000_000)
        claimed_ms.append(time.perf_counter() - began)
        assert held is not None
        ended += [each.account for each in listed[:2]]
        await STEPS.write_held(store, held, {"state": "done"}, gives_back=True)
    return listed_ms, claimed_ms, ended


def _ms(seconds: list[float], percent: int) -> str:
    return f"{1000 * statistics.quantiles(seconds, n=100)[percent - 1]:.2f} ms"


def main() -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        print(f"{JOBS * STEPS_EACH} steps of one account, {CLAIMS} of another; {CLAIMS} claims")
        server = stack.enter_context(postgres())
        for name, url in (("sqlite", "sqlite"), ("postgresql", server.url())):
            for line in asyncio.run(measure(url, folder)):
                print(f"{name:<11} {line}")


if __name__ == "__main__":
    main()
