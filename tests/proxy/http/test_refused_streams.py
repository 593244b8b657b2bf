"""What is open with a key ends when the key is no good any more: here at once, elsewhere at the next look."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from policies.price import MICRO
from proxy.access import callers
from proxy.features.admin.verify import verify
from proxy.features.sockets.http.socket import SocketEndpoint
from proxy.http.open_connections import OpenConnections
from proxy.http.server_protocol import server_protocol
from proxy.storage import api_key, key_records
from proxy.storage.store import Statement
from proxy.storage.usage import UsageRow
from speech_engine import Finished, Started
from tests.features.sockets.http.socket_rig import SocketPort, with_sockets
from tests.features.sockets.http.test_socket_ends import Speaker, closed
from tests.proxy.api.inside import Inside, inside
from tests.proxy.api.owning import new_key
from tests.proxy.api.scripted import RATE_HZ, Halt, Scripted, sound
from tests.proxy.http.sockets import serving
from tests.tables import each_row
from tests.waiting import soon

CONFIG = """
[engines.one]
[models]
all = ["one/m"]
[voices.ana]
one = "v"
[plans.paid]
prices.speech = { credits = 1, per = "second" }
"""
SPOKEN_S = 2.0
SPEAK = {"model": "all", "voice": "ana", "input": "Here I am.", "response_format": "pcm"}
End = Callable[[Inside, str], Awaitable[None]]


def written(sql: str) -> End:
    """What another worker commits."""

    async def end(server: Inside, key: str) -> None:
        await server.worker.store.write(Statement(sql, {"key": key}))

    return end


async def revoke_here(server: Inside, key: str) -> None:
    assert (await server.administer("DELETE", f"keys/{key}")).is_success


async def suspend_here(server: Inside, key: str) -> None:
    record = await key_records.find_by_id(server.worker.store, key)
    assert record is not None
    answer = await server.administer("POST", f"accounts/{record.account}/suspend", {"reason": "unpaid"})
    assert answer.is_success, answer.text


_ACCOUNT = "WHERE id = (SELECT account FROM keys WHERE id = :key)"
HERE = ((revoke_here, "invalid_api_key"), (suspend_here, "account_suspended"))
ELSEWHERE = (
    (written("UPDATE keys SET revoked = 1 WHERE id = :key"), "invalid_api_key"),
    (written("UPDATE keys SET expires = 1 WHERE id = :key"), "invalid_api_key"),
    (written(f"UPDATE accounts SET suspended = 1 {_ACCOUNT}"), "account_suspended"),
    (written(f"UPDATE accounts SET closed = 1 {_ACCOUNT}"), "invalid_api_key"),
)


@asynccontextmanager
async def port(
    folder: Path, *, is_here: bool, engine: Scripted, speaker: Speaker
) -> AsyncIterator[SocketPort]:
    """A worker that looks again and again, or only if it is told to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callers, "CACHED_S", 3600.0 if is_here else 0.05)
        async with asyncio.timeout(10.0), inside(folder, CONFIG, {"one": engine}, plan="paid") as opened:
            worker = opened.worker
            with_sockets(worker, (SocketEndpoint("/v1/speak", speaker.speak, "speak"),))
            server = worker.kernel.config.server
            places = OpenConnections(server, worker.metrics.connections)
            async with serving(worker.public, server_protocol(server, places)) as address:
                yield SocketPort(opened, address, places)


async def key_of(server: Inside, name: str) -> tuple[str, str]:
    secret = await new_key(server, name, plan="paid")
    record = await key_records.find_by_hash(server.worker.store, api_key.digest(secret))
    assert record is not None
    return secret, record.id


@each_row(("is_here", "ends"), [(True, HERE), (False, ELSEWHERE)], ids=["here", "elsewhere"])
async def test_a_stream_and_a_socket_end_with_their_key_and_what_was_sent_is_charged(
    tmp_path: Path, is_here: bool, ends: tuple[tuple[End, str], ...]
) -> None:
    engine, speaker = Scripted(Started(RATE_HZ), *sound(SPOKEN_S), Halt(), Finished()), Speaker()
    async with port(tmp_path, is_here=is_here, engine=engine, speaker=speaker) as one:
        async with one.connect("/v1/speak") as other:
            for number, (end_key, code) in enumerate(ends):
                await expect_end(one, *await key_of(one.inside, f"eve {number}"), end_key, code)
            await other.ping()
            assert other.close_code is None, "the keys of others are as good as before"
        assert (await verify(one.worker.store)).is_clean


async def expect_end(one: SocketPort, secret: str, key: str, end_key: End, code: str) -> None:
    host, number = one.address[:2]
    headers = {"authorization": f"Bearer {secret}"}
    async with (
        one.connect("/v1/speak", key=secret) as client,
        httpx2.AsyncClient(base_url=f"http://{host}:{number}", headers=headers, trust_env=False) as http,
        http.stream("POST", "/v1/audio/speech", json=SPEAK) as answer,
    ):
        pieces = answer.aiter_raw()
        got = len(await anext(pieces))
        await end_key(one.inside, key)
        with pytest.raises(httpx2.TransportError):
            got += sum([len(data) async for data in pieces])
        assert await closed(client) == (1008, code)

    async def row() -> UsageRow | None:
        return next((each for each in await one.inside.usage() if each.key == key), None)

    found = await soon(row)
    assert found.outcome == "left"
    assert got / 2 <= found.samples <= SPOKEN_S * RATE_HZ
    assert found.credits == pytest.approx(found.samples / RATE_HZ * MICRO, abs=1)
