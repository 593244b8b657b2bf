"""The events of jobs: how many streams an account may have, and that each is given back."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.types import Message

from proxy.features.jobs import endpoints
from proxy.features.jobs.core import records
from proxy.features.jobs.endpoints import EventStreams
from proxy.http.connection import PEER
from proxy.http.endpoint import Endpoint
from speech_engine import Finished, Started
from tests.features.jobs.job_rig import jobs_inside, new_job
from tests.proxy.api.inside import Inside, LeavingPeer, envelope
from tests.proxy.api.owning import new_key
from tests.proxy.api.scripted import RATE_HZ, Scripted
from tests.waiting import soon

pytestmark = pytest.mark.slow

MOST = 2


def streams_of(server: Inside) -> EventStreams:
    def owner(endpoint: Endpoint) -> object:
        return getattr(endpoint.handler, "__self__", None)

    (found,) = [
        each._streams for each in map(owner, server.worker.endpoints) if isinstance(each, endpoints.JobEvents)
    ]
    return found


class Follower:
    """A client of the events of a job, who may leave, or may be told that the server ends."""

    def __init__(self, server: Inside, job: str, key: str | None = None) -> None:
        self.peer = LeavingPeer()
        self.sent: list[Message] = []
        self._has_event = asyncio.Event()
        self._scope = {
            "type": "http",
            "method": "GET",
            "path": f"/v1/jobs/{job}/events",
            "query_string": b"",
            "headers": [(b"authorization", f"Bearer {key or server.key}".encode())],
            "extensions": {PEER: self.peer},
        }
        self.task = asyncio.create_task(self._follow(server))

    async def is_there(self) -> None:
        async with asyncio.timeout(20.0):
            await self._has_event.wait()

    async def _follow(self, server: Inside) -> None:
        await server.worker.public(self._scope, _nothing_more, self._send)

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        if b"data:" in message.get("body", b""):
            self._has_event.set()


async def _nothing_more() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _leave(follower: Follower) -> None:
    follower.peer.leave()


def _end_server(follower: Follower) -> None:
    follower.peer.is_ending = True


def _cancel(follower: Follower) -> None:
    follower.task.cancel()


@pytest.mark.parametrize("end", [_leave, _end_server, _cancel])
async def test_an_account_has_so_many_streams_and_each_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: Callable[[Follower], None]
) -> None:
    monkeypatch.setattr(endpoints, "MOST_OF_ACCOUNT", MOST)
    goes_on = asyncio.Event()
    engine = Scripted(Started(RATE_HZ), goes_on.wait, Finished())
    async with jobs_inside(tmp_path, one=engine) as server:
        made = await new_job(server, "Hello.", model="one", voice="one")
        streams = streams_of(server)
        followers = [Follower(server, made["id"]) for _ in range(MOST)]
        for follower in followers:
            await follower.is_there()
        refused = await server.ask("GET", f"/v1/jobs/{made['id']}/events")
        assert (refused.status_code, envelope(refused)["code"]) == (429, "too_many_event_streams")
        assert refused.headers["retry-after"] == "5"
        # Of another account it is none.
        other = await new_key(server, "ben")
        theirs = await server.ask("GET", f"/v1/jobs/{made['id']}/events", key=other)
        assert theirs.status_code == 404
        end(followers[0])
        await asyncio.wait([followers[0].task])
        again = Follower(server, made["id"])
        await again.is_there()
        await server.ask("POST", f"/v1/jobs/{made['id']}/cancel")
        goes_on.set()
        await asyncio.wait([followers[1].task, again.task])
        assert b'"status":"canceled"' in b"".join(each.get("body", b"") for each in again.sent)
        assert repr(streams) == "<EventStreams, 0 of 0 accounts>"


async def test_a_stream_whose_job_cannot_be_read_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await new_job(server, "Hello.")

        async def broken(*_more: object) -> None:
            raise RuntimeError("the database is gone")

        monkeypatch.setattr(records, "read_totals", broken)
        follower = Follower(server, made["id"])
        await asyncio.wait([follower.task])
        assert b"data:" not in b"".join(each.get("body", b"") for each in follower.sent)
        assert repr(streams_of(server)) == "<EventStreams, 0 of 0 accounts>"


@pytest.mark.parametrize("seen", ["x", "-1", "1.5", "9" * 30, "²", ""])
async def test_a_last_event_that_never_was_is_none(tmp_path: Path, seen: str) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await new_job(server, "Hello.")

        async def is_done() -> bool:
            shown = (await server.ask("GET", f"/v1/jobs/{made['id']}")).json()
            return bool(shown["status"] == "done")

        await soon(is_done)
        raw = seen.encode("latin-1")
        async with server.client() as client:
            answer = await client.get(f"/v1/jobs/{made['id']}/events", headers={b"last-event-id": raw})
        assert (answer.status_code, answer.text.count("data:")) == (200, 1)
