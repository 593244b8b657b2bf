"""A key has a share of the memory for bodies that are on their way, and gives back what it took."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from proxy.errors import RateLimited
from proxy.features.lexicons.endpoints import MAX_BODY_BYTES
from proxy.http.connection import MOST_BODY_BYTES, BodyQuota
from tests.proxy.api.inside import inside
from tests.proxy.http.sockets import Address, Patient, RawClient, calling, serving

WAIT_S = 30.0
MOST_AT_ONCE = MOST_BODY_BYTES // MAX_BODY_BYTES


class Served(NamedTuple):
    address: Address
    key: str
    admin_key: str


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with inside(tmp_path) as worker, serving(worker.worker.public, Patient) as address:
        yield Served(address, worker.key, worker.admin_key)


async def _begin(served: Served, stack: AsyncExitStack, key: str) -> RawClient:
    """A client that has sent all of a large body but one byte."""
    client = await stack.enter_async_context(calling(served.address))
    head = f"PUT /v1/lexicons/w HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
    await client.send(f"{head}Content-Length: {MAX_BODY_BYTES}\r\n\r\n".encode())
    await client.send(b" " * (MAX_BODY_BYTES - 1))
    return client


async def test_a_key_sends_so_many_bytes_at_once(served: Served) -> None:
    async with asyncio.timeout(WAIT_S), AsyncExitStack() as stack:
        waiting = [await _begin(served, stack, served.key) for _ in range(MOST_AT_ONCE + 2)]
        reading = [asyncio.create_task(client.answer()) for client in waiting]
        done, _ = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
        answer = done.pop().result()
        assert (answer.status, answer.error["code"]) == (429, "rate_limit_exceeded")
        assert answer.headers["retry-after"] == "1"
        # Another key has a share of its own.
        other = await _begin(served, stack, served.admin_key)
        await other.send(b"x")
        assert (await other.answer()).status == 400
        for task in reading:
            task.cancel()


async def test_what_a_client_took_is_free_when_it_leaves(served: Served) -> None:
    async with asyncio.timeout(WAIT_S):
        for _ in range(3):
            async with AsyncExitStack() as stack:
                for client in [await _begin(served, stack, served.key) for _ in range(MOST_AT_ONCE - 1)]:
                    await client.send(b"x")
                    assert (await client.answer()).status == 400
                await _begin(served, stack, served.key)


def test_bytes_are_given_back_and_a_refusal_takes_none() -> None:
    share = BodyQuota(10)
    share.count_body("key_1", 0)
    share.count_body("key_1", 8)
    with pytest.raises(RateLimited):
        share.count_body("key_1", 3)
    share.count_body("key_2", 10)
    share.uncount_body("key_1", 0)
    share.uncount_body("key_1", 8)
    share.uncount_body("key_1", 0)
    share.count_body("key_1", 10)
    share.uncount_body("key_1", 10)
    share.uncount_body("key_2", 10)
    assert not share._bytes
