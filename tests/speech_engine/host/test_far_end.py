"""The far end of remote work: what comes back of a work, once for each key, and who may ask."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import msgspec
import pytest
import structlog

from speech_engine import (
    Audio,
    EngineVoice,
    Finished,
    Sample,
    Samples,
    Segment,
    Speak,
    SpeechJob,
    Started,
    Voice,
)
from speech_engine.device import CPU
from speech_engine.host.messages import Failed
from speech_engine.host.remote_calls import fetch_recording
from speech_engine.host.remote_pieces import FarIntroduction, RemoteFrame, frames_of
from speech_engine.host.remote_server import RemoteServer
from speech_engine.host.remote_worker import MOST_STORED, Fetch, RemoteWorker, open_remote_worker
from speech_engine.runner import MOST_PIECE_BYTES, RemotePiece, RemoteSample, RemoteWork, decode_work
from tests.tables import each_row

TOKEN = "far-token"


def work(key: str = "k.1", text: str = "Word one.", voice: Voice | None = None, **more: object) -> RemoteWork:
    job = SpeechJob(
        id=key,
        tenant="server",
        model="standard",
        voice=voice or EngineVoice("tone"),
        segments=(Segment(text, 0, len(text)),),
        language="en",
    )
    return msgspec.structs.replace(RemoteWork(key=key, most_s=30.0, work=Speak(job)), **more)


@asynccontextmanager
async def remote_worker(
    settings: bytes = b"{}", fetch: Fetch = fetch_recording
) -> AsyncIterator[RemoteWorker]:
    log = structlog.get_logger()
    async with open_remote_worker("plugins.tone.worker", settings, CPU, log, fetch=fetch) as opened:
        yield opened


async def pieces_of(end: RemoteWorker, asked: RemoteWork) -> list[RemotePiece]:
    return [piece async for piece in end.pieces(asked)]


async def frames(end: RemoteWorker, asked: RemoteWork) -> list[RemoteFrame]:
    return list(frames_of(await pieces_of(end, asked)))


async def test_a_result_has_the_introduction_and_all_events() -> None:
    async with remote_worker() as end:
        first, started, *sound, last = await frames(end, work())
        assert isinstance(first, FarIntroduction)
        assert first.hello.models[0].id == "standard"
        assert isinstance(started, Started)
        assert any(isinstance(each, Audio) for each in sound)
        assert isinstance(last, Finished)


async def test_without_work_it_introduces_the_engine() -> None:
    async with remote_worker() as end:
        (only,) = await frames(end, RemoteWork(key="hello", most_s=5.0))
        assert isinstance(only, FarIntroduction)


async def test_a_long_result_comes_in_pieces_that_a_provider_takes() -> None:
    async with remote_worker() as end:
        pieces = await pieces_of(end, work(text="Word one. " * 60))
        assert len(pieces) > 1
        assert [piece.number for piece in pieces] == list(range(len(pieces)))
        assert [piece.is_last for piece in pieces] == [*[False] * (len(pieces) - 1), True]
        assert max(len(msgspec.json.encode(piece)) for piece in pieces) <= MOST_PIECE_BYTES
        assert isinstance([*frames_of(pieces)][-1], Finished)


async def test_one_key_is_spoken_once() -> None:
    async with remote_worker() as end:
        first, second = await asyncio.gather(pieces_of(end, work()), pieces_of(end, work()))
        assert first == second
        assert await pieces_of(end, work()) == first
        # Another text under the same key is the same work.
        assert await pieces_of(end, work(text="Word two.")) == first


async def test_a_key_whose_result_was_dropped_for_others_is_not_spoken_again() -> None:
    async with remote_worker() as end:
        first = end.begin(work("first"))
        for number in range(MOST_STORED - 1):
            assert await pieces_of(end, work(f"k{number}"))
        # The last ones are there.
        assert first.pieces
        for number in range(MOST_STORED - 1, MOST_STORED + 4):
            assert await pieces_of(end, work(f"k{number}"))
        assert end.begin(work("first")) is first
        assert (first.is_over, first.is_forgotten, first.pieces) == (True, True, [])
        assert await pieces_of(end, work(f"k{MOST_STORED + 3}"))


@each_row(
    ("asked", "error"),
    [
        (work(voice=EngineVoice("nobody")), "VoiceNotFound"),
        (work(version=99), "EngineFailed"),
        (work(voice=Samples((Sample("abc"),))), "UnusableSample"),
    ],
    ids=["voice", "version", "recording"],
)
async def test_a_failure_is_the_last_frame(asked: RemoteWork, error: str) -> None:
    async with remote_worker() as end:
        last = (await frames(end, asked))[-1]
        assert isinstance(last, Failed)
        assert last.error == error


async def test_work_ends_at_its_time() -> None:
    async with remote_worker(b'{"delay_s": 30}') as end:
        last = (await frames(end, work(most_s=0.05)))[-1]
        assert isinstance(last, Failed)
        assert last.error == "EngineTimeout"
        assert end.running == 0


async def test_the_time_of_work_begins_before_its_recordings_are_fetched() -> None:
    async def stand_still(_: RemoteSample) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    linked = RemoteSample(digest="abc", url="https://voice.example.org/remote/samples/abc")
    async with remote_worker(fetch=stand_still) as end:
        last = (await frames(end, work(voice=Samples((Sample("abc"),)), samples=(linked,), most_s=0.05)))[-1]
        assert isinstance(last, Failed)
        assert last.error == "EngineTimeout"
        answer = end.find("k.1")
        assert answer is not None
        assert answer.busy_s is not None
        assert answer.busy_s >= 0.05


async def test_a_recording_is_gone_after_its_work() -> None:
    voice = Samples((Sample("abc"),))
    async with remote_worker() as end:
        brought = work(voice=voice, samples=(RemoteSample(digest="abc", pcm=b"\1\2" * 48_000),))
        assert isinstance((await frames(end, brought))[-1], Finished)
        assert isinstance((await frames(end, work("k.2", voice=voice)))[-1], Failed)


async def test_who_ends_first_takes_no_recording_from_others() -> None:
    voice, pcm = Samples((Sample("abc"),)), RemoteSample(digest="abc", pcm=b"\1\2" * 48_000)
    async with remote_worker(b'{"slots": 1}') as end:
        every = [work(f"k.{number}", voice=voice, samples=(pcm,)) for number in range(4)]
        ended = await asyncio.gather(*(frames(end, each) for each in every))
        assert [type(each[-1]) for each in ended] == [Finished] * 4
        assert isinstance((await frames(end, work("k.9", voice=voice)))[-1], Failed)


async def test_work_that_is_left_ends() -> None:
    async with remote_worker(b'{"delay_s": 30}') as end:
        taking = asyncio.create_task(pieces_of(end, work()))
        await asyncio.sleep(0)
        assert end.running == 1
        taking.cancel()
        await asyncio.wait([taking])
        assert end.running == 0


def test_a_work_is_the_same_after_its_way_as_json() -> None:
    asked = work(samples=(RemoteSample(digest="abc", pcm=b"\0\1"),))
    assert decode_work(msgspec.json.encode(asked)) == asked
    assert decode_work(msgspec.json.decode(msgspec.json.encode(asked))) == asked
    assert "Word" not in repr(asked)


@asynccontextmanager
async def client(end: RemoteWorker, token: str = TOKEN) -> AsyncIterator[httpx2.AsyncClient]:
    server = RemoteServer(end, TOKEN, ("127.0.0.1", 0))
    headers = {"authorization": f"Bearer {token}"}
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", headers=headers) as asking:
            yield asking
    finally:
        await asyncio.to_thread(server.close)


async def test_a_machine_of_its_own_answers_as_a_queue_does() -> None:
    async with remote_worker() as end, client(end) as asking:
        sent = msgspec.json.encode({"input": work()})
        answer = await asking.post("/run", content=sent)
        assert (answer.status_code, answer.json()["id"]) == (200, "k.1")
        answered = end.find("k.1")
        assert answered is not None
        assert answered.task is not None
        await asyncio.wait([answered.task])
        shown = (await asking.get("/status/k.1")).json()
        assert shown["status"] == "COMPLETED"
        pieces = msgspec.convert(shown["output"], list[RemotePiece])
        assert isinstance([*frames_of(pieces)][-1], Finished)
        assert shown["executionTime"] >= 0
        streamed = (await asking.get("/stream/k.1?since=0")).json()["stream"]
        assert [each["output"] for each in streamed] == shown["output"]
        assert (await asking.get("/stream/k.1?since=1")).json()["stream"] == []
        assert (await asking.get("/health")).json() == {"jobs": {"inProgress": 0}}


async def test_a_canceled_work_says_so_and_has_no_result() -> None:
    async with remote_worker(b'{"delay_s": 30}') as end, client(end) as asking:
        await asking.post("/run", content=msgspec.json.encode({"input": work()}))
        shown = (await asking.post("/cancel/k.1", content=b"")).json()
        assert (shown["status"], shown["output"]) == ("CANCELLED", [])


@each_row(
    ("method", "path", "body", "status"),
    [
        ("POST", "/run", b"{", 400),
        ("POST", "/run", b'{"input": {"key": 1}}', 400),
        ("POST", "/run", b"[]", 400),
        ("GET", "/status/none", None, 404),
        ("POST", "/cancel/none", b"", 404),
        ("GET", "/", None, 404),
        ("GET", "/stream/none?since=-1", None, 404),
    ],
)
async def test_what_it_cannot_answer(method: str, path: str, body: bytes | None, status: int) -> None:
    async with remote_worker() as end, client(end) as asking:
        assert (await asking.request(method, path, content=body)).status_code == status


async def test_nobody_without_the_token_is_answered() -> None:
    async with remote_worker() as end, client(end, "another") as asking:
        for method, path in (("POST", "/run"), ("GET", "/health"), ("GET", "/status/k.1")):
            answer = await asking.request(method, path, content=msgspec.json.encode({"input": work()}))
            assert answer.status_code == 401
        assert end.running == 0
        with pytest.raises(ValueError, match="token"):
            RemoteServer(end, "", ("127.0.0.1", 0))
