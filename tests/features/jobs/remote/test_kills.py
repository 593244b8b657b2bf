"""Kill -9 in states of a run elsewhere, on each kind of database; `make soak` has all points."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import structlog

from policies.price import MICRO
from proxy.feature_list import open_store
from proxy.features.admin.usage_sums import list_sums
from proxy.features.admin.verify import verify
from proxy.features.jobs.core import records as jobs
from proxy.storage import usage
from proxy.storage.store import Statement, Store
from proxy.storage.usage import Period
from speech_engine import Context, Engine
from speech_engine.host.remote_server import RemoteServer
from speech_engine.host.remote_worker import RemoteAnswer, RemoteWorker
from speech_engine.host.sample_cache import SampleCache
from speech_engine.plugin import Logger, worker_plugin
from speech_engine.runner import RemoteWork
from tests import forked
from tests.features.jobs.job_kills import Kill
from tests.features.jobs.job_rig import content, job, kind_of, new_job, said, text_of, words_of
from tests.features.jobs.remote.http_runner import PLUGIN, USD
from tests.features.jobs.remote.remote_rig import CONFIG, Plugins, introduced
from tests.proxy.api.inside import inside

pytestmark = pytest.mark.slow

TOKEN = "far-token"


class Watched(RemoteWorker):
    """A far end that tells what it has begun."""

    def __init__(self, engine: Engine, sample_cache: SampleCache, log: Logger) -> None:
        super().__init__(engine, sample_cache, log)
        self.begun: list[str] = []

    def begin(self, work: RemoteWork) -> RemoteAnswer:
        if self.find(work.key) is None:
            self.begun.append(work.key)
        return super().begin(work)


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Watched, str]]:
    """Serve a far end with the tone engine, in this process."""
    settings, create = worker_plugin("plugins.tone.worker")
    log, sample_cache = structlog.get_logger(), SampleCache()
    async with create(
        "far", msgspec.json.decode(b"{}", type=settings), Context(log, samples=sample_cache)
    ) as tone:
        remote_worker = Watched(tone, sample_cache, log)
        server = RemoteServer(remote_worker, TOKEN, ("127.0.0.1", 0))
        try:
            yield remote_worker, f"http://127.0.0.1:{server.port}"
        finally:
            await asyncio.to_thread(server.close)
            await remote_worker.close()


async def expect_one_run_of_each(folder: Path, url: str, kills: Sequence[Kill], steps: int) -> None:
    """Kill a worker at each of these points, and let the next one go on.

    Then each step was begun, charged and spoken once, here and there, and the file is whole.
    """
    text = text_of(steps)
    async with served() as (remote_worker, address):
        runner = f'[runners.rented]\nplugin = "far_http"\nurl = "{address}"\ntoken = "{TOKEN}"'
        config = CONFIG.replace("[runners.rented]", runner).format(url=url, more="", server="")
        plugins: Plugins = {("runner", "far_http"): PLUGIN}
        async with inside(folder, config, plan="metered", more=plugins) as server:
            await introduced(server)
            kind_of(server).most_at_once = 0
            id_ = (await new_job(server, text, model="far", tag="ep:7"))["id"]
            before = server
        struck = 0
        for point, number in kills:
            struck += await _run(folder, point, str(number)) == -signal.SIGKILL
            async with open_store(url, folder / "data") as store:
                await _let_time_pass(store)
        assert await _run(folder) == 0
        async with inside(folder, config, plan="metered", more=plugins, name="ben") as server:
            await _expect_books(server.worker.store, id_, text, remote_worker.begun)
            ours = before._replace(worker=server.worker)
            shown = await job(ours, id_)
            assert (shown["status"], shown["steps_done"], shown["credits"]) == ("done", steps, len(text))
            assert said((await content(ours, id_)).content) == words_of(steps)
        pieces = [key.rpartition(".")[0] for key in remote_worker.begun]
        assert len(pieces) == len(set(pieces)) == steps + 1, "each began once, and the introduction"
        assert struck == len(kills), "a point was not come to"


async def _let_time_pass(store: Store) -> None:
    """Let the leases of the dead be over, the delays, and the time in which a `submit` may be under way."""
    await store.write(Statement("UPDATE job_steps SET lease = 0, due = asked"))
    await store.write(Statement("UPDATE remote_runs SET asked_by = 1 WHERE state = 'starting'"))


async def _expect_books(store: Store, id_: str, text: str, begun: Sequence[str]) -> None:
    rows = await store.read("SELECT request, micro_usd FROM costs")
    assert {row["request"]: row["micro_usd"] for row in rows} == dict.fromkeys(begun, USD * MICRO)
    assert await store.read("SELECT id FROM remote_runs WHERE ended IS NULL") == []
    period = Period()
    by_job = {row.name: row.micro_usd for row in await list_sums(store, period, "job", has_runs=True)}
    assert by_job[id_] == (len(begun) - 1) * USD * MICRO, "all but the introduction"
    by_tag = {row.name: row.micro_usd for row in await list_sums(store, period, "tag", has_runs=True)}
    assert by_tag["ep:7"] == by_job[id_], "with what the machines have cost"
    by_engine = {row.name: row.micro_usd for row in await list_sums(store, period, "engine", has_runs=True)}
    assert by_engine["far"] == len(begun) * USD * MICRO
    bills = {row.id: row.credits for row in await usage.list_newest(store) if row.credits}
    assert bills.keys() == {clip.request for clip in await jobs.list_clips(store, id_)}
    assert sum(bills.values()) == len(text) * MICRO
    assert (await verify(store)).is_clean


async def _run(folder: Path, *point: str) -> int:
    ended = await forked.run("tests.features.jobs.remote.far_program", str(folder / "config.toml"), *point)
    assert ended.returncode in (0, -signal.SIGKILL), ended.stdout
    return ended.returncode


STEPS = 3
ALL_POINTS = (
    *("before row", "after row", "after submit", "before name", "after name", "before look", "after look"),
    *("before charge", "after charge", "after sound", "after file", "before settlement", "after settlement"),
    "before end",
)
POINTS = {
    "sqlite": ("after row", "after submit"),
    "postgresql": ("before name",),
}


async def test_each_step_begins_once_elsewhere_however_often_the_worker_is_killed(
    tmp_path: Path, store_url: str
) -> None:
    points = POINTS[store_url.partition(":")[0]]
    await expect_one_run_of_each(tmp_path, store_url, [(point, 1) for point in points], STEPS)


@pytest.mark.soak
async def test_a_worker_is_killed_at_every_point_of_runs_elsewhere(tmp_path: Path, store_url: str) -> None:
    await expect_one_run_of_each(tmp_path, store_url, [(point, 1) for point in ALL_POINTS], 16)
