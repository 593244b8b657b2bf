"""A kind of wishes for tests: chores, each at a place, whose attempts end as a test says."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping

from policies.tasks import QueuedTask
from proxy.queue.tasks import LEASE_S, Done, Result, TaskKind
from proxy.storage.store import ALWAYS, Condition, Params, Statement, Store
from proxy.storage.task_tables import TaskTable

TABLES = (
    Statement(
        "CREATE TABLE chores (id TEXT PRIMARY KEY, account TEXT NOT NULL, place TEXT NOT NULL, "
        "state TEXT NOT NULL, due BIGINT NOT NULL, lease BIGINT NOT NULL, fence BIGINT NOT NULL, "
        "tries BIGINT NOT NULL, error TEXT NOT NULL)"
    ),
    Statement("CREATE TABLE effects (chore TEXT NOT NULL)"),
)


class Chore(QueuedTask, frozen=True, kw_only=True):
    id: str
    account: str = "acc_a"
    place: str = "here"
    state: str = "open"


CHORES = TaskTable("chores", Chore, "state = 'open'", place="place")
EFFECT = Statement(f"INSERT INTO effects (chore) SELECT CAST(:wish AS TEXT) WHERE {CHORES.finished}")
NOT_ERASED = Condition("state <> 'erased'", {})


class Chores(TaskKind[Chore]):
    """`ends` says how each attempt ends, and `held` are the rows as they were taken."""

    name = "chores"
    table = CHORES
    most_at_once = 2

    def __init__(self, store: Store, ends: Callable[[Chore], Awaitable[Result]] | None = None) -> None:
        super().__init__(store)
        self.ends = ends or done
        self.held: list[Chore] = []
        self.has_begun = asyncio.Event()
        self.noted_results: list[Result] = []
        self.lease: float = LEASE_S
        self.most_tries = 3
        self.condition = ALWAYS
        self.poison_effects: tuple[Statement, ...] = ()

    async def work(self, held: Chore) -> Result:
        self.held.append(held)
        self.has_begun.set()
        return await self.ends(held)

    def lease_s(self, task: Chore) -> float:
        del task
        return self.lease

    def concurrency_limits(self, task: Chore) -> Mapping[Hashable, int]:
        return {task.place: self.most_at_once, (task.place, task.account): 1}

    def is_last_try(self, task: Chore) -> bool:
        return task.tries + 1 >= self.most_tries

    async def failure_columns(self, task: Chore) -> Params:
        return {"state": f"dead {task.id}"}

    async def failure_statements(self, task: Chore) -> tuple[Statement, ...]:
        del task
        return self.poison_effects

    def commit_condition(self, held: Chore) -> Condition:
        del held
        return self.condition

    def after_attempt(self, held: Chore, result: Result) -> None:
        del held
        self.noted_results.append(result)

    async def step(self) -> None:
        await self.look()
        await self.finish()


async def done(_held: Chore) -> Result:
    return Done({"state": "done"})


async def hang(_held: Chore) -> Result:
    return await asyncio.Future[Result]()


async def add(store: Store, *chores: Chore) -> None:
    names = Chore.__struct_fields__
    sql = f"INSERT INTO chores ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"
    rows = [{name: getattr(chore, name) for name in names} for chore in chores]
    await store.write(*(Statement(sql, row) for row in rows))


async def row(store: Store, id_: str = "one") -> Chore:
    found = await CHORES.get(store, id_)
    assert found is not None
    return found


async def effects(store: Store) -> list[str]:
    return [each["chore"] for each in await store.read("SELECT chore FROM effects ORDER BY chore")]


async def sql(store: Store, text: str) -> None:
    await store.write(Statement(text))
