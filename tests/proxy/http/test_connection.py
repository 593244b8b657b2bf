"""A connection tells its request that the client has left, once, and only while it matters."""

import asyncio
from pathlib import Path

import pytest
from starlette.types import Message, Scope

from proxy.errors import ClientLeft, RequestTooLarge
from proxy.feature_list import open_store
from proxy.file_store.answers import AnswerRecording, Head
from proxy.http.connection import LARGE_BODY_S, LEAST_BODY_BYTES_PER_S, PEER, Connection
from tests.proxy.api.inside import LeavingPeer
from tests.tables import each_row
from tests.waiting import LIMIT_S, forever


def connection(peer: LeavingPeer | None, *messages: Message) -> tuple[Connection, list[Message]]:
    inbox, sent = list(messages), []
    scope: Scope = {"type": "http", "headers": []}
    if peer is not None:
        scope["extensions"] = {PEER: peer}

    async def receive() -> Message:
        return inbox.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    return Connection(scope, receive, send), sent


class PatientPeer(LeavingPeer):
    """Notes how long a body may still take."""

    def __init__(self) -> None:
        super().__init__()
        self.allowed_s: list[float] = []

    def allow_body(self, within_s: float) -> None:
        self.allowed_s.append(within_s)


async def test_a_large_body_may_take_as_long_as_its_bytes_are_worth() -> None:
    peer = PatientPeer()
    parts = [bytes(10 * LEAST_BODY_BYTES_PER_S), b"", bytes(1000 * LEAST_BODY_BYTES_PER_S), b"end"]
    messages = [{"type": "http.request", "body": part, "more_body": part != b"end"} for part in parts]
    client, _ = connection(peer, *messages)
    assert [part async for part in client.body_parts(10**9, 600.0)] == parts
    first, second, third, last = peer.allowed_s
    # Less what has passed meanwhile.
    assert first <= LARGE_BODY_S < second <= LARGE_BODY_S + 10
    assert third <= second < last <= 600.0


async def test_a_client_that_leaves_ends_the_block() -> None:
    peer = LeavingPeer()
    client, _ = connection(peer)
    asyncio.get_running_loop().call_soon(peer.leave)
    with pytest.raises(ClientLeft):
        with client.stop_when_client_leaves():
            await forever()
    assert client.was_cancelled


@pytest.mark.parametrize(("has_begun", "share"), [(False, 0.0), (True, 0.7)])
async def test_of_an_answer_that_never_began_nothing_was_sent_whatever_the_peer_took_before(
    has_begun: bool, share: float
) -> None:
    peer = LeavingPeer()
    peer.sent_share = 0.7
    client, _ = connection(peer)

    async def answer() -> None:
        with client.stop_when_client_leaves():
            client.set_head(200, [])
            if has_begun:
                await client.send(b"some")
            peer.leave()
            await forever()

    assert client.sent_share is None
    with pytest.raises(ClientLeft):
        await answer()
    assert client.sent_share == share


async def test_a_client_that_had_left_before_ends_the_block_at_its_first_wait() -> None:
    peer = LeavingPeer()
    peer.leave()
    client, _ = connection(peer)
    with pytest.raises(ClientLeft):
        with client.stop_when_client_leaves():
            await asyncio.wait_for(forever(), LIMIT_S)


async def test_a_client_that_leaves_after_the_whole_answer_has_not_left() -> None:
    peer = LeavingPeer()
    client, sent = connection(peer)
    with client.stop_when_client_leaves():
        client.set_head(200, [])
        await client.end(b"all of it")
        peer.leave()
        await asyncio.sleep(0)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert not client.was_cancelled


async def test_an_answer_that_cannot_be_kept_is_not_settled_for_who_has_left(tmp_path: Path) -> None:
    peer, settled = LeavingPeer(), list[bool]()
    client, sent = connection(peer)

    async def settle() -> None:
        settled.append(True)

    async def leave_and_end() -> None:
        client.set_head(200, [])
        peer.leave()
        await client.end(bytes(2000), settle)

    async with open_store("sqlite", tmp_path) as store:
        client.recording = AnswerRecording(None, Head("req_1", b""), 1000, store)
        with pytest.raises(ClientLeft):
            with client.stop_when_client_leaves():
                await leave_and_end()
    assert (client.was_cancelled, settled, sent) == (True, [], [])


async def test_a_connection_that_is_lost_after_the_block_cancels_nobody() -> None:
    peer = LeavingPeer()
    client, _ = connection(peer)
    with client.stop_when_client_leaves():
        pass
    assert peer.on_gone is None
    peer.leave()
    await asyncio.sleep(0)


async def test_a_request_that_tidies_up_late_leaves_the_next_one_its_watch() -> None:
    """Two requests over one kept-alive connection: the second begins before the first has ended."""
    peer = LeavingPeer()
    first, _ = connection(peer)
    second, _ = connection(peer)
    ending = first.stop_when_client_leaves()
    ending.__enter__()
    await first.end(b"all of it")

    def tidy_up_and_leave() -> None:
        ending.__exit__(None, None, None)
        peer.leave()

    asyncio.get_running_loop().call_soon(tidy_up_and_leave)
    with pytest.raises(ClientLeft):
        with second.stop_when_client_leaves():
            await asyncio.wait_for(forever(), LIMIT_S)
    assert second.was_cancelled


async def test_a_client_that_had_left_before_a_refusal_leaves_nothing_to_cancel() -> None:
    peer = LeavingPeer()
    peer.leave()
    client, _ = connection(peer)
    with pytest.raises(ClientLeft):
        with client.stop_when_client_leaves():
            pytest.fail("the block began")
    await asyncio.sleep(0)


async def test_a_server_that_tells_nothing_has_clients_who_stay() -> None:
    client, _ = connection(None)
    with client.stop_when_client_leaves():
        await asyncio.sleep(0)
    assert client.sent_share is None


async def test_a_timeout_of_the_block_itself_is_its_own() -> None:
    client, _ = connection(LeavingPeer())
    with pytest.raises(TimeoutError):
        with client.stop_when_client_leaves():
            raise TimeoutError


@each_row("pieces", [[b"abc"], [b"a", b"bc"], [b"", b"abc", b""]])
async def test_a_body_is_read_in_any_pieces(pieces: list[bytes]) -> None:
    client, _ = connection(None, *_body(pieces))
    assert await client.body(3) == b"abc"


async def test_a_body_that_is_too_long_is_refused_before_its_end() -> None:
    client, _ = connection(None, *_body([b"ab", b"cd", b"never read"]))
    with pytest.raises(RequestTooLarge):
        await client.body(3)


async def test_a_client_that_leaves_in_the_middle_of_its_body_has_left() -> None:
    client, _ = connection(None, *_body([b"ab"], more=True), {"type": "http.disconnect"})
    with pytest.raises(ClientLeft):
        await client.body(10)


def _body(pieces: list[bytes], *, more: bool = False) -> list[Message]:
    last = len(pieces) - 1
    return [
        {"type": "http.request", "body": piece, "more_body": more or number < last}
        for number, piece in enumerate(pieces)
    ]
