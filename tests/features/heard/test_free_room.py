"""Free speech ends: a minute in a cycle, and a small part of what was checked and charged."""

import asyncio
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.tasks import SECOND_US
from proxy.features.heard import free_room
from proxy.features.heard.free_room import FreeRoom
from proxy.ledger.verify import verify
from proxy.storage import usage
from proxy.storage.store import Params, Statement, Store
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
_ADD = "INSERT INTO heard_spans VALUES (:request, :account, :at, :charged_ms, :free_ms)"


def moment(month: int, day: int = 15) -> int:
    return round(datetime(2026, month, day, tzinfo=UTC).timestamp()) * SECOND_US


class InMemory:
    """The statements of the room on a database in memory."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:")
        self.connection.row_factory = sqlite3.Row
        self.connection.executescript(MIGRATION.read_text())

    async def read(self, sql: str, params: Params | None = None) -> list[Any]:
        return list(self.connection.execute(sql, dict(params or {})))


IN_MEMORY = InMemory()


async def spend(room: FreeRoom, now: int, parts: list[tuple[float, bool]]) -> tuple[float, float]:
    """What a request is charged for, and what is free, if some of its parts are wrong."""
    left_s = await room.remaining_s("ada", moment(1, 10), now, sum(length for length, _ in parts))
    charged_s = free_s = 0.0
    for length_s, is_wrong in parts:
        if is_wrong and length_s <= left_s:
            left_s, free_s = left_s - length_s, free_s + length_s
        else:
            charged_s += length_s
    return charged_s, free_s


_PARTS = st.lists(st.tuples(st.floats(0.4, 60.0), st.booleans()), max_size=4)


@given(st.lists(st.tuples(st.integers(0, 1), _PARTS), max_size=6))
def test_no_order_of_requests_passes_the_bound(requests: list[tuple[int, list[tuple[float, bool]]]]) -> None:
    store = IN_MEMORY
    store.connection.execute("DELETE FROM heard_spans")
    room = FreeRoom(store)  # type: ignore[arg-type]
    sums: dict[int, tuple[float, float]] = {}

    async def play_all() -> None:
        for number, (month, parts) in enumerate(requests):
            now = moment(month + 3)
            charged_s, free_s = await spend(room, now, parts)
            row = {"request": f"{number}", "account": "ada", "at": now, "charged_ms": round(charged_s * 1000)}
            store.connection.execute(_ADD, {**row, "free_ms": round(free_s * 1000)})
            before = sums.get(month, (0.0, 0.0))
            sums[month] = before[0] + charged_s, before[1] + free_s
            assert sums[month][1] <= 60.0 + 0.03 * sums[month][0] + 0.001 * (number + 1)

    asyncio.run(play_all())


async def test_the_room_is_of_an_account_and_a_cycle(store: Store) -> None:
    rows = [
        ("1", "ada", moment(4), 100_000, 59_000),
        ("2", "ada", moment(4, 9), 0, 30_000),  # the cycle before
        ("3", "ada", moment(5, 10), 0, 30_000),  # the cycle after it
        ("4", "bob", moment(4), 0, 30_000),
        ("5", "ada", moment(4, 20), 1_000_000, 0),
    ]
    names = ("request", "account", "at", "charged_ms", "free_ms")
    await store.write(*[Statement(_ADD, dict(zip(names, row, strict=True))) for row in rows])
    room = FreeRoom(store)

    async def left_s(account: str, wanted_s: float = 5.0) -> float:
        return await room.remaining_s(account, moment(1, 10), moment(4, 12), wanted_s)

    assert await left_s("ada") == pytest.approx(1 + 33.0)
    assert await left_s("ada", wanted_s=0.5) == pytest.approx(1.0), "the longer sum is not needed"
    assert await left_s("bob") == 30.0
    assert await left_s("eve") == 60.0


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
        assert len(await spans(server)) == 1, "what failed is neither charged nor free"


async def test_an_unchecked_request_has_no_row(stage: Any) -> None:
    async with stage(ScriptedCheck(), Rehearsed(play(1.0)), config=PAID, plan="paid") as server:
        await ask(server, check="off")
        assert await spans(server) == []
