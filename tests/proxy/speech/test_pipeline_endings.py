"""How an answer ends when client, engine and server do not end it together."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path

import pytest
from starlette.types import Message

from speech_engine import Encoded, Event, Finished, SpeechJob, Started
from tests.proxy.api.inside import LeavingPeer, inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, sound, spoken
from tests.proxy.speech.test_pipeline import BODY, PAIR, ask
from tests.tables import each_row


@pytest.mark.parametrize(("field", "format_"), [("response_format", "wav"), ("audio_format", "mp3")])
async def test_a_client_who_leaves_before_a_whole_answer_is_sent_has_been_written_nothing(
    tmp_path: Path, field: str, format_: str
) -> None:
    leaves = asyncio.Event()

    async def leave() -> None:
        leaves.set()
        await asyncio.Event().wait()

    engine = Scripted(Started(RATE_HZ), *sound(0.5), leave)
    body = {**BODY, "response_format": "json", field: format_}
    async with inside(tmp_path, PAIR, {"one": engine, "two": Scripted()}) as server:
        assert await server.raw_speech(body, leaves) == []
        (row,) = await server.usage()
    assert (row.outcome, row.samples, engine.open) == ("left", 0, 0)


@each_row("share", [0.0, 0.25, 1.0])
async def test_a_leaver_is_charged_for_the_share_that_left_this_machine(tmp_path: Path, share: float) -> None:
    leaves, peer = asyncio.Event(), LeavingPeer()
    peer.sent_share = share

    async def leave() -> None:
        leaves.set()
        await asyncio.Event().wait()

    engine = Scripted(Started(RATE_HZ), *sound(8.0), leave)
    async with inside(tmp_path, PAIR, {"one": engine, "two": Scripted()}) as server:
        await server.raw_speech(BODY, leaves, peer=peer)
        (row,) = await server.usage()
    assert (row.outcome, engine.open) == ("left", 0)
    # Of the sound, up to a second is in the encoder and in the steps before it.
    assert share * 7.0 <= row.samples / RATE_HZ <= share * 8.0


async def test_an_answer_that_the_server_breaks_off_costs_nothing(tmp_path: Path) -> None:
    has_spoken = asyncio.Event()

    async def linger() -> None:
        has_spoken.set()
        await asyncio.Event().wait()

    engine = Scripted(Started(RATE_HZ), *sound(2.0), linger)
    async with inside(tmp_path, PAIR, {"one": engine, "two": Scripted()}) as server:
        asked = asyncio.create_task(server.raw_speech(BODY))
        await has_spoken.wait()
        asked.cancel()
        await asyncio.wait([asked])
        (row,) = await server.usage()
    assert (row.outcome, row.credits, engine.open) == ("failed", 0, 0)


async def test_a_disconnect_after_a_whole_answer_is_no_departure(tmp_path: Path) -> None:
    class Lingering(Scripted):
        """Has something to put away, as an engine over HTTP has."""

        put_away = False

        async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
            try:
                async for event in super().speak(job):
                    yield event
            finally:
                for _ in range(5):
                    await asyncio.sleep(0)
                self.put_away = True

    leaves = asyncio.Event()

    async def at_the_end(message: Message) -> None:
        if message["type"] == "http.response.body" and not message["more_body"]:
            leaves.set()
            await asyncio.sleep(0)

    engine = Lingering(*spoken(0.3))
    async with inside(tmp_path, PAIR, {"one": engine, "two": Scripted()}) as server:
        sent = await server.raw_speech(BODY, leaves, at_the_end)
        (row,) = await server.usage()
        assert 'voxgate_speech_seconds_total{engine="one",model="m"} 0.3' in server.worker.metrics.page_text()
    assert sent[-1]["more_body"] is False
    assert (row.outcome, engine.put_away) == ("finished", True)


async def test_an_engine_that_cancels_of_its_own_has_failed(tmp_path: Path) -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    engines = {"one": Scripted(cancelled), "two": Scripted(*spoken(0.5))}
    async with inside(tmp_path, PAIR, engines) as server:
        status, _, engine = await ask(server)
    assert (status, engine) == (200, "two/m")


async def test_encoded_audio_without_a_frame_is_no_answer(tmp_path: Path) -> None:
    empty = Scripted(Started(RATE_HZ), Encoded("mp3", b""), Finished(), formats=("mp3",))
    async with inside(tmp_path, PAIR, {"one": empty, "two": Scripted(*spoken(0.5))}) as server:
        status, content, engine = await ask(server, response_format="mp3")
    assert (status, engine) == (200, "two/m")
    assert content


async def test_an_engine_that_describes_itself_wrongly_is_left_out_alone(tmp_path: Path) -> None:
    class Boasting(Scripted):
        slots = 0

    engines = {"one": Boasting(*spoken(0.5)), "two": Scripted(*spoken(0.5))}
    async with inside(tmp_path, PAIR, engines) as server:
        states = {status.name: status.state for status in await server.worker.engines.statuses()}
        assert (await ask(server))[2] == "two/m"
    assert states == {"one": "failed", "two": "ready"}


@pytest.mark.parametrize("at", [1, 2])
async def test_an_answer_that_fails_in_the_server_itself_leaves_no_hold(tmp_path: Path, at: int) -> None:
    sent: list[Message] = []

    async def break_down(message: Message) -> None:
        sent.append(message)
        if len(sent) == at:
            raise ZeroDivisionError("broken by the test")

    engine = Scripted(*spoken(1.0)[:-1], asyncio.Event().wait)
    async with inside(tmp_path, PAIR, {"one": engine, "two": Scripted()}) as server:
        with suppress(ZeroDivisionError):
            await server.raw_speech(BODY, on_sent=break_down)
        (row,) = await server.usage()
        assert "0 live" in repr(server.worker.ledger)
    assert (row.outcome, row.credits, engine.open) == ("failed", 0, 0)
