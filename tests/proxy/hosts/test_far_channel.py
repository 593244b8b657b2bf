"""How far a host runs ahead of a reader that has stopped: a host elsewhere further, as its way is longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.hosts.host_process import open_channel
from speech_engine import Audio, Event, Finished, Speak, SpeechJob, Started
from speech_engine.host import messages
from speech_engine.host.messages import Begin, Frame
from tests.speech_engine.host.fakes import RATE_HZ, FakeEngine, host, job
from tests.waiting import soon

_PIECE, _PIECES = bytes(8_000), 400


async def _speak_long(_job: SpeechJob) -> AsyncGenerator[Event, None]:
    yield Started(RATE_HZ)
    for _ in range(_PIECES):
        yield Audio(0, _PIECE)
        await asyncio.sleep(0)
    yield Finished()


@pytest.mark.parametrize(("is_local", "most"), [(True, 64 * 1024), (False, 256 * 1024)])
async def test_a_reader_that_stops_holds_what_its_channel_may_be_ahead(
    tmp_path: Path, is_local: bool, most: int
) -> None:
    carried, state = [0, 0], SimpleNamespace(address=str(tmp_path / "relay"))
    async with asyncio.timeout(20.0), host(FakeEngine(_speak_long), tmp_path / "host"):
        relay = await asyncio.start_unix_server(_counting(tmp_path / "host", carried), state.address)
        async with open_channel(state, is_local=is_local) as channel:  # type: ignore[arg-type]  # that is all it needs
            run = channel.unary_stream(
                messages.method(messages.RUN), messages.encode, messages.decoder(Frame)
            )
            call = run(Begin("call_1", Speak(job("job_1"))))
            assert await call.read() == Started(RATE_HZ)
            await soon(lambda: carried[0] > most * 0.7)
            for _ in range(20):  # so many turns would bring all of it
                await channel.unary_unary(
                    messages.method("Health"), messages.encode, messages.decoder(messages.HealthReport)
                )(messages.HealthQuestion())
            assert carried[0] < 2 * most
            pieces = 0
            while not isinstance(frame := await call.read(), Finished):
                pieces += frame.pcm == _PIECE
            assert pieces == _PIECES
        relay.close()
    await soon(lambda: carried[1] == 0)  # the host has ended, and so do its connections


def _counting(path: Path, carried: list[int]) -> Callable[..., Any]:
    """Return a server that passes all on to a path, and counts what comes back, and its connections."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(path)
        carried[1] += 1

        async def pass_on() -> None:
            while data := await reader.read(65536):
                far_writer.write(data)
            far_writer.close()

        passing = asyncio.create_task(pass_on())
        with suppress(ConnectionError):
            while data := await far_reader.read(65536):
                carried[0] += len(data)
                writer.write(data)
        writer.close()
        await asyncio.wait([passing])
        carried[1] -= 1

    return serve
