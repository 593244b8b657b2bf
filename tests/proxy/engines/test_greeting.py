"""Before a host may serve it is greeted: by the wrong version, by noise, or by nobody, and what then."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from speech_engine import API_VERSION, EngineUnavailable, Finished
from tests.proxy.engines.hosts import babbling, hosted, odd_host, spoken, state
from tests.speech_engine.host.fakes import FakeEngine, host, job, short_folder
from tests.waiting import soon


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as made:
        yield made


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
