"""Speech at the pace at which it is heard: a few seconds ahead, and never when nobody should wait."""

import asyncio
from pathlib import Path

import pytest

from proxy.audio.formats import Chunk
from proxy.speech.spill import PacedStream, PlayClock, ReaderPace
from speech_engine import Finished, Started
from tests.proxy.api.inside import LeavingPeer, envelope, inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, sound
from tests.proxy.speech.test_pipeline import BODY, PAIR
from tests.speech_engine.host import simulated_time
from tests.tables import each_row

SECONDS = 20
AHEAD_S, PIECE_S = 5.0, 0.5


class Sound:
    """So many seconds of sound in one chunk each, all of which are ready."""

    holds_engine = False

    def __init__(self, *seconds: float) -> None:
        self._left = [
            Chunk(bytes(round(each * RATE_HZ) * 2), round(each * RATE_HZ), RATE_HZ) for each in seconds
        ]
        self.is_closed = False

    async def next_chunk(self) -> Chunk | None:
        return self.ready_chunk()

    def ready_chunk(self) -> Chunk | None:
        return self._left.pop(0) if self._left else None

    def last_chunk(self) -> Chunk:
        return Chunk(b"end", 1, RATE_HZ)

    async def close(self) -> None:
        self.is_closed = True


@each_row("seconds", [(20.0,), (0.1,) * 200, (12.0, 0.25, 7.75)])
def test_sound_goes_out_at_most_some_seconds_before_it_is_heard(seconds: tuple[float, ...]) -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        pace = ReaderPace(loop.time)
        stream = PacedStream(Sound(*seconds), lambda: False, pace, PlayClock())
        began, given, data, pieces = loop.time(), 0, b"", 0
        while (piece := await stream.next_chunk()) is not None:
            given += piece.samples
            data += piece.data
            pieces += 1
            assert given / RATE_HZ <= loop.time() - began + AHEAD_S + 0.001
        assert (given, len(data)) == (SECONDS * RATE_HZ, SECONDS * RATE_HZ * 2)
        assert pieces == SECONDS / PIECE_S, "small chunks that are ready are joined"
        # And it is not slower than that either.
        assert loop.time() - began == pytest.approx(SECONDS - AHEAD_S, abs=0.01)
        assert stream.last_chunk().data == b"end"
        assert pace.value == pytest.approx(2.0, abs=0.01), "nobody is slow who shall not have more yet"

    simulated_time.run(scene())


def test_nobody_waits_when_the_server_ends_or_the_client_has_gone() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        began, is_hurried = loop.time(), False
        stream = PacedStream(Sound(20.0), lambda: is_hurried, ReaderPace(), PlayClock())
        while loop.time() - began < 3.0:
            assert await stream.next_chunk() is not None
        is_hurried = True
        while await stream.next_chunk() is not None:
            pass
        assert loop.time() - began < 3.6

    simulated_time.run(scene())


@each_row("by_key", [True, False], ids=["key", "header"])
@each_row("answer", ["audio", "sse"])
@simulated_time.simulated
async def test_a_client_that_hangs_up_pays_for_little_that_it_did_not_hear(
    tmp_path: Path, by_key: bool, answer: str
) -> None:
    engine = Scripted(Started(RATE_HZ), *sound(60.0), Finished())
    peer, leaves = LeavingPeer(), asyncio.Event()
    more = {"stream_format": "sse"} if answer == "sse" else {}
    async with inside(tmp_path, PAIR, {"one": engine, "two": Scripted()}) as server:
        headers = {} if by_key else {"x-voxgate-pace": "live"}
        if by_key:
            new = {"account": server.account.id, "caps": {"pace": "live"}}
            made = await server.administer("POST", "keys", new)
            assert made.status_code == 201, made.text
            assert made.json()["caps"]["pace"] == "live"
            server = server._replace(key=made.json()["key"])
        asyncio.get_running_loop().call_later(1.0, leaves.set)
        text = "Word after word after word. " * 30
        await server.raw_speech({**BODY, "input": text, **more}, leaves, headers=headers, peer=peer)
        (row,) = await server.usage()
    assert row.outcome == "left"
    assert AHEAD_S - 1.0 <= row.samples / RATE_HZ <= AHEAD_S + 3.0
    assert engine.open == 0


async def test_a_slow_listener_does_not_keep_the_engine(tmp_path: Path) -> None:
    is_over = asyncio.Event()

    async def come_to_an_end() -> None:
        is_over.set()

    engine = Scripted(Started(RATE_HZ), *sound(60.0), come_to_an_end, Finished())
    peer, leaves = LeavingPeer(), asyncio.Event()
    async with inside(tmp_path, PAIR, {"one": engine, "two": Scripted()}) as server:
        body = {**BODY, "input": "Word after word after word. " * 30}
        asking = asyncio.create_task(
            server.raw_speech(body, leaves, headers={"x-voxgate-pace": "live"}, peer=peer)
        )
        await asyncio.wait_for(is_over.wait(), 10)
        leaves.set()
        await asking


async def test_an_answer_in_one_piece_has_no_pace(tmp_path: Path) -> None:
    engine = Scripted(Started(RATE_HZ), *sound(30.0), Finished())
    async with inside(tmp_path, PAIR, {"one": engine, "two": Scripted()}) as server:
        async with asyncio.timeout(10):
            answer = await server.ask(
                "POST",
                "/v1/audio/speech",
                body={**BODY, "input": "Word after word. " * 30, "response_format": "json"},
                **{"x-voxgate-pace": "live"},
            )
    assert answer.status_code == 200


async def test_another_pace_is_refused_by_name(tmp_path: Path) -> None:
    async with inside(tmp_path, PAIR, {"one": Scripted(), "two": Scripted()}) as server:
        answer = await server.ask("POST", "/v1/audio/speech", body=BODY, **{"x-voxgate-pace": "fast"})
        new = {"account": server.account.id, "caps": {"pace": "fast"}}
        key = await server.administer("POST", "keys", new)
    assert (answer.status_code, envelope(answer)["param"]) == (400, "x-voxgate-pace")
    assert (key.status_code, envelope(key)["param"]) == (400, "caps.pace")
