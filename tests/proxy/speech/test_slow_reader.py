"""A client that takes its answer slowly holds up nobody but itself, and loses nothing."""

import asyncio
from pathlib import Path

from starlette.types import Message

from proxy.audio.sound import FADE_SAMPLES
from speech_engine import Finished, Started
from tests.proxy.api.inside import LeavingPeer, inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, sound, spoken
from tests.proxy.speech.test_pipeline import BODY, PAIR, ask
from tests.waiting import forever


async def test_a_slow_clients_answer_is_read_ahead_and_whole(tmp_path: Path) -> None:
    is_over, peer = asyncio.Event(), LeavingPeer()
    peer.is_behind = True

    async def come_to_an_end() -> None:
        is_over.set()

    async def take_slowly(message: Message) -> None:
        if message.get("body"):
            # While the client takes its first bytes, the engine comes to its end.
            async with asyncio.timeout(10):
                await is_over.wait()

    engine = Scripted(Started(RATE_HZ), *sound(2.0), come_to_an_end, Finished())

    async with inside(tmp_path, PAIR, {"one": engine, "two": Scripted()}) as server:
        sent = await server.raw_speech(BODY, on_sent=take_slowly, peer=peer)
        (row,) = await server.usage()
    content = b"".join(message.get("body", b"") for message in sent)
    assert len(content) == 2 * RATE_HZ * 2
    assert (row.outcome, row.samples) == ("finished", 2 * RATE_HZ)


async def test_a_client_that_keeps_up_is_read_for_by_its_own_task(tmp_path: Path) -> None:
    engine = Scripted(*spoken(0.5))
    tasks: set[int] = set()

    async def note(_message: Message) -> None:
        tasks.add(len(asyncio.all_tasks()))

    async with inside(tmp_path, PAIR, {"one": engine, "two": Scripted()}) as server:
        await ask(server)
        await server.raw_speech(BODY, on_sent=note)
    assert len(tasks) == 1


async def test_a_slow_client_that_leaves_ends_what_was_read_ahead(tmp_path: Path) -> None:
    engine = Scripted(Started(RATE_HZ), *sound(1.0), asyncio.Event().wait, Finished())
    peer, leaves = LeavingPeer(), asyncio.Event()
    peer.is_behind = True

    async def leave(message: Message) -> None:
        if message.get("body"):
            leaves.set()
            await forever()

    async with inside(tmp_path, PAIR, {"one": engine, "two": Scripted()}) as server:
        await server.raw_speech(BODY, leaves, leave, peer=peer)
        assert engine.open == 0
        (row,) = await server.usage()
    assert row.outcome == "left"


async def test_a_failure_that_was_read_ahead_breaks_the_answer_where_it_belongs(tmp_path: Path) -> None:
    engine = Scripted(*spoken(1.0)[:-1], ZeroDivisionError("broken by the test"))
    peer = LeavingPeer()
    peer.is_behind = True
    async with inside(tmp_path, PAIR, {"one": engine, "two": Scripted()}) as server:
        sent = await server.raw_speech(BODY, peer=peer)
        (row,) = await server.usage()
    assert all(message.get("more_body", True) for message in sent)
    # All that was made before it has gone out, but for the bytes that are always kept back.
    kept_back = FADE_SAMPLES * 2 + 64
    assert 0 < 2 * RATE_HZ - sum(len(message.get("body", b"")) for message in sent) <= kept_back
    assert (row.outcome, row.credits) == ("failed", 0)
    assert row.error == "engine_unavailable"
