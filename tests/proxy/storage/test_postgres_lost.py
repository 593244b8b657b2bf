"""A PostgreSQL that is killed, frozen or away: said at once, nothing acknowledged is lost, and it passes."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from proxy.storage.postgres import PostgresStore
from proxy.storage.store import StorageFailed, StorageUnreachable
from tests.databases import Postgres, postgres
from tests.proxy.storage.notes import NOTES, note

NEVER_S = 60.0
"""What waits for a server that is away or frozen would wait for ever."""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """One to be hurt, and with its flushes to the disk."""
    with postgres() as started:
        yield started


@pytest.fixture
def url(server: Postgres) -> str:
    return server.url(search_path=server.new_schema())


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    opened = await PostgresStore.open(url)
    await opened.write(NOTES)
    yield opened
    await opened.close()


async def ids(store: PostgresStore) -> set[str]:
    return {row["id"] for row in await store.read("SELECT id FROM notes")}


class Acknowledged:
    """The ids of which the store said that they are written; `many` is set when a kill is worth it."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.many = asyncio.Event()

    async def write_until_it_fails(self, store: PostgresStore, writer: int) -> Exception:
        try:
            for number in itertools.count():
                id_ = f"{writer}-{number}"
                # Every other one in a transaction of two statements.
                await store.write(note(id_), *([note(f"{id_} too")] if number % 2 else []))
                self.ids.add(id_)
                if len(self.ids) == 500:
                    self.many.set()
        except StorageFailed as error:
            return error
        raise AssertionError("the count has no end")


async def test_a_write_that_was_acknowledged_before_a_kill_is_there_after_it(
    server: Postgres, store: PostgresStore
) -> None:
    acknowledged = Acknowledged()
    writing = [asyncio.create_task(acknowledged.write_until_it_fails(store, number)) for number in range(20)]
    await acknowledged.many.wait()
    await asyncio.to_thread(server.kill)
    async with asyncio.timeout(NEVER_S):
        failures = await asyncio.gather(*writing)
        for asking in (store.read("SELECT 1"), store.now()):
            with pytest.raises(StorageUnreachable) as refused:
                await asking
            failures.append(refused.value)
    assert {type(error) for error in failures} == {StorageUnreachable}
    # At once, and not when its time is up.
    assert not [error for error in failures if "did not answer" in str(error)]
    await asyncio.to_thread(server.start)
    kept = await ids(store)
    assert acknowledged.ids <= kept
    whole = {id_ for id_ in kept if f"{id_} too" in kept}
    assert whole == {id_ for id_ in kept if id_[-1] in "13579"}
    await store.write(note("after"))
    assert "after" in await ids(store)


async def test_a_restart_between_two_questions_is_not_noticed(server: Postgres, store: PostgresStore) -> None:
    await asyncio.gather(*(store.write(note(str(number))) for number in range(20)))
    await asyncio.to_thread(server.stop)
    with pytest.raises(StorageUnreachable):
        await store.write(note("while it is away"))
    await asyncio.to_thread(server.start)
    await asyncio.gather(*(store.write(note(f"{number} after")) for number in range(20)))
    assert len(await ids(store)) == 40


@pytest.mark.clock
async def test_a_caller_of_a_frozen_server_does_not_hang(
    server: Postgres, url: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.storage.postgres.ANSWER_S", 0.5)
    impatient = await PostgresStore.open(url, 0.5)
    with server.frozen():
        async with asyncio.timeout(NEVER_S):
            answers = await asyncio.gather(
                impatient.read("SELECT 1"),
                impatient.write(note("a")),
                impatient.write(note("b"), note("c")),
                return_exceptions=True,
            )
        late = "the database did not answer within 0.5 s"
        assert [(type(each), str(each)) for each in answers] == [(StorageUnreachable, late)] * 3
        async with asyncio.timeout(NEVER_S):
            with pytest.raises(StorageUnreachable, match="did not answer"):
                await PostgresStore.open(url)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):  # as /readyz asks
                await store.read("SELECT 1")
    assert await ids(impatient) <= {"a"}
    await store.write(note("after"))
    assert "after" in await ids(impatient)
    await impatient.close()


@pytest.mark.clock
async def test_closing_does_not_wait_for_a_frozen_server(
    server: Postgres, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await PostgresStore.open(url, 0.5)
    monkeypatch.setattr("proxy.storage.postgres.ANSWER_S", 0.5)
    with server.frozen():
        writing = asyncio.create_task(store.write(note("a")))
        await asyncio.sleep(0)
        async with asyncio.timeout(NEVER_S):
            await store.close()
        with pytest.raises(StorageUnreachable):
            await writing
