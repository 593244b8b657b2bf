"""Gateways on one PostgreSQL, one Redis and one bucket, killed under load, come back on their ports."""

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from proxy.feature_list import load_config, open_store
from proxy.file_store import vault as vaults
from proxy.file_store.objects import is_recording
from proxy.file_store.vault import Vault, object_name
from proxy.storage import blobs
from tests import speech_clips
from tests.databases import Postgres
from tests.faults.books import books, live_holds
from tests.faults.clusters import workers
from tests.faults.kills import Load, load
from tests.faults.processes import kill
from tests.features.cluster.gateways import SHARED
from tests.features.cluster.rig import key
from tests.features.jobs.job_rig import text_of
from tests.programs import present
from tests.proxy.file_store.buckets import BUCKET, S3Server
from tests.redis_server import RedisServer
from tests.server import ALONE, VOXGATE, Server, free_port, running
from tests.waiting import until

CONFIG = (
    ALONE
    + SHARED
    + """
[engines.late]
plugin = "tone"
delay_s = 1.0
[plans.metered]
allowance = 1000000000
prices.speech = {{ credits = 1, per = "character" }}
[plans.solo]
allowance = 1000000000
streams = 1
prices.speech = {{ credits = 1, per = "character" }}
"""
)
CLIENTS = 2
"""At each gateway, besides those of the accounts with one stream."""
_PAUSE_S = 0.2
_SPOKEN = "One word after the other. "


class Waited(NamedTuple):
    """The longest times until all accounts were admitted again, and until all jobs went on."""

    admitted_s: float
    went_on_s: float


class Gateway:
    """A server that comes back on its port, with its data folder, after it was killed."""

    def __init__(self, folder: Path, config: str, environ: Mapping[str, str]) -> None:
        self._folder, self._config, self._environ = folder, config, environ
        self._port = free_port()
        self._life: AbstractContextManager[Server] | None = None
        folder.mkdir()
        self.start()

    def start(self) -> None:
        command = (str(VOXGATE), "serve", "--port", str(self._port))
        self._life = running(self._folder, self._config, command=command, environ=self._environ)
        self.server = self._life.__enter__()

    def kill(self) -> None:
        self.server.process.kill()
        self.stop()

    def stop(self) -> None:
        if self._life is not None:
            self._life.__exit__(None, None, None)
            self._life = None

    @property
    def is_over(self) -> bool:
        return self.server.process.poll() is not None


class Client:
    """Asks all gateways in turn until it is stopped. `went_on` is when it last got what it wants."""

    def __init__(self, urls: Sequence[str], key: str) -> None:
        self.went_on = 0.0
        self._urls = itertools.cycle(urls)
        self._http = httpx2.Client(headers={"authorization": f"Bearer {key}"}, timeout=30.0)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._ask_on)
        self._thread.start()

    def ask(self, url: str) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()
        self._http.close()

    def _ask_on(self) -> None:
        while not self._is_over.wait(_PAUSE_S):
            with suppress(httpx2.TransportError):
                self.ask(next(self._urls))


class Solo(Client):
    """An account with one stream, which is nearly always under way."""

    def ask(self, url: str) -> None:
        body = {"model": "tts-1", "voice": "tone/slow", "input": _SPOKEN, "response_format": "pcm"}
        with self._http.stream("POST", f"{url}/v1/audio/speech", json=body) as answer:
            if answer.status_code == 200:
                self.went_on = time.monotonic()
            answer.read()


class Jobs(Client):
    """An account with one job after the other. A step of it takes a while."""

    steps, _job, _done = 12, "", 0

    def ask(self, url: str) -> None:
        if not self._job:
            body = {"model": "late/standard", "voice": "late/tone", "input": text_of(self.steps)}
            made = self._http.post(f"{url}/v1/jobs", json={**body, "response_format": "pcm"})
            assert made.status_code in (202, 429, 503), made.text
            self._job, self._done = (made.json()["id"] if made.status_code == 202 else ""), 0
            return
        shown = self._http.get(f"{url}/v1/jobs/{self._job}")
        if shown.status_code != 200:
            return
        job = shown.json()
        if job["steps_done"] > self._done:
            self._done, self.went_on = job["steps_done"], time.monotonic()
        assert job["status"] in ("queued", "running", "done"), job
        if job["status"] == "done":
            self._job = ""

    def all(self, url: str) -> list[dict[str, Any]]:
        listed = httpx2.get(f"{url}/v1/jobs?limit=100", headers=self._http.headers, timeout=30.0)
        return list(listed.json()["data"])


