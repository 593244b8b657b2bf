"""Jobs that a whole server has spoken at Runpod's fake, by the far end itself; and the server is killed.

One engine is at an endpoint, another one has pods of the server's own.
"""

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
from proxy.config import sections
from proxy.features.jobs.kinds.training import training_input
from proxy.http.server_protocol import server_protocol
from speech_engine.device import CPU
from speech_engine.host.remote_calls import fetch_recording
from speech_engine.host.remote_training import HttpLine
from speech_engine.host.remote_worker import RemoteTrainer, RemoteWorker, as_json, open_remote_worker
from speech_engine.runner import decode_work
from speech_engine.training import BeginTraining
from tests import speech_clips
from tests.features.jobs.job_rig import content, job_with, text_of, words_of
from tests.features.jobs.remote.training_lines import short_runs
from tests.features.jobs.training import training_rig
from tests.plugins.runpod.asking import three
from tests.plugins.runpod.rig import GPU
from tests.proxy.api.inside import inside
from tests.proxy.api.owning import agree
from tests.proxy.http.sockets import serving
from tests.replies import json_of
from tests.server import VOXGATE, Server, free_port, running
from tests.sound import decoded
from tests.tones import words
from tests.waiting import soon

pytestmark = pytest.mark.slow

__all__ = ["short_runs"]
USD_PER_SECOND = 0.0005
CONFIG = f"""
[server]
default_model = "far"
[storage]
url = "sqlite"
[engines.far]
plugin = "tone"
runner = "rented"
budget_usd_day = 50
[engines.own]
plugin = "tone"
runner = "pods"
budget_usd_day = 50
[runners.rented]
plugin = "runpod"
api_key = "file:{{key}}"
jobs_url = "{{jobs}}/v2"
management_url = "{{management}}/v2"
most_s = 60
endpoint_id = "{ENDPOINT}"
usd_per_second = {USD_PER_SECOND}
[runners.pods]
plugin = "runpod"
api_key = "file:{{key}}"
jobs_url = "{{jobs}}/v2"
management_url = "{{management}}/v2"
most_s = 60
[runners.pods.pods]
deployment = "blue"
image = "example/far-end:1"
gpus = ["{GPU}"]
usd_per_hour = 0.5
proxy_url = "{{proxy}}/{{{{pod}}}}"
[models]
"far" = ["far/standard"]
"own" = ["own/standard"]
[voices.alloy]
far = "tone"
own = "tone"
"""
ENGINES = ("far", "own")


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

    def looks(self) -> list[int]:
        """Return how often the server has asked how a job stands, at the endpoint and at its pods."""
        servers = (self.fake.jobs, self.fake.proxy)
        return [sum("/status/" in record.path for record in server.seen) for server in servers]

    @asynccontextmanager
    async def server(self) -> AsyncIterator[Server]:
        stack = ExitStack()
        port = free_port()
        environ = {"VOXGATE_SERVER__PUBLIC_URL": f"http://127.0.0.1:{port}"}
        command = (str(VOXGATE), "serve", "--port", str(port))
        begun = running(self.folder, self.config, environ=environ, command=command)
        server = await asyncio.to_thread(stack.enter_context, begun)
        try:
            yield server
        finally:
            await asyncio.to_thread(stack.close)


@asynccontextmanager
async def beside(folder: Path) -> AsyncIterator[Both]:
    fetch, line = partial(fetch_recording, schemes=("http",)), partial(HttpLine, schemes=("http",))
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
            key = folder / "key"
            key.write_text(KEY)
            key.chmod(0o600)
            yield Both(fake, far, CONFIG.format(key=key, **urls._asdict()), folder)


async def _ask(server: Server, method: str, path: str, body: Any = None) -> Any:
    def ask() -> Any:
        with server.client() as client:
            return client.request(method, f"/v1/{path}", json=body)

    return await asyncio.to_thread(ask)


async def _jobs(server: Server, steps: int, voice: str = "alloy") -> list[str]:
    """Hand in a job for each engine."""
    return await _made(server, {"voice": voice, "input": text_of(steps), "response_format": "wav"})


async def _made(server: Server, body: dict[str, Any]) -> list[str]:
    """Hand in a job for each engine, once it is known which models there are elsewhere."""

    async def made(engine: str) -> str:
        async def id_() -> str:
            answer = await _ask(server, "POST", "jobs", {**body, "model": engine})
            assert answer.status_code in (202, 400, 404, 503), answer.text
            return str(answer.json()["id"]) if answer.status_code == 202 else ""

        return await soon(id_)

    return list(await asyncio.gather(*map(made, ENGINES)))


async def _done(server: Server, ids: list[str]) -> list[Any]:
    async def done(id_: str) -> Any:
        async def shown() -> Any:
            found = (await _ask(server, "GET", f"jobs/{id_}")).json()
            return found if found["status"] in ("done", "failed") else None

        return await soon(shown, within_s=180.0)

    return list(await asyncio.gather(*map(done, ids)))


