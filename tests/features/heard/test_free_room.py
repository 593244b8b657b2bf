"""Free speech ends: a minute in a cycle, and a small part of what was checked and charged."""

import asyncio
import sqlite3
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.price import MICRO
from policies.tasks import SECOND_US
from proxy.features.admin.verify import verify
from proxy.features.heard import free_room
from proxy.features.heard.free_room import FreeRoom
from proxy.features.heard.records import SPANS
from proxy.storage import usage
from proxy.storage.store import Params, Row, Statement, StorageUnreachable, Store
from proxy.storage.usage import CheckSums
from speech_engine import errors
from tests.features.heard.test_checked_parts import (
    PAID,
    SENTENCES,
    WRONG,
    Rehearsed,
    ScriptedCheck,
    ask,
    play,
    stage,
)
from tests.proxy.api.inside import Inside
from tests.proxy.speech.relay.voices import said

__all__ = ["stage"]

pytestmark = pytest.mark.both_stores

MIGRATION = Path(free_room.__file__).parent / "migrations" / "0048_heard.sql"
ANCHOR = round(datetime(2026, 1, 10, tzinfo=UTC).timestamp()) * SECOND_US
_SETTLE = (
    f"INSERT INTO heard_spans VALUES (:request, :account, :at, :charged_ms, :free_ms) {SPANS.settles_over}"
)
_ACCOUNT = "INSERT INTO accounts (id, name, plan, created) VALUES (:id, :id, 'free', 1)"


def moment(month: int, day: int = 15) -> int:
    return round(datetime(2026, month, day, tzinfo=UTC).timestamp()) * SECOND_US


