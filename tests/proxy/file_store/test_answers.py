"""An Idempotency-Key: the same bytes for the same request, spoken and charged once."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from proxy.storage.store import Statement
from speech_engine import errors
from tests.proxy.api.inside import envelope, inside
from tests.proxy.api.scripted import RATE_HZ, Halt, Scripted, spoken
from tests.proxy.file_store.idempotent import BODY, CONFIG, KEY, ask, is_replay, kept, speaking
from tests.tables import each_row

SHAPES = {
    "mp3 stream": {"response_format": "mp3"},
    "pcm stream": {"response_format": "pcm"},
    "whole wav": {"response_format": "wav"},
    "json": {"response_format": "json", "audio_format": "flac"},
    "events": {"stream_format": "sse", "response_format": "opus"},
}


def _of_ours(answer: httpx2.Response) -> dict[str, str]:
    """The headers that a replay has from the answer before, in both."""
    shared = ("content-type", "content-length", "cache-control", "x-accel-buffering")
    return {
        name: value
        for name, value in answer.headers.items()
        if name in shared or (name.startswith("x-voxgate-") and not name.startswith("x-voxgate-replay"))
    }


@each_row("shape", SHAPES)
async def test_sent_again_it_is_the_same_answer_and_nobody_speaks(tmp_path: Path, shape: str) -> None:
    engine = Scripted(*spoken(2.0))
    async with speaking(tmp_path, engine) as server:
        first = await ask(server, **SHAPES[shape])
        again = await ask(server, **SHAPES[shape])
        rows = await server.usage()
    assert [is_replay(answer) for answer in (first, again)] == [False, True]
    assert first.content == again.content
    assert len(first.content) > 1_000
    assert _of_ours(first) == _of_ours(again)
    assert first.headers["x-request-id"] != again.headers["x-request-id"]
    assert [row.id for row in rows] == [first.headers["x-request-id"]]
    assert len(engine.jobs) == 1


async def test_a_streamed_wav_is_the_stream_that_it_was(tmp_path: Path) -> None:
    streamed = {"x-stainless-raw-response": "stream", "idempotency-key": KEY}
    async with speaking(tmp_path, Scripted(*spoken(1.0))) as server:
        body = {**BODY, "response_format": "wav"}
        first = await server.ask("POST", "/v1/audio/speech", body=body, **streamed)
        again = await ask(server, response_format="wav")
    assert first.content[4:8] == b"\xff\xff\xff\xff"
    assert "content-length" not in again.headers
    assert (is_replay(again), again.content) == (True, first.content)


async def test_a_repeated_request_is_charged_once_on_every_database(tmp_path: Path, store_url: str) -> None:
    engine = Scripted(*spoken(0.5))
    config = f'{CONFIG}\n[storage]\nurl = "{store_url}"\n'
    async with inside(tmp_path, config, {"one": engine}, plan="small") as server:
        first = await ask(server)
        again = await ask(server)
        entries = await server.worker.store.read("SELECT amount, request FROM entries")
        (row,) = await server.usage()
    assert (is_replay(again), again.content) == (True, first.content)
    assert [(entry["amount"], entry["request"]) for entry in entries] == [(-row.credits, row.id)]
    assert row.credits == len(BODY["input"]) * 1_000_000


async def test_a_replay_counts_as_a_request_of_the_minute(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG, {"one": Scripted(*spoken(0.1))}, plan="small") as server:
        statuses = [(await ask(server)).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]


async def test_another_body_under_the_same_key_is_a_422(tmp_path: Path) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        first = await ask(server)
        other = await ask(server, input="Something else.")
        again = await ask(server)
        assert len(await server.usage()) == 1
    assert (other.status_code, envelope(other)["code"]) == (422, "idempotency_key_reused")
    assert envelope(other)["param"] == "Idempotency-Key"
    assert (is_replay(again), again.content) == (True, first.content)


async def test_while_the_first_is_under_way_the_second_is_told_to_come_again(tmp_path: Path) -> None:
    halt = Halt()
    engine = Scripted(*spoken(0.5)[:-1], halt, spoken(0.5)[-1])
    async with speaking(tmp_path, engine) as server:
        first = asyncio.create_task(ask(server))
        await halt.is_there.wait()
        second = await ask(server)
        halt.goes_on.set()
        third, again = await first, await ask(server)
    assert (second.status_code, envelope(second)["code"]) == (409, "request_under_way")
    assert (second.headers["x-should-retry"], second.headers["retry-after"]) == ("true", "1")
    assert not is_replay(third)
    assert (is_replay(again), again.content) == (True, third.content)
    assert len(engine.jobs) == 1


@pytest.mark.parametrize("fault_at", [0, 3], ids=["before the first byte", "in the middle"])
async def test_a_failure_is_not_kept_and_frees_the_key(tmp_path: Path, fault_at: int) -> None:
    async def fail_once() -> None:
        if len(engine.jobs) == 1:
            raise errors.EngineFailed("x")

    events = spoken(0.5)
    engine = Scripted(*events[:fault_at], fail_once, *events[fault_at:])
    async with speaking(tmp_path, engine) as server:
        broken = await server.raw_speech(BODY, headers={"idempotency-key": KEY})
        assert not kept(tmp_path)
        answer = await ask(server)
        outcomes = sorted(row.outcome for row in await server.usage())
    assert broken[0]["status"] == (200 if fault_at else 503)
    assert broken[-1].get("more_body", False) is bool(fault_at)
    assert not is_replay(answer)
    assert len(answer.content) == RATE_HZ
    assert outcomes == ["failed", "finished"]


@each_row("key", ["", "k" * 256, "tab\there", "naïve", "one\x7f"])
async def test_a_value_that_is_no_key_is_a_400(tmp_path: Path, key: str) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.1))) as server:
        sent = await server.raw_speech(BODY, headers={"idempotency-key": key})
        assert not await server.usage()
    assert sent[0]["status"] == 400
    assert b'"param":"Idempotency-Key"' in sent[1]["body"]


async def test_two_keys_are_no_key(tmp_path: Path) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.1))) as server, server.client() as client:
        headers = [("idempotency-key", "one"), ("idempotency-key", "two")]
        answer = await client.post("/v1/audio/speech", json=BODY, headers=headers)
    assert (answer.status_code, envelope(answer)["param"]) == (400, "Idempotency-Key")


@each_row("key", ["k", "k" * 255, 'a key with ~ and "quotes" / ..'])
async def test_a_key_is_any_printable_ascii(tmp_path: Path, key: str) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.1))) as server:
        assert [is_replay(await ask(server, key)) for _ in range(2)] == [False, True]


@pytest.mark.parametrize("outcome", ["left", "failed"])
async def test_a_file_is_not_believed_without_its_settlement(tmp_path: Path, outcome: str) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.1))) as server:
        await ask(server)
        await server.worker.store.write(Statement("UPDATE usage SET outcome = :to", {"to": outcome}))
        assert not is_replay(await ask(server))


async def test_metrics_say_what_was_replayed(tmp_path: Path) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.1))) as server:
        await ask(server)
        await ask(server)
        page = server.worker.metrics.page_text()
    assert "voxgate_answers_replayed_total 1.0" in page
    assert "voxgate_answers_unrecorded_total 0.0" in page
