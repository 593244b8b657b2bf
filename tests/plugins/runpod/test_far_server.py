"""The client of pods beside the server that runs in them, with an engine that speaks tones."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
import structlog

from plugins.runpod.api import Api
from plugins.runpod.jobs import Jobs, JobStatus, pieces_of
from proxy.config.sections import Upstream
from proxy.engines.http.upstream_http import open_http
from speech_engine import Context, EngineUnauthorized, SpeechJob
from speech_engine.device import CPU
from speech_engine.host.remote_pieces import FarIntroduction, frames_of
from speech_engine.host.remote_server import RemoteServer
from speech_engine.host.remote_worker import RemoteAnswer, open_remote_worker
from speech_engine.runner import NotBegun, RemotePiece, RemoteWork
from speech_engine.testing import job
from speech_engine.work import Speak

TOKEN = "a-token"
KEY = "job_1.0.far.1"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    log = structlog.get_logger()
    async with open_remote_worker("plugins.tone.worker", b"{}", CPU, log) as remote_worker:
        server = RemoteServer(remote_worker, TOKEN, ("127.0.0.1", 0))
        try:
            yield server.port
        finally:
            await asyncio.to_thread(server.close)


@pytest.fixture
async def context() -> AsyncIterator[Context]:
    async with open_http(Upstream()) as http:
        yield Context(structlog.get_logger(), http=http)


def _jobs(port: int, context: Context, token: str = TOKEN) -> Jobs:
    return Jobs(Api(f"http://127.0.0.1:{port}", token, context))


def _sent(*texts: str) -> bytes:
    speech: SpeechJob = job(*texts, model="standard", voice="tone")
    return msgspec.json.encode(RemoteWork(key=KEY, most_s=30.0, work=Speak(speech)))


async def _over(jobs: Jobs) -> JobStatus:
    async with asyncio.timeout(20):
        while True:
            told = await jobs.status(KEY)
            assert told is not None
            if told.remote_status != "running":
                return told
            await asyncio.sleep(0.01)


async def test_work_is_begun_once_and_its_pieces_are_whole(port: int, context: Context) -> None:
    jobs = _jobs(port, context)
    assert await jobs.status(KEY) is None
    for _ in range(2):
        assert await jobs.run(_sent("Hello."), {"executionTimeout": 30_000}, is_safe=True) == KEY
    told = await _over(jobs)
    assert told.remote_status == "done"
    assert told.execution_time is not None
    pieces = pieces_of(told.output, 0)
    frames = list(frames_of(pieces))
    assert isinstance(frames[0], FarIntroduction)
    assert len(frames) > 2
    assert await jobs.count_open() == 0
    assert [piece["number"] for piece in await jobs.stream(KEY)] == list(
        range(len(pieces_of(told.output, 0)))
    )


async def test_a_status_has_the_pieces_when_there_are_all(context: Context) -> None:
    """It is asked for again and again, and they are megabytes."""
    async with open_remote_worker("plugins.tone.worker", b"{}", CPU, structlog.get_logger()) as remote_worker:
        server = RemoteServer(remote_worker, TOKEN, ("127.0.0.1", 0))
        try:
            answer = remote_worker._answers[KEY] = RemoteAnswer()
            answer.add(RemotePiece(number=0, data=b"sound"))
            jobs, lengths = _jobs(server.port, context), list[int]()
            for busy_s in (None, 1.0):
                answer.busy_s = busy_s
                told = await jobs.status(KEY)
                assert told is not None
                lengths += [len(told.output), len(await jobs.stream(KEY))]
            assert lengths == [0, 1, 1, 1]
        finally:
            await asyncio.to_thread(server.close)


async def test_work_is_cancelled(port: int, context: Context) -> None:
    jobs = _jobs(port, context)
    await jobs.run(_sent(*["A long text. " * 40] * 8), {}, is_safe=True)
    await jobs.cancel(KEY, "A pod")
    assert (await _over(jobs)).remote_status in ("canceled", "done")
    await jobs.cancel("never-begun", "A pod")


async def test_another_token_begins_nothing(port: int, context: Context) -> None:
    jobs = _jobs(port, context, "another")
    with pytest.raises(NotBegun):
        await jobs.run(_sent("Hello."), {})
    with pytest.raises(EngineUnauthorized):
        await jobs.status(KEY)
    assert await _jobs(port, context).status(KEY) is None