class InMemory:
    """The statements of rooms on a database in memory. Each read and commit waits for its `turn`."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.row_factory = sqlite3.Row
        self.connection.executescript(MIGRATION.read_text())
        self.connection.execute("CREATE TABLE accounts (id TEXT PRIMARY KEY, closed BIGINT)")
        self.connection.execute("INSERT INTO accounts (id) VALUES ('ada')")
        self.waiting: list[asyncio.Future[None]] = []

    async def turn(self) -> None:
        self.waiting.append(turn := asyncio.get_running_loop().create_future())
        await turn

    async def read(self, sql: str, params: Params | None = None) -> list[Any]:
        await self.turn()
        return list(self.connection.execute(sql, dict(params or {})))

    async def write(self, *statements: Statement) -> list[list[Any]]:
        await self.turn()
        return [list(self.connection.execute(each.sql, dict(each.params))) for each in statements]


class Spoken(NamedTuple):
    """A request of the month, and its parts, of which some are wrong to the end. One of `late_s` is judged
    while its settlement is written, or afterwards."""

    month: int
    worker: int
    parts: list[tuple[float, bool]]
    ending: str
    late_s: list[float]


async def speak(room: FreeRoom, id_: str, spoken: Spoken, free_ms: dict[str, int]) -> None:
    """Claim what is wrong of a request, and settle it, unless its worker is killed. `free_ms` gets what is
    not charged of it."""
    at, charged_s = moment(spoken.month + 3), 0.0
    for length_s, is_wrong in spoken.parts:
        if is_wrong and await room.claim_free(id_, "ada", ANCHOR, at, length_s):
            free_ms[id_] = free_ms.get(id_, 0) + round(length_s * 1000)
        else:
            charged_s += length_s
    if spoken.ending == "killed":
        return
    sent = 0.5 if spoken.ending == "left" else 1.0
    charged_ms = 0 if spoken.ending == "failed" else round(sent * charged_s * 1000)
    free_ms[id_] = round(sent * free_ms.get(id_, 0))
    row: Params = {"request": id_, "account": "ada", "at": at, "charged_ms": charged_ms}
    late = [room.claim_free(id_, "ada", ANCHOR, at, each) for each in spoken.late_s]
    await asyncio.gather(room.store.write(Statement(_SETTLE, {**row, "free_ms": free_ms[id_]})), *late)


_LENGTHS = st.integers(400, 30_000).map(lambda ms: ms / 1000)
_PARTS = st.lists(st.tuples(_LENGTHS, st.booleans()), min_size=1, max_size=4)
_ENDINGS = st.sampled_from(("finished", "finished", "left", "failed", "killed"))
_REQUESTS = st.lists(
    st.builds(
        Spoken,
        st.sampled_from((0, 0, 1)),
        st.integers(0, 1),
        _PARTS,
        _ENDINGS,
        st.lists(_LENGTHS, max_size=2),
    ),
    min_size=2,
    max_size=8,
)


@pytest.mark.parametrize("orders", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_order_of_requests_passes_the_bound(orders: int) -> None:
    @settings(max_examples=orders)
    @given(_REQUESTS, st.randoms(use_true_random=False))
    def holds(requests: list[Spoken], order: Random) -> None:
        asyncio.run(play_in_order(requests, order))

    holds()


async def play_in_order(requests: list[Spoken], order: Random) -> None:
    """Answer the requests in two workers at the same time. Whose statement is next is drawn."""
    store, free_ms = InMemory(), dict[str, int]()
    rooms = [FreeRoom(store) for _ in range(2)]  # type: ignore[arg-type]
    running = {
        asyncio.create_task(speak(rooms[each.worker], f"{number}", each, free_ms))
        for number, each in enumerate(requests)
    }
    while running:
        for _ in range(3):  # until each task waits for its turn, or has ended
            await asyncio.sleep(0)
        running = {task for task in running if not task.done() or task.result()}
        if store.waiting:
            store.waiting.pop(order.randrange(len(store.waiting))).set_result(None)
        for month in (0, 1):
            of_month = [free_ms.get(f"{n}", 0) for n, each in enumerate(requests) if each.month == month]
            expect_within(store, month, of_month)
    found = dict(store.connection.execute("SELECT request, free_ms FROM heard_spans").fetchall())
    for number, each in enumerate(requests):
        if each.ending != "killed":
            assert found[f"{number}"] == free_ms[f"{number}"], "what is judged late takes no room"


def expect_within(store: InMemory, month: int, free_ms: list[int]) -> None:
    sql = "SELECT sum(max(charged_ms, 0)) AS charged, sum(free_ms) AS free FROM heard_spans WHERE at = ?"
    (row,) = store.connection.execute(sql, (moment(month + 3),))
    most_ms = 60_000 + 0.03 * (row["charged"] or 0)
    assert max(row["free"] or 0, sum(free_ms)) <= most_ms


async def test_ten_requests_at_once_share_the_room_of_their_account(stage: Any, store_url: str) -> None:
    """On PostgreSQL, two workers answer them."""
    config = f'[storage]\nurl = "{store_url}"\n{PAID}'
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(
                stage(
                    ScriptedCheck(*[WRONG] * 99),
                    Rehearsed(play(1.0)),
                    config=config,
                    plan="paid",
                    room_s=3.5,
                    name=name,
                )
            )
            for name in (("ada",) if store_url == "sqlite" else ("ada", "bob"))
        ]
        answers = await asyncio.gather(
            *[
                ask(servers[number % len(servers)], SENTENCES[0], key=servers[0].key, voice="ana")
                for number in range(10)
            ]
        )
        told = [answer.json()["check"]["free_s"] for answer in answers]
        assert sorted(told) == [0.0] * 7 + [1.0] * 3
        store = servers[0].worker.store
        assert (await verify(store)).is_clean
        assert sorted(await spans(servers[0])) == [(0, 1000)] * 3 + [(1000, 0)] * 7
        rows = await servers[0].usage()
        assert sum(row.credits for row in rows) == 7 * MICRO
        sums = [CheckSums.of_column(row.checked) for row in rows]
        assert sum(each.free_s for each in sums if each) == 3.0, "usage says what the answers said"


async def test_the_room_is_of_an_account_and_a_cycle(store: Store) -> None:
    for name in ("ada", "bob", "eve"):
        await store.write(Statement(_ACCOUNT, {"id": name}))
    rows = [
        ("1", "ada", moment(4), 100_000, 59_000),
        ("2", "ada", moment(4, 9), 0, 30_000),  # the cycle before
        ("3", "ada", moment(5, 10), 0, 30_000),  # the cycle after it
        ("4", "bob", moment(4), 0, 30_000),
        ("5", "ada", moment(4, 20), 1_000_000, 0),
    ]
    names = ("request", "account", "at", "charged_ms", "free_ms")
    await store.write(*[Statement(_SETTLE, dict(zip(names, row, strict=True))) for row in rows])
    room = FreeRoom(store)

    async def may_be_free(account: str, seconds: float) -> bool:
        return await room.claim_free(f"new {account}", account, ANCHOR, moment(4, 12), seconds)

    claims = [
        *(("ada", 34.001, False), ("ada", 33.5, True), ("ada", 0.501, False), ("ada", 0.5, True)),
        *(("bob", 30.001, False), ("bob", 30.0, True), ("eve", 60.0, True), ("eve", 0.001, False)),
    ]
    for account, seconds, is_free in claims:
        assert await may_be_free(account, seconds) is is_free, (account, seconds)


async def test_a_claim_of_a_closed_account_or_without_a_database_frees_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = FreeRoom(store)
    await store.write(Statement(_ACCOUNT, {"id": "ada"}))
    await store.write(Statement("UPDATE accounts SET closed = 1 WHERE id = 'ada'"))
    assert not await room.claim_free("1", "ada", ANCHOR, moment(4), 1.0)
    assert await store.read("SELECT * FROM heard_spans") == []

    async def write(*_: Statement) -> list[list[Row]]:
        raise StorageUnreachable("it is away")

    monkeypatch.setattr(store, "write", write)
    assert not await room.claim_free("1", "ada", ANCHOR, moment(4), 1.0)


async def spans(server: Inside) -> list[tuple[int, int]]:
    rows = await server.worker.store.read("SELECT charged_ms, free_ms FROM heard_spans ORDER BY at, request")
    return [(row["charged_ms"], row["free_ms"]) for row in rows]


async def test_each_request_settles_what_was_free_and_the_next_one_has_less(stage: Any) -> None:
    check, one = ScriptedCheck(*[WRONG] * 40), Rehearsed(play(1.0))
    async with stage(check, one, config=PAID, plan="paid", room_s=2.5) as server:
        free = [(await ask(server, SENTENCES[0], voice="ana")).json()["check"]["free_s"] for _ in range(4)]
        assert free == [1.0, 1.0, 0.0, 0.0]
        assert await spans(server) == [(0, 1000), (0, 1000), (1000, 0), (1000, 0)]
        assert (await verify(server.worker.store)).is_clean
        await usage.delete_oldest(server.worker.store, await server.worker.store.now(), 3)
        assert await spans(server) == [(1000, 0)], "a row lives as long as its usage"
        await server.administer("DELETE", f"accounts/{server.account.id}")
        assert await spans(server) == []
        assert len(one.jobs) == 8 + 0 * len(said(one.jobs[0]))


async def test_a_client_that_leaves_and_an_answer_that_breaks_are_counted(stage: Any) -> None:
    broken = [*play(1.0)[:-1], errors.EngineFailed("x")]
    leaves = asyncio.Event()

    async def leave(message: Any) -> None:
        if message.get("body"):
            leaves.set()

    check = ScriptedCheck(WRONG, WRONG, "right")
    scripts = [play(1.0), play(1.0), play(2.0), play(1.0), *[broken] * 9]
    async with stage(check, Rehearsed(*scripts), config=PAID, plan="paid", room_s=9.0) as server:
        body = {"model": "all", "voice": "ana", "input": "".join(SENTENCES), "response_format": "pcm"}
        await server.raw_speech({**body, "check": "heard"}, leaves, leave)
        (left,) = await server.usage()
        assert left.outcome in ("left", "finished")
        ((charged_ms, free_ms),) = await spans(server)
        assert 0 < free_ms <= 1300
        assert charged_ms == left.credits == 0
        await server.raw_speech({**body, "check": "heard"})
        failed = next(row for row in await server.usage() if row.outcome == "failed")
        assert failed.credits == 0
        assert sorted(await spans(server)) == [(0, 0), (0, free_ms)], (
            "what failed is neither charged nor free"
        )


async def test_an_answer_that_fails_gives_back_what_it_has_claimed(stage: Any) -> None:
    broken = [*play(1.0)[:-1], errors.EngineFailed("x")]
    check, one = ScriptedCheck(WRONG, WRONG), Rehearsed(play(1.0), play(1.0), broken)
    async with stage(check, one, config=PAID, plan="paid", room_s=1.5) as server:
        assert (await ask(server, voice="ana")).status_code == 503
        assert await spans(server) == [(0, 0)]
        room, now = FreeRoom(server.worker.store), await server.worker.store.now()
        assert await room.claim_free("new", server.account.id, server.account.anchor, now, 1.5)


async def test_an_unchecked_request_has_no_row(stage: Any) -> None:
    async with stage(ScriptedCheck(), Rehearsed(play(1.0)), config=PAID, plan="paid") as server:
        await ask(server, check="off")
        assert await spans(server) == []