class Voices(Client):
    """An account that makes a voice of a recording, speaks with it and erases it, again and again."""

    _consent, _voice, _has_spoken, _tries, erased = "", "", False, 0, 0

    def ask(self, url: str) -> None:
        if not self._consent:
            agreed = {"name": "Ana", "language": "en", "statement": "Ana agreed on paper."}
            self._consent = self._made(self._http.post(f"{url}/v1/audio/voice_consents", json=agreed))
        elif not self._voice:
            files = {"audio_sample": ("ana.wav", speech_clips.wav())}
            # A voice whose answer was lost keeps its name.
            self._tries += 1
            form = {"name": f"Ana {self._tries}", "consent": self._consent}
            self._voice = self._made(self._http.post(f"{url}/v1/audio/voices", data=form, files=files))
        elif not self._has_spoken:
            body = {"model": "tts-1", "voice": self._voice, "input": "Hi.", "response_format": "pcm"}
            spoken = self._http.post(f"{url}/v1/audio/speech", json=body)
            # Each voice has the same recording. A host that still drops it for the one before refuses once.
            is_dropping = spoken.status_code == 400 and "voice_not_found" in spoken.text
            assert is_dropping or spoken.status_code in (200, 429, 503), spoken.text
            if spoken.status_code == 200:
                self._has_spoken, self.went_on = True, time.monotonic()
        # An answer that was lost may have been a success.
        elif self._http.delete(f"{url}/v1/audio/voices/{self._voice}").status_code in (200, 404):
            self._voice, self._has_spoken, self.erased = "", False, self.erased + 1

    @staticmethod
    def _made(answer: httpx2.Response) -> str:
        assert answer.status_code in (200, 429, 503), answer.text
        return str(answer.json()["id"]) if answer.status_code == 200 else ""


class Site:
    """What is killed: `a` and `b`, `worker of a` and `worker of b`, `postgres`, `redis`, `bucket`."""

    def __init__(
        self, folder: Path, database: Postgres, redis: RedisServer, environ: Mapping[str, str]
    ) -> None:
        self.url, self.folder = database.url(search_path=database.new_schema()), folder
        self.killed: list[str] = []
        self._bucket = S3Server(folder / "recording")
        present(self._bucket.start)
        self._stores = {
            "postgres": (database.kill, database.start),
            "redis": (redis.stop, redis.start),
            "bucket": (self._bucket.kill, self._bucket.start),
        }
        self._bucket.make_bucket("vault")
        (folder / "key").write_text(key(1))
        vault = BUCKET.format(bucket="vault", endpoint=self._bucket.url).format(folder=folder)
        config = CONFIG.format(url=self.url, redis=redis.url, folder=folder, vault=vault)
        self.gateways = {name: Gateway(folder / name, config, environ) for name in "ab"}
        self.names = (*self.gateways, "worker of a", "worker of b", *self._stores)

    @property
    def urls(self) -> list[str]:
        return [each.server.url for each in self.gateways.values()]

    def mint(self, account: str, plan: str) -> str:
        return self.gateways["a"].server.mint_key(account, plan=plan).secret

    def kill(self, *victims: str) -> None:
        """Kill all of them at once, and let them come back."""
        for victim in sorted(victims, reverse=True):  # the worker of a gateway before the gateway
            if victim in self._stores:
                self._stores[victim][0]()
            elif victim in self.gateways:
                self.gateways[victim].kill()
            elif (worker := workers(self.gateways[victim[-1]].server).get(0)) is not None:
                kill(worker)
            else:
                continue  # it has just ended, and the next one has not begun
            self.killed.append(victim)
        for store, (_, start) in self._stores.items():
            if store in victims:
                start()
        for gateway in self.gateways.values():
            if gateway.is_over:
                gateway.stop()
                gateway.start()

    def stop(self) -> None:
        for gateway in self.gateways.values():
            gateway.stop()
        self._bucket.kill()


