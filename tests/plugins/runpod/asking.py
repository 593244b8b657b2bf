"""The fake of Runpod while a test runs, and an HTTP client for each of its servers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx2

from fakes.runpod.app import ENDPOINT, KEY, FakeRunpod
from fakes.runpod.queue import JobQueue
from fakes.serving import ServedApp, served
from tests.replies import json_of


class Asked(NamedTuple):
    fake: FakeRunpod
    jobs: httpx2.AsyncClient
    management: httpx2.AsyncClient
    proxy: httpx2.AsyncClient

    @property
    def queue(self) -> JobQueue:
        return self.fake.desks[ENDPOINT].queue

    async def run(self, **input_: Any) -> str:
        id_: str = json_of(await self.jobs.post("run", json={"input": input_ or {"text": "a"}}))["id"]
        return id_

    async def status(self, id_: str) -> Any:
        answer = await self.jobs.get(f"status/{id_}")
        return answer.json() if answer.status_code == 200 else answer.status_code


class Urls(NamedTuple):
    jobs: str
    management: str
    proxy: str


@asynccontextmanager
async def three(fake: FakeRunpod) -> AsyncIterator[Urls]:
    """Serve a fake until the block ends, and fail if an API was asked that is no more."""

    def url(at: ServedApp) -> str:
        return at.url

    async with fake.ended(), served(fake.jobs) as jobs, served(fake.management) as management:
        async with served(fake.proxy) as proxy:
            yield Urls(url(jobs), url(management), url(proxy))


@asynccontextmanager
async def asked(fake: FakeRunpod | None = None) -> AsyncIterator[Asked]:
    fake = fake or FakeRunpod()
    headers = {"authorization": f"Bearer {KEY}"}
    async with three(fake) as urls:
        async with (
            httpx2.AsyncClient(base_url=f"{urls.jobs}/v2/{ENDPOINT}/", headers=headers) as jobs,
            httpx2.AsyncClient(base_url=f"{urls.management}/v2/", headers=headers) as management,
            httpx2.AsyncClient(base_url=urls.proxy) as proxy,
        ):
            yield Asked(fake, jobs, management, proxy)
