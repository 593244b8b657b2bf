"""Machines on one PostgreSQL, each a worker 0 inside the test's process with a data folder of its own."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from msgspec.structs import replace

from proxy.api.server import ServerLink
from proxy.app import Worker, open_worker
from proxy.errors import UpstreamFailed
from proxy.feature_list import load_config
from proxy.features.cluster import machines
from proxy.features.cluster.machines import NOW_SQL, Machine
from proxy.storage.rows import new_id
from proxy.storage.store import Statement, Store
from proxy.storage.tombstones import Tombstone
from speech_engine.host.pipe_messages import EngineAction, EngineSwitched, ReloadResult, WorkerQuestion
from tests.proxy.api.inside import TONE, with_engines
from tests.proxy.jobs_inside import jobs_inside


def key(number: int) -> str:
    return b64encode(bytes([number]) * 32).decode()


class Link:
    """The supervisor of a machine, which notes what it is asked."""

    def __init__(self) -> None:
        self.machine = new_id("mch")
        self.asked: list[str] = []
        self.refusal = ""
        self.failure: UpstreamFailed | None = None
        self.told: list[WorkerQuestion] = []
        self.answers = asyncio.Event()
        self.answers.set()

    def made(self) -> ServerLink:
        return ServerLink(
            self.machine,
            "127.0.0.1",
            8000,
            self._reload,
            self._spread,
            self._switch,
            send=self.told.append,
        )

    async def _reload(self) -> ReloadResult:
        self.asked.append("reload")
        await self.answers.wait()
        if self.failure is not None:
            raise self.failure
        return ReloadResult(0, refusal=self.refusal)

    async def _spread(self, _tombstone: Tombstone) -> bool:
        return True

    async def _switch(self, engine: str, action: EngineAction, breaks_off: bool) -> EngineSwitched:
        self.asked.append(f"{action} {engine}{' now' * breaks_off}")
        await self.answers.wait()
        return EngineSwitched(0, self.refusal)


class Site:
    """A database and a Redis, and the settings and folders of machines by name."""

    def __init__(self, folder: Path, url: str, redis: str = "redis://127.0.0.1:1/0") -> None:
        self.folder = folder
        self.url = url
        self.settings = (
            f'[storage]\nurl = "{url}"\n[limits]\nurl = "{redis}"\n[vault]\nfolder = "{folder}/vault"\n'
            'master_key = "env:MASTER"\n'
        )

    @asynccontextmanager
    async def machine(
        self,
        name: str,
        settings: str = "",
        *,
        environ: Mapping[str, str] | None = None,
        link: Link | None = None,
        serves: bool = True,
        renews: bool = False,
    ) -> AsyncIterator[Worker]:
        """Open a machine. `settings` replace those of the site."""
        place = self.folder / name
        place.mkdir(exist_ok=True)
        file = place / "config.toml"
        file.write_text(f"{TONE}\n{settings or self.settings}")
        config = replace(load_config(file, {"MASTER": key(1), **(environ or {})}), serves=serves)
        async with AsyncExitStack() as stack:
            stack.enter_context(jobs_inside())
            opening = open_worker(config, with_engines({}), (link or Link()).made())
            worker = await stack.enter_async_context(opening)
            if renews:
                running = [asyncio.create_task(task()) for task in worker.tasks_of_each_server]
                stack.callback(lambda: [each.cancel() for each in running])
            yield worker


async def living(store: Store) -> list[Machine]:
    return [each for each in await machines.list_all(store) if each.is_alive]


async def age(store: Store, seconds: float, id_: str = "%") -> None:
    """Let machines be seen last so long ago."""
    sql = f"UPDATE machines SET seen = {NOW_SQL} - {round(seconds * 1e6)} WHERE id LIKE :id"
    await store.write(Statement(sql, {"id": id_}))


@asynccontextmanager
async def renewed(store: Store) -> AsyncIterator[None]:
    """All machines are seen all the time."""

    async def renew() -> None:
        while True:
            await age(store, 0)
            await asyncio.sleep(0.02)

    task = asyncio.create_task(renew())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
