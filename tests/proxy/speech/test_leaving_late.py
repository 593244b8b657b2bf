"""A client that leaves at the last moment pays for what it was sent, and takes nothing of others along."""

import asyncio
import math
import sys
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from policies.price import MICRO
from proxy.ledger.settlement import Settlement
from proxy.storage.settlements import End
from proxy.storage.sqlite_batch import SqliteBatches
from speech_engine import Event, Finished, SpeechJob, Started
from tests.proxy.api.inside import TONE, Inside, LeavingPeer, inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, sound
from tests.proxy.speech.test_pipeline import BODY, PAIR
from tests.speech_engine.host.simulated_time import simulated

PRICED = TONE + '[plans.paid]\nallowance = 1000\nprices.speech = { credits = 1, per = "second" }\n'
WHOLE = [{"response_format": "json"}, {"response_format": "wav"}]


async def pay(server: Inside) -> int:
    """What all requests cost in the end, in micro-credits."""
    # A settlement that its client did not wait for is corrected soon.
    async with asyncio.timeout(10):
        await server.worker.ledger.holds.pending.all_written.wait()
    (row,) = await server.worker.store.read("SELECT COALESCE(SUM(amount), 0) AS spent FROM entries")
    return -int(row["spent"])


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The outcomes by which requests were to be settled, in their order."""
    outcomes, write = list[str](), Settlement.write_end

    async def note(self: Settlement, end: End) -> None:
        outcomes.append(end.outcome)
        await write(self, end)

    monkeypatch.setattr(Settlement, "write_end", note)
    return outcomes


@pytest.fixture
async def late_leaver(settled: list[str], monkeypatch: pytest.MonkeyPatch) -> LeavingPeer:
    """A client that leaves while its whole request is being settled, which ends when that is known."""
    peer, has_left, loop = LeavingPeer(), threading.Event(), asyncio.get_running_loop()
    commit, write = SqliteBatches.commit, Settlement.write_end

    def commit_late(self: SqliteBatches, contents: Any) -> Any:
        if any(isinstance(content, End) and content.outcome == "finished" for content in contents):
            loop.call_soon_threadsafe(peer.leave)
            has_left.wait(10.0)
        return commit(self, contents)

    async def tell(self: Settlement, end: End) -> None:
        if end.outcome == "left":
            has_left.set()
        await write(self, end)

    monkeypatch.setattr(SqliteBatches, "commit", commit_late)
    monkeypatch.setattr(Settlement, "write_end", tell)
    return peer


@pytest.mark.parametrize("more", WHOLE, ids=["json", "wav"])
async def test_a_client_that_leaves_while_its_whole_answer_is_settled_pays_nothing(
    tmp_path: Path, late_leaver: LeavingPeer, more: dict[str, str]
) -> None:
    async with inside(tmp_path, PRICED, plan="paid") as server:
        body = {"model": "tts-1", "voice": "alloy", "input": "Hi.", **more}
        assert await server.raw_speech(body, peer=late_leaver) == []
        assert await pay(server) == 0
        assert "0 live" in repr(server.worker.ledger)


async def test_a_client_that_leaves_while_the_end_of_a_stream_is_settled_pays_for_what_it_got(
    tmp_path: Path, late_leaver: LeavingPeer, settled: list[str]
) -> None:
    engine = Scripted(Started(RATE_HZ), *sound(1.0), Finished())
    config = PAIR + PRICED.removeprefix(TONE)
    async with inside(tmp_path, config, {"one": engine, "two": Scripted()}, plan="paid") as server:
        sent = await server.raw_speech(BODY, peer=late_leaver)
        paid = await pay(server)
    got = sum(len(message.get("body", b"")) for message in sent) // 2
    assert settled == ["finished", "left"]
    assert 0 < got < RATE_HZ
    assert paid == math.ceil(got / RATE_HZ * MICRO)


async def test_a_client_whose_answer_can_not_be_kept_pays_nothing_for_the_try_it_left(tmp_path: Path) -> None:
    """The answer is larger than any that is kept, which is known only when it is whole."""
    config = PRICED.replace("[server]\n", "[server]\nidempotency_mb = 1\n")
    config = config.replace("hosted = false", "hosted = false\npace = 0.01")
    body = {"model": "tts-1", "voice": "alloy", "input": "Words and words and more. " * 30}
    leaves = asyncio.Event()
    async with inside(tmp_path, config, plan="paid") as server:
        asyncio.get_running_loop().call_later(0.05, leaves.set)
        headers = {"idempotency-key": "large"}
        sent = await server.raw_speech({**body, "response_format": "json"}, leaves, headers=headers)
        (row,) = await server.usage()
        assert (sent, row.outcome, row.samples) == ([], "left", 0)
        assert await pay(server) == 0


@pytest.mark.parametrize("share", [0.5, 1.0])
async def test_a_client_whose_answer_turns_out_too_large_to_keep_pays_for_what_it_got(
    tmp_path: Path, share: float
) -> None:
    """The answer goes on when the client has left, until it is larger than any that is kept."""
    config = "[server]\nidempotency_mb = 1\n" + PAIR
    engine, peer, got = Scripted(Started(RATE_HZ), *sound(60.0), asyncio.Event().wait), LeavingPeer(), [0]
    peer.sent_share = share

    async def leave_soon(message: Message) -> None:
        got.append(len(message.get("body", b"")))
        if sum(got) > RATE_HZ and not peer.is_gone:
            peer.leave()

    async with inside(tmp_path, config, {"one": engine, "two": Scripted()}) as server:
        body = {**BODY, "input": "Words and more words. " * 50, "response_format": "pcm"}
        await server.raw_speech(body, on_sent=leave_soon, headers={"idempotency-key": "k"}, peer=peer)
        (row,) = await server.usage()
    assert (row.outcome, engine.open) == ("left", 0)
    assert RATE_HZ < sum(got) < 3 * RATE_HZ
    assert row.samples == sum(got) / 2 * share


class SlowToStop(Scripted):
    """Takes a moment to stop, as an engine over a network may."""

    def __init__(self) -> None:
        super().__init__()
        self.is_stopping = asyncio.Event()

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        self.open += 1
        try:
            await asyncio.Event().wait()
            yield Started(RATE_HZ)
        finally:
            self.is_stopping.set()
            try:
                await asyncio.sleep(0.2)
            finally:
                self.open -= 1


@simulated
async def test_a_race_that_is_cancelled_twice_closes_all_who_ran(tmp_path: Path) -> None:
    config = PAIR.replace("[engines.one]", "[engines.one]\nhedge_s = 0.02")
    one, two = SlowToStop(), Scripted(Started(RATE_HZ), *sound(0.3), asyncio.Event().wait)
    async with inside(tmp_path, config, {"one": one, "two": two}) as server:
        peer = LeavingPeer()
        speaking = asyncio.create_task(server.raw_speech(BODY, peer=peer))
        await one.is_stopping.wait()
        peer.leave()
        await asyncio.sleep(0.05)
        speaking.cancel()
        await asyncio.wait([speaking])
        assert (one.open, two.open) == (0, 0)
        running = [(await engine.health()).running for _, engine in server.worker.engines.items()]
        assert running == [0, 0]


async def test_a_replay_that_is_left_leaves_nothing_to_the_collector(tmp_path: Path) -> None:
    found: list[str] = []
    begin, finish = sys.get_asyncgen_hooks()

    def note(generator: AsyncGenerator[Any, Any]) -> None:
        found.append(repr(generator))
        if finish is not None:
            finish(generator)

    body = {"model": "tts-1", "voice": "alloy", "input": "one two three " * 60, "response_format": "pcm"}
    headers, peer = {"idempotency-key": "again"}, LeavingPeer()

    async def leave(message: Message) -> None:
        if message.get("body"):
            peer.leave()
            await asyncio.sleep(0.01)

    async with inside(tmp_path, TONE) as server:
        await server.raw_speech(body, headers=headers)
        sys.set_asyncgen_hooks(finalizer=note)
        try:
            sent = await server.raw_speech(body, headers=headers, peer=peer, on_sent=leave)
        finally:
            sys.set_asyncgen_hooks(begin, finish)
    assert len(sent) == 2
    assert not found
