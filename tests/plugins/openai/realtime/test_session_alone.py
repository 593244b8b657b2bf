"""A session and a pool over a scripted connection: what is sent, which answer is whose, and when it ends."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from plugins.openai.realtime.messages import SessionKey
from plugins.openai.realtime.session import Session, SessionEnded
from plugins.openai.realtime.session_pool import SessionPool
from plugins.openai.realtime.settings import RealtimeSettings
from speech_engine import EngineBusy, EngineError, SocketRequest
from tests.speech_engine.host.simulated_time import simulated
from tests.waiting import soon

KEY, OTHER_KEY = SessionKey("m", "marin", 1.0), SessionKey("m", "cedar", 1.0)
SOUND = base64.b64encode(bytes(100)).decode()


class Line:
    """A connection: the test says what comes. A message that is sent may have to wait."""

    close_code: int | None = None

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.comes: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.may_send = asyncio.Event()
        self.may_send.set()
        self.is_open = True

    async def send(self, message: str) -> None:
        await self.may_send.wait()
        self.sent.append(json.loads(message))

    async def next_message(self) -> bytes | None:
        message = await self.comes.get()
        return None if message is None else json.dumps(message).encode()

    def say(self, type_: str, **fields: Any) -> None:
        self.comes.put_nowait({"type": type_, **fields})

    def respond(self, type_: str, id_: str, **more: Any) -> None:
        self.say(type_, response={"id": id_, **more})

    def asked(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.sent if message["type"] == kind]


class Lines:
    """The client of all connections. `expires_s` is what each session says of its end."""

    def __init__(self, expires_s: float = 3600.0, *, greets: bool = True) -> None:
        self.all: list[Line] = []
        self._expires_s = expires_s
        self._greets = greets

    @asynccontextmanager
    async def connect(self, request: SocketRequest) -> AsyncIterator[Line]:
        del request
        line = Line()
        if self._greets:
            line.say("session.created", session={"expires_at": time.time() + self._expires_s})
            line.say("session.updated", session={})
        self.all.append(line)
        try:
            yield line
        finally:
            line.is_open = False


SETTINGS = RealtimeSettings(base_url="http://127.0.0.1:1/v1", api_key="sk-test")


def session_of(lines: Lines, key: SessionKey, on_idle: Callable[[Session], None]) -> Session:
    return Session(key, SETTINGS, lines, lambda _key, _limits: None, on_idle)


@asynccontextmanager
async def begun(lines: Lines | None = None) -> AsyncIterator[tuple[Session, Line]]:
    lines = lines or Lines()
    session = session_of(lines, KEY, lambda _session: None)
    await session.begin(30.0)
    try:
        yield session, lines.all[0]
    finally:
        await session.close()


async def test_answers_that_begin_in_another_order_reach_who_asked() -> None:
    async with begun() as (session, line):
        first, second = [await session.request_sentence(text, "Read.") for text in ("One.", "Two.")]
        line.respond("response.created", "r2", metadata={"sentence": "2"})
        line.respond("response.created", "r1", metadata={"sentence": "1"})
        line.say("response.output_audio.delta", response_id="r2", delta=SOUND)
        async with asyncio.timeout(30):
            await second.change()
        assert (first.pcm_bytes, second.pcm_bytes) == (0, 100)


async def test_without_a_name_the_answers_keep_the_order() -> None:
    async with begun() as (session, line):
        first, second = [await session.request_sentence(text, "Read.") for text in ("One.", "Two.")]
        line.respond("response.created", "r1")
        line.respond("response.created", "r2")
        line.say("response.output_audio.delta", response_id="r1", delta=SOUND)
        async with asyncio.timeout(30):
            await first.change()
        assert (first.pcm_bytes, second.pcm_bytes) == (100, 0)


async def test_who_leaves_while_a_sentence_is_sent_leaves_it_to_be_cancelled() -> None:
    async with begun() as (session, line):
        line.may_send.clear()
        asking = asyncio.create_task(session.request_sentence("One.", "Read."))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        line.may_send.set()
        # The provider may have got it all the same.
        line.respond("response.created", "r1", metadata={"sentence": "1"})
        await soon(lambda: bool(line.asked("response.cancel")))
        assert line.asked("response.cancel")[0]["response_id"] == "r1"
        assert not session.is_idle


async def test_an_answer_that_is_left_is_cancelled_once() -> None:
    async with begun() as (session, line):
        left, done = [await session.request_sentence(text, "Read.") for text in ("One.", "Two.")]
        for number in (1, 2):
            line.respond("response.created", f"r{number}", metadata={"sentence": str(number)})
        line.respond("response.done", "r2", status="completed", metadata={"sentence": "2"})
        async with asyncio.timeout(30):
            await done.change()
        for response in (left, left, done):
            session.leave(response)
        line.say("session.updated", session={})
        await soon(lambda: bool(line.asked("response.cancel")))
        assert [each["response_id"] for each in line.asked("response.cancel")] == ["r1"]


@simulated
async def test_a_session_that_does_not_stop_ends_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugins.openai.realtime.session._CANCEL_S", 0.01)
    async with begun() as (session, line):
        response = await session.request_sentence("One.", "Read.")
        session.leave(response)
        # Nobody closes the session: it gives up by itself.
        await soon(lambda: not line.is_open)
        assert (session.has_ended, isinstance(response.failure, SessionEnded)) == (True, True)


async def test_a_session_that_says_that_it_has_expired_is_not_waited_for() -> None:
    async with begun() as (session, line):
        response = await session.request_sentence("One.", "Read.")
        line.say("error", error={"code": "session_expired"})
        async with asyncio.timeout(30):
            await response.change()
        assert isinstance(response.failure, SessionEnded)
        with pytest.raises(SessionEnded):
            await session.request_sentence("Two.", "Read.")


async def test_only_unknown_messages_without_end_end_the_session() -> None:
    async with begun() as (session, line):
        response = await session.request_sentence("One.", "Read.")
        for kind in ["response.later"] * 1000 + ["response.created"] + ["response.later"] * 1000:
            line.respond(kind, "r1")
        await soon(lambda: line.comes.empty())
        assert response.failure is None
        line.say("response.later")
        await soon(lambda: not line.is_open)
        assert isinstance(response.failure, SessionEnded)


async def test_an_error_fails_the_sentence_that_it_names_and_no_other() -> None:
    async with begun() as (session, line):
        first, second = [await session.request_sentence(text, "Read.") for text in ("One.", "Two.")]
        line.say("error", error={"code": "odd", "event_id": "cancel-1"})
        line.say("error", error={"code": "odd", "event_id": "create-2"})
        async with asyncio.timeout(30):
            await second.change()
        assert isinstance(second.failure, EngineError)
        assert (first.failure, session.has_ended) == (None, False)


@pytest.mark.parametrize(("expires_s", "least", "most"), [(3600.0, 2900.0, 3000.0), (100.0, 30.0, 40.0)])
async def test_a_session_may_be_used_until_the_earlier_of_both_ends(
    expires_s: float, least: float, most: float
) -> None:
    async with begun(Lines(expires_s)) as (session, _):
        assert least < session.left_s <= most


def pool_of(lines: Lines, most: int = 1, idle_s: float = 30.0) -> SessionPool:
    return SessionPool(lambda key, on_idle: session_of(lines, key, on_idle), most, idle_s)


async def test_a_session_that_still_says_something_is_nobodys() -> None:
    lines = Lines()
    pool = pool_of(lines)
    session = await pool.take(KEY, 30.0)
    response = await session.request_sentence("One.", "Read.")
    session.leave(response)
    pool.give_back(session)
    assert repr(pool) == "<SessionPool 1 of 1, 0 idle>"
    with pytest.raises(EngineBusy):
        await pool.take(KEY, 0.01)
    waiting = asyncio.create_task(pool.take(KEY, 30.0))
    await asyncio.sleep(0)
    lines.all[0].respond("response.created", "r1", metadata={"sentence": "1"})
    lines.all[0].respond("response.done", "r1", status="cancelled", metadata={"sentence": "1"})
    async with asyncio.timeout(10):
        assert await waiting is session
    await pool.close()


async def test_who_waits_gets_the_place_of_a_session_that_is_given_back_or_ends() -> None:
    lines = Lines()
    pool = pool_of(lines)
    first = await pool.take(KEY, 30.0)
    waiting = asyncio.create_task(pool.take(OTHER_KEY, 30.0))
    await asyncio.sleep(0)
    pool.give_back(first)
    async with asyncio.timeout(10):
        second = await waiting
    assert (first.has_ended, second.key) == (True, OTHER_KEY)
    waiting = asyncio.create_task(pool.take(KEY, 30.0))
    await asyncio.sleep(0)
    lines.all[1].comes.put_nowait(None)
    async with asyncio.timeout(10):
        third = await waiting
    assert (second.has_ended, third.key) == (True, KEY)
    await pool.close()
    assert not any(line.is_open for line in lines.all)


async def test_who_leaves_while_a_session_opens_leaves_its_place_to_others() -> None:
    lines = Lines(greets=False)
    pool = pool_of(lines)
    taking = asyncio.create_task(pool.take(KEY, 30.0))
    await soon(lambda: lines.all)
    taking.cancel()
    await asyncio.wait([taking])
    assert repr(pool) == "<SessionPool 0 of 1, 0 idle>"
    await soon(lambda: not lines.all[0].is_open)
    await pool.close()


async def test_an_idle_session_is_closed_before_its_provider_ends_it() -> None:
    lines = Lines(expires_s=60.05)
    pool = pool_of(lines, idle_s=3600.0)
    pool.give_back(await pool.take(KEY, 30.0))
    await soon(lambda: not lines.all[0].is_open)
    assert repr(pool) == "<SessionPool 0 of 1, 0 idle>"
    await pool.close()