async def _expect(server: Server, ids: list[str], steps: int) -> None:
    """Both jobs are done, and say what they were asked to say."""
    for id_, shown in zip(ids, await _done(server, ids), strict=True):
        assert (shown["status"], shown["steps_done"]) == ("done", steps), shown
        assert await _heard(server, id_) == words_of(steps)


async def _heard(server: Server, id_: str) -> list[str]:
    answer = await _ask(server, "GET", f"jobs/{id_}/content")
    sound = decoded(answer.content, "wav")
    return words(sound.samples, sound.sample_rate_hz) or []


async def test_a_job_is_spoken_at_runpod_and_a_kill_begins_nothing_twice(tmp_path: Path) -> None:
    """On PostgreSQL the next holder would wait for a minute: `features/jobs/remote` has kills on both."""
    async with beside(tmp_path) as at:
        async with at.server() as server:
            await _expect(server, await _jobs(server, 2), 2)
            assert len(at.texts()) == 4
            at.far.may_work.clear()
            second = await _jobs(server, 1)
            await soon(lambda: len(at.texts()) == 6)
            # Its name is on disk before the server looks at it.
            before = at.looks()
            await soon(lambda: all(now > then for now, then in zip(at.looks(), before, strict=True)))
            server.process.kill()
        at.far.may_work.set()
        async with at.server() as server:
            await _expect(server, second, 1)
        begun = at.texts()
        assert (len(begun), len(set(begun))) == (6, 6)
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


async def test_recordings_that_do_not_fit_are_fetched_from_the_server(tmp_path: Path) -> None:
    async with beside(tmp_path) as at, at.server() as server:
        voice = await asyncio.to_thread(_mixed, server)
        await _expect(server, await _jobs(server, 1, voice), 1)
        assert len(at.works) == 2
        samples = [sample for work in at.works for sample in work["samples"]]
        assert [sample.get("pcm") for sample in samples] == [None] * (2 * VOICES)
        assert sum(sample["size"] for sample in at.works[0]["samples"]) * 4 // 3 > 9_900_000
        # The runs are over: nothing leaves any more.
        with server.client() as client:
            for sample in samples:
                assert client.get(sample["url"].removeprefix(server.url)).status_code == 404
        log = (tmp_path / "server.log").read_text()
        tokens = [sample["url"].rpartition("/")[2] for sample in samples]
        assert "/remote/samples/{token}" in log
        assert [token for token in tokens if token in log or token.rpartition(".")[2] in log] == []


async def test_a_voice_is_trained_at_runpod(
    tmp_path: Path, short_runs: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It needs several runs there, and what the machine learns from and brings goes over a link."""
    monkeypatch.setattr(training_input, "LEAST_RECORDINGS", training_rig.RECORDINGS)
    monkeypatch.setattr("proxy.features.jobs.remote.runs._LONGEST_PAUSE_S", 0.2)
    monkeypatch.setattr("plugins.runpod.own_pods._STARTING_CACHED_S", 0.2)
    port = free_port()
    public = f'[server]\npublic_url = "http://127.0.0.1:{port}"'
    async with (
        beside(tmp_path) as at,
        inside(tmp_path, at.config.replace("[server]", public)) as server,
        serving(server.worker.public, server_protocol(sections.Server()), port=port),
    ):
        consent = await agree(server, uses=["training"], providers=["rented", "pods"])
        voice = await training_rig.voice_to_train(server, consent=consent["id"])

        async def trained(engine: str) -> str:
            await soon(lambda: server.worker.engines[engine].state == "ready")
            id_ = await training_rig.new_training(server, voice, model=engine, steps=30)
            shown = await job_with(server, id_, "done", "failed")
            assert (shown["status"], shown["training"]["step"]) == ("done", 30), shown
            assert (await content(server, id_)).content.startswith(b"tone as onnx")
            return id_

        await asyncio.gather(*map(trained, ENGINES))
        shown = json_of(await server.ask("GET", f"/v1/audio/voices/{voice}"))
        assert [each["format"] for each in shown["trained"]] == ["tone"]
        works = [begun for _id, begun in at.fake.starts if begun.get("training")]
        engines = [work["key"].split(".")[-2] for work in works]
        assert [engines.count(engine) > 1 for engine in ENGINES] == [True, True]
        # The runs are over: nothing leaves, and nothing comes in any more.
        paths = [work["training"]["url"].removeprefix(f"http://127.0.0.1:{port}") for work in works]
        for path in paths:
            assert (await server.ask("GET", path, key="")).status_code == 404
            assert (await server.ask("POST", path, key="", body="x")).status_code == 404
        await training_rig.bills_of(server).sweep()
    log = capsys.readouterr().out
    assert "/remote/trainings/{token}" in log
    assert [path for path in paths if path.rpartition("/")[2] in log] == []