class Killing(NamedTuple):
    site: Site
    solos: list[Solo]
    jobs: list[Jobs]
    voices: list[Voices]
    loads: list[Load]

    @property
    def clients(self) -> list[Client]:
        return [*self.solos, *self.jobs, *self.voices]

    def round(self, *victims: str) -> Waited:
        """Kill these, and wait until every account was admitted since then and every job went on."""
        began = time.monotonic()
        self.site.kill(*victims)
        first: dict[Client, float] = {}

        def has_each() -> bool:
            for each in self.clients:
                if each.went_on > began:
                    first.setdefault(each, each.went_on - began)
            return len(first) == len(self.clients)

        until(has_each, within_s=120.0)
        return Waited(max(first[each] for each in self.solos), max(first[each] for each in self.jobs))


@contextmanager
def under_load(
    folder: Path, database: Postgres, redis: RedisServer, environ: Mapping[str, str], solos: int = 2
) -> Iterator[Killing]:
    """Two gateways whose clients ask all the time. At the end, the books have all of it once."""
    site = Site(folder, database, redis, environ)
    with ExitStack() as stack:
        stack.callback(site.stop)
        key = site.mint("ada", "metered")
        alone = [site.mint(f"solo-{number}", "solo") for number in range(solos)]
        killing = Killing(
            site,
            [Solo(site.urls, each) for each in alone],
            [Jobs(site.urls, site.mint("jobs", "metered"))],
            [Voices(site.urls, site.mint("voices", "metered"))],
            [stack.enter_context(load(url, [key] * CLIENTS)) for url in site.urls],
        )
        for client in killing.clients:
            stack.callback(client.stop)
        until(lambda: all(client.went_on for client in killing.clients))
        yield killing
        _expect_jobs_to_end(killing)
        for each in killing.voices:
            each.stop()
        asyncio.run(_expect_objects(killing))
    _expect_books(killing)


def _expect_jobs_to_end(killing: Killing) -> None:
    for each in killing.jobs:
        each.stop()
        until(lambda each=each: {job["status"] for job in each.all(killing.site.urls[0])} <= {"done"}, 120.0)  # type: ignore[misc]


async def _expect_objects(killing: Killing) -> None:
    """Once all is tidied by a later clock, each object of a recording has a row, and each row its object."""
    site = killing.site
    server = site.gateways["a"].server
    config = load_config(server.config, {})
    async with open_store(site.url, site.folder) as store:
        vault = Vault(store, config.vault, server.data)
        with pytest.MonkeyPatch.context() as later:
            later.setattr(vaults, "LEFT_OVER_S", 0.0)
            later.setattr(vaults, "_HOUR_S", 0.0)
            await vault.tidy()
        objects = {each.name for each in await vault.objects.list() if is_recording(each.name)}
        rows = {object_name(row) for row in await blobs.list_all(store)}
        assert objects == rows, (objects - rows, rows - objects)
        print(f"{sum(each.erased for each in killing.voices)} voices erased, {len(rows)} recordings left")


def _expect_books(killing: Killing) -> None:
    """All is written once. An answer is charged without being heard only if a kill cut it off."""
    site = killing.site
    until(lambda: live_holds(site.url, site.folder) == 0)
    found = books(site.url, site.folder)
    complete = [request for each in killing.loads for request in each.complete]
    lost = [request for request in complete if request not in found.spent]
    print(f"{len(site.killed)} kills, {len(complete)} answers of the load, {found.verdict}, {len(lost)} lost")
    assert found.verdict.is_clean
    assert lost == []
    assert len(complete) == len(set(complete))
    assert {request: row.credits for request, row in found.rows.items() if row.credits} == found.spent
