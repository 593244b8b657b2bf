"""Tables of durable tasks, which must be done even if a worker is killed.

One worker at a time has the lease of a row. Each lease has another `fence`, and a write must name it, so that
a worker that lost the lease cannot write.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

import msgspec

from policies.tasks import QueuedTask
from proxy.storage.rows import columns, read_known
from proxy.storage.store import ALWAYS, Condition, Params, Row, Statement, Store

W = TypeVar("W", bound=QueuedTask)
# Rows are listed in turns, so that many tasks of one account or one place do not delay the others.
_LIST = """
WITH waiting AS (
SELECT *, row_number() OVER (PARTITION BY {place}, account ORDER BY due, {key}) AS turn_of_account FROM {name}
WHERE {is_open} AND due <= :now AND lease <= :now AND {only_if}
),
placed AS (
SELECT *, row_number() OVER (PARTITION BY {place} ORDER BY turn_of_account, due, {key}) AS turn FROM waiting
)
SELECT {columns} FROM placed WHERE turn <= :limit ORDER BY turn, due, {key}
"""
# The same for a table with very many rows at one place: an index (account, due, key) gives a few rows of each
# account. PostgreSQL assumes a hundred accounts, and would read the whole table for so many rows, so the rows
# are bounded before the join.
_LIST_FEW = """
WITH RECURSIVE owners (account) AS (
SELECT min(account) FROM {name} WHERE {is_open}
UNION ALL
SELECT (SELECT min(mine.account) FROM {name} AS mine WHERE mine.account > owners.account AND {is_open})
FROM owners WHERE owners.account IS NOT NULL
),
picked AS ({turns}),
first AS (
SELECT turn, wish, (SELECT due FROM {name} AS mine WHERE mine.{key} = wish) AS moment
FROM picked WHERE wish IS NOT NULL ORDER BY turn, moment, wish LIMIT :limit
)
SELECT {columns} FROM first JOIN {name} ON {key} = wish ORDER BY turn, due, {key}
"""
# No database takes an offset that comes with the row.
_TURN = """
SELECT {turn} AS turn, (
SELECT {key} FROM {name} AS mine
WHERE mine.account = owners.account AND {is_open} AND due <= :now AND lease <= :now AND {only_if}
ORDER BY due, {key} LIMIT 1 OFFSET {turn}
) AS wish
FROM owners WHERE owners.account IS NOT NULL
"""


class TaskTable(Generic[W]):
    """A table with the columns of `type_`. `key` names a row, and `is_open` is SQL for unfinished rows.

    `place` is SQL, or columns, for the resource that a task waits for. `earliest` is SQL for the moment
    before which a task must not begin, since `due` changes with each delay. `of_account` limits the listed
    rows of one account, for tables with very many rows at one place.
    """

    def __init__(
        self,
        name: str,
        type_: type[W],
        is_open: str,
        *,
        key: str = "id",
        place: str = "1",
        earliest: str = "0",
        read: Callable[[Row], W] | None = None,
        of_account: int | None = None,
    ) -> None:
        self.read = read or partial(msgspec.convert, type=type_)
        self.finished = f"EXISTS (SELECT 1 FROM {name} WHERE {key} = :wish AND fence = :fence AND lease = 0)"
        self._key = key
        ours, listed = f"{key} = :wish AND fence = :fence", columns(type_)
        text = _LIST
        if of_account is not None:
            turns = (_TURN.replace("{turn}", str(turn)) for turn in range(of_account))
            text = _LIST_FEW.replace("{turns}", "UNION ALL".join(turns))
        self._list = partial(text.format, name=name, key=key, place=place, is_open=is_open, columns=listed)
        self._update = f"UPDATE {name} SET {{values}} WHERE {ours}"
        self._take = (
            f"UPDATE {name} SET fence = fence + 1, lease = :until WHERE {ours} AND lease <= :now "
            f"RETURNING {listed}"
        )
        self._end_old_leases = (
            f"UPDATE {name} SET due = {earliest}, lease = 0 WHERE {is_open} AND lease <= :before"
        )
        self._holds = f"SELECT 1 FROM {name} WHERE {ours} AND {is_open}"
        self._get = f"SELECT {listed} FROM {name} WHERE {key} = :wish"

    def key(self, task: W) -> str:
        key: str = getattr(task, self._key)
        return key

    async def get(self, store: Store, key: str) -> W | None:
        rows = await store.read(self._get, {"wish": key})
        return self.read(rows[0]) if rows else None

    async def list_open(self, store: Store, now: int, limit: int, only_if: Condition = ALWAYS) -> list[W]:
        """List due rows without a lease: up to `limit` for each place, the accounts in turns."""
        params = {**only_if.params, "now": now, "limit": limit}
        return read_known(await store.read(self._list(only_if=only_if.sql), params), self.read)

    async def take(self, store: Store, task: W, lease_us: int) -> W | None:
        """Take the lease of a row. Return None if another worker has it, or had it since the row was read."""
        now = await store.now()
        (rows,) = await store.write(
            Statement(self._take, {**self._ours(task), "now": now, "until": now + lease_us})
        )
        return self.read(rows[0]) if rows else None

    async def holds(self, store: Store, held: W) -> bool:
        """Tell whether a row is unfinished, and has the fence of our lease."""
        return bool(await store.read(self._holds, self._ours(held)))

    async def write_held(
        self,
        store: Store,
        held: W,
        values: Params,
        *,
        only_if: Condition = ALWAYS,
        also: Sequence[Statement] = (),
        gives_back: bool = False,
    ) -> bool:
        """Write columns of a row, if we have its fence and `only_if` is true; otherwise return False.

        The statements `also` must check `finished` in their SQL. With `gives_back`, the lease ends in any
        case."""
        ours = self._ours(held)
        new = ", ".join(f"{name} = :new_{name}" for name in values) + (", lease = 0" if gives_back else "")
        params = {**ours, **only_if.params, **{f"new_{name}": value for name, value in values.items()}}
        answers = await store.write(
            *only_if.locks,
            Statement(f"{self._update.format(values=new)} AND {only_if.sql} RETURNING {self._key}", params),
            *(Statement(each.sql, {**each.params, **ours}) for each in also),
            *([Statement(self._update.format(values="lease = 0"), ours)] if gives_back else ()),
        )
        return bool(answers[len(only_if.locks)])

    async def end_old_leases(self, store: Store, before: int) -> None:
        """End the leases that would end by this moment, since their workers are dead, and the delays."""
        await store.write(Statement(self._end_old_leases, {"before": before}))

    def _ours(self, task: W) -> Params:
        return {"wish": self.key(task), "fence": task.fence}
