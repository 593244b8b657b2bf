"""Jobs that a whole server has spoken at Runpod's fake, by the far end itself; and the server is killed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import structlog

from fakes.runpod.app import ENDPOINT, KEY, FakeRunpod
from fakes.runpod.clock import Clock
from fakes.runpod.jobs_api import Desk
from fakes.runpod.queue import JobQueue
from proxy.audio.formats import wav_header
from speech_engine.device import CPU
from speech_engine.host.remote_calls import fetched
from speech_engine.host.remote_training import HttpLine
from speech_engine.host.remote_worker import RemoteTrainer, RemoteWorker, as_json, open_remote_worker
from speech_engine.runner import decode_work
from speech_engine.training import BeginTraining
from tests import speech_clips
from tests.features.jobs.job_rig import text_of, words_of
from tests.features.jobs.training.recorded_voice import recorded_voice
from tests.plugins.runpod.asking import three
from tests.plugins.runpod.rig import GPU
from tests.replies import json_of
from tests.server import VOXGATE, Server, free_port, running
from tests.sound import decoded
from tests.tones import words
from tests.waiting import soon

USD_PER_SECOND = 0.0005
CONFIG = """
[server]
default_model = "far"
[storage]
url = "sqlite"
[engines.far]
plugin = "tone"
runner = "rented"
budget_usd_day = 50
[runners.rented]
plugin = "runpod"
api_key = "env:TEST_RUNPOD_KEY"
jobs_url = "{jobs}/v2"
management_url = "{management}/v2"
most_s = {most_s}
{where}
[models]
"far" = ["far/standard"]
[voices.alloy]
far = "tone"
"""
AN_ENDPOINT = f"""
endpoint_id = "{ENDPOINT}"
usd_per_second = {USD_PER_SECOND}
"""
OWN_PODS = f"""
[runners.rented.pods]
deployment = "blue"
image = "example/far-end:1"
gpus = ["{GPU}"]
usd_per_hour = 0.5
proxy_url = "{{proxy}}/{{{{pod}}}}"
"""


class Far(NamedTuple):
    """The far end of deploy/runpod behind the fake. Work with a text begins only while `may_work` is set."""

    end: RemoteWorker
    may_work: asyncio.Event

    async def handle(self, job: dict[str, Any]) -> AsyncIterator[Any]:
        work = decode_work(job["input"])
        if work.work is not None:
            await self.may_work.wait()
        async for piece in self.end.pieces(work):
            yield as_json(piece)


class Both(NamedTuple):
    """The fake, and the servers that are started beside it."""

    fake: FakeRunpod
    far: Far
    config: str
    folder: Path

    @property
    def works(self) -> list[dict[str, Any]]:
        return [begun for _id, begun in self.fake.starts if begun.get("work")]

    def texts(self) -> list[str]:
        """Return the keys of all work with a text, as often as it was begun."""
        return [begun["key"] for begun in self.works]

    def looks(self) -> int:
        """Return how often somebody has asked how a job stands."""
        servers = (self.fake.jobs, self.fake.proxy)
        return sum("/status/" in record.path for server in servers for record in server.seen)

    @asynccontextmanager
    async def server(self) -> AsyncIterator[Server]:
        stack = ExitStack()
        port = free_port()
        environ = {"TEST_RUNPOD_KEY": KEY, "VOXGATE_SERVER__PUBLIC_URL": f"http://127.0.0.1:{port}"}
        command = (str(VOXGATE), "serve", "--port", str(port))
        begun = running(self.folder, self.config, environ=environ, command=command)
        server = await asyncio.to_thread(stack.enter_context, begun)
        try:
            yield server
        finally:
            await asyncio.to_thread(stack.close)


@asynccontextmanager
async def beside(folder: Path, where: str, most_s: int = 60) -> AsyncIterator[Both]:
    fetch, line = partial(fetched, schemes=("http",)), partial(HttpLine, schemes=("http",))
    log = structlog.get_logger()
    begin = BeginTraining(name="tone", module="plugins.tone.trainer", settings=b'{"delay_s": 0.02}')
    trainer = RemoteTrainer(begin, line)
    async with open_remote_worker(
        "plugins.tone.worker", b"{}", CPU, log, fetch=fetch, trainer=trainer
    ) as end:
        far = Far(end, asyncio.Event())
        far.may_work.set()
        clock = Clock(time.time(), runs=True)
        desk = Desk(JobQueue(clock, far.handle, usd_per_second=USD_PER_SECOND))
        fake = FakeRunpod(far.handle, clock=clock, endpoints={ENDPOINT: desk})
        fake.fleet.provision_s = fake.fleet.start_s = 0.05
        async with three(fake) as urls:
            config = CONFIG.format(where=where.format(proxy=urls.proxy), most_s=most_s, **urls._asdict())
            yield Both(fake, far, config, folder)


async def _ask(server: Server, method: str, path: str, body: Any = None) -> Any:
    def ask() -> Any:
        with server.client() as client:
            return client.request(method, f"/v1/{path}", json=body)

    return await asyncio.to_thread(ask)


async def _job(server: Server, steps: int, voice: str = "alloy") -> str:
    """Hand in a job, once it is known which models there are elsewhere."""
    return await _made(
        server, {"model": "far", "voice": voice, "input": text_of(steps), "response_format": "wav"}
    )


async def _made(server: Server, body: dict[str, Any]) -> str:
    async def id_() -> str:
        answer = await _ask(server, "POST", "jobs", body)
        assert answer.status_code in (202, 400, 404, 503), answer.text
        return str(answer.json()["id"]) if answer.status_code == 202 else ""

    return await soon(id_)


async def _done(server: Server, id_: str) -> Any:
    async def shown() -> Any:
        found = (await _ask(server, "GET", f"jobs/{id_}")).json()
        return found if found["status"] in ("done", "failed") else None

    return await soon(shown, within_s=180.0)


async def _heard(server: Server, id_: str) -> list[str]:
    answer = await _ask(server, "GET", f"jobs/{id_}/content")
    sound = decoded(answer.content, "wav")
    return words(sound.samples, sound.sample_rate_hz) or []


@pytest.mark.parametrize("where", [AN_ENDPOINT, OWN_PODS], ids=["endpoint", "pods"])
async def test_a_job_is_spoken_at_runpod_and_a_kill_begins_nothing_twice(tmp_path: Path, where: str) -> None:
    """On PostgreSQL the next holder would wait for a minute: `features/jobs/remote` has kills on both."""
    async with beside(tmp_path, where) as at:
        async with at.server() as server:
            first = await _job(server, 2)
            shown = await _done(server, first)
            assert (shown["status"], shown["steps_done"]) == ("done", 2), shown
            assert await _heard(server, first) == words_of(2)
            assert len(at.texts()) == 2
            at.far.may_work.clear()
            second = await _job(server, 1)
            await soon(lambda: len(at.texts()) == 3)
            # Its name is on disk before anybody looks at it.
            looks = at.looks()
            await soon(lambda: at.looks() > looks)
            server.process.kill()
        at.far.may_work.set()
        async with at.server() as server:
            shown = await _done(server, second)
            assert (shown["status"], shown["steps_done"]) == ("done", 1), shown
            assert await _heard(server, second) == words_of(1)
        begun = at.texts()
        assert (len(begun), len(set(begun))) == (3, 3)
        assert len(at.fake.fleet.pods) <= 1
        log = (tmp_path / "server.log").read_text()
        assert KEY not in log
        assert "Word 0" not in log


VOICES = 6
"""So many recordings of half a minute are more than Runpod takes in a request."""


def _mixed(server: Server) -> str:
    """Make a voice of the recordings of several others."""
    pcm = speech_clips.long_wav()[len(wav_header(0)) :]
    with server.client(timeout=120.0) as client:

        def made(path: str, **sent: Any) -> str:
            id_: str = json_of(client.post(f"/v1/audio/{path}", **sent))["id"]
            return id_

        consent = made("voice_consents", json={"name": "Ana", "language": "en", "statement": "Ana agreed."})
        voices = []
        for number in range(VOICES):
            # Each begins elsewhere, so none is another one.
            moved = pcm[number * 48_000 :]
            files = {"audio_sample": ("a.wav", wav_header(len(moved) // 2) + moved, "audio/wav")}
            sent = {"name": f"Ana {number}", "consent": consent}
            voices.append(made("voices", data=sent, files=files))
        return made("voices", json={"name": "all", "mix": [{"id": voice} for voice in voices]})


@pytest.mark.parametrize("where", [AN_ENDPOINT, OWN_PODS], ids=["endpoint", "pods"])
async def test_recordings_that_do_not_fit_are_fetched_from_the_server(tmp_path: Path, where: str) -> None:
    async with beside(tmp_path, where) as at, at.server() as server:
        voice = await asyncio.to_thread(_mixed, server)
        shown = await _done(server, await _job(server, 1, voice))
        assert (shown["status"], shown["steps_done"]) == ("done", 1), shown
        (work,) = at.works
        samples = work["samples"]
        assert [sample.get("pcm") for sample in samples] == [None] * VOICES
        assert sum(sample["size"] for sample in samples) * 4 // 3 > 9_900_000
        # The run is over: nothing leaves any more.
        with server.client() as client:
            for sample in samples:
                assert client.get(sample["url"].removeprefix(server.url)).status_code == 404
        log = (tmp_path / "server.log").read_text()
        tokens = [sample["url"].rpartition("/")[2] for sample in samples]
        assert "/remote/samples/{token}" in log
        assert [token for token in tokens if token in log or token.rpartition(".")[2] in log] == []


@pytest.mark.clock
@pytest.mark.parametrize("where", [AN_ENDPOINT, OWN_PODS], ids=["endpoint", "pods"])
async def test_a_voice_is_trained_at_runpod(tmp_path: Path, where: str) -> None:
    """It needs several runs there, and what the machine learns from and brings goes over a link."""
    async with beside(tmp_path, where, most_s=5) as at, at.server() as server:
        voice = await asyncio.to_thread(recorded_voice, server, providers=["rented"])
        body = {"kind": "training", "voice": voice, "model": "far", "steps": 200}
        id_ = await _made(server, body)
        shown = await _done(server, id_)
        assert (shown["status"], shown["training"]["step"]) == ("done", 200), shown
        trained = (await _ask(server, "GET", f"audio/voices/{voice}")).json()["trained"]
        assert [each["format"] for each in trained] == ["tone"]
        assert (await _ask(server, "GET", f"jobs/{id_}/content")).content.startswith(b"tone as onnx")
        works = [begun for _id, begun in at.fake.starts if begun.get("training")]
        assert len(works) > 1
        # The runs are over: nothing leaves, and nothing comes in any more.
        paths = [work["training"]["url"].removeprefix(server.url) for work in works]
        with server.client() as client:
            for path in paths:
                assert client.get(path).status_code == 404
                assert client.post(path, content=b"x").status_code == 404
        log = (tmp_path / "server.log").read_text()
        assert "/remote/trainings/{token}" in log
        assert [path for path in paths if path.rpartition("/")[2] in log] == []
