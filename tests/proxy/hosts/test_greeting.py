"""Before a host may serve it is greeted: by the wrong version, by noise, or by nobody, and what then."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

import grpc
import pytest

from proxy.hosts.host_process import HostProcess
from speech_engine import API_VERSION, EngineUnavailable, Finished
from speech_engine.host.messages import MOST_HELLO_BYTES
from tests.fixtures import opened
from tests.proxy.hosts.host_rig import babbling, hosted, odd_host, spoken, state
from tests.speech_engine.host.fakes import FakeEngine, host, job, short_folder
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row
from tests.waiting import soon

folder = opened(short_folder)


async def test_a_host_of_another_api_version_serves_nobody_and_the_reason_says_so(folder: Path) -> None:
    async with odd_host(folder / "1", version=API_VERSION + 1), hosted() as voice:
        voice.update_host(state(folder / "1"))
        await soon(lambda: voice.state == "failed")
        assert f"API version is {API_VERSION + 1}, the server's {API_VERSION}" in voice.reason
        assert voice.models() == ()
        with pytest.raises(EngineUnavailable):
            await asyncio.wait_for(spoken(voice, job(deadline_s=3600.0)), 5.0)


@pytest.mark.parametrize("noise", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(range(256)) * 64])
async def test_a_poisoned_socket_is_not_taken_for_a_host(folder: Path, noise: bytes) -> None:
    async with babbling(folder / "1", noise), hosted() as voice:
        voice.update_host(state(folder / "1"))
        with pytest.raises(EngineUnavailable):
            await spoken(voice, job(deadline_s=0.3))
        assert voice.state == "starting"
        async with host(FakeEngine(), folder / "2"):
            voice.update_host(state("", "restarting"))
            voice.update_host(state(folder / "2"))
            assert isinstance((await spoken(voice, job()))[-1], Finished)


async def test_a_host_that_listens_only_after_it_was_announced_is_greeted_again(folder: Path) -> None:
    async with hosted() as voice:
        voice.update_host(state(folder / "1"))
        with pytest.raises(EngineUnavailable):
            await spoken(voice, job(deadline_s=0.05))
        async with host(FakeEngine(), folder / "1"):
            assert isinstance((await spoken(voice, job(deadline_s=30.0)))[-1], Finished)


class _Away:
    """A channel to a port where nobody is. It notes when it is asked."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def unary_unary(self, *_: object) -> Any:
        return self._refuse

    unary_stream = stream_stream = unary_unary

    async def _refuse(self, _message: object, timeout: float) -> bytes:
        self.asked.append(asyncio.get_running_loop().time())
        raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata())


@simulated
async def test_a_host_that_does_not_answer_is_asked_less_and_less_often() -> None:
    channel = _Away()
    process = HostProcess(channel, lambda: None)
    greeting = asyncio.create_task(process.say_hello("fake", is_local=False))
    await asyncio.sleep(60.0)
    process.note_death(state("", "gone"))
    assert not await greeting
    pauses = [round(after - before, 3) for before, after in itertools.pairwise(channel.asked)]
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0, 10.0]


@each_row("answer", [b"\xc1garbage", b"x" * (MOST_HELLO_BYTES + 1)])
async def test_an_answer_that_cannot_be_read_is_refused_by_name(folder: Path, answer: bytes) -> None:
    async with odd_host(folder / "1", hello=answer), hosted() as voice:
        voice.update_host(state(folder / "1"))
        await soon(lambda: voice.state == "failed")
        assert "its host's answer cannot be read: " in voice.reason


async def test_news_of_a_death_ends_the_greeting(folder: Path) -> None:
    async with hosted() as voice:
        voice.update_host(state(folder / "never"))
        voice.update_host(state("", "failed", reason="it fell over"))
        await soon(lambda: not voice._tasks)
        assert voice.reason == "it fell over"


async def test_closing_does_not_wait_for_an_answer_that_never_comes(folder: Path) -> None:
    async with hosted() as voice:
        voice.update_host(state(folder / "never"))
        await asyncio.sleep(0)
        await asyncio.wait_for(voice.close(), 2.0)
        assert not voice._tasks
