"""Orders to machines: rows that worker 0 of each machine carries out when it renews its own row."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
import structlog

from policies.tasks import SECOND_US
from proxy.api.server import ServerLink
from proxy.errors import InvalidRequest, UpstreamFailed
from proxy.features.cluster.machines import NOW_SQL, Machine
from proxy.storage.rows import in_list, new_id
from proxy.storage.store import Statement, StorageFailed, Store
from proxy.storage.tables import Table

TABLE = Table("machine_orders")

WAITS_S = 15.0
_LOOK_EVERY_S = 0.2
_EXPIRES_US = 60 * SECOND_US
_OPEN = f"""
SELECT id, action, engine, at_once FROM machine_orders
WHERE machine = :machine AND ended IS NULL AND asked > {NOW_SQL} - {_EXPIRES_US} ORDER BY asked, id
"""
_ADD = f"""
INSERT INTO machine_orders (id, machine, action, engine, at_once, asked, refusal)
VALUES (:id, :machine, :action, :engine, :at_once, {NOW_SQL}, '')
"""
_END = f"UPDATE machine_orders SET ended = {NOW_SQL}, refusal = :refusal WHERE id = :id"
_ENDED = "SELECT id, refusal FROM machine_orders WHERE id IN ({ids}) AND ended IS NOT NULL"

_log = structlog.get_logger()


class NewMachineOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What machines are to do, each by its name or id. `now` breaks off the jobs that the engine speaks."""

    machines: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, description="a list of machines")]
    action: Literal["load", "unload", "restart", "reload"]
    engine: str = ""
    now: bool = False


class OrderOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an order to a machine. It `is_silent` if the machine has not answered in time."""

    machine: str
    is_silent: bool = False
    refusal: str = ""


class OrderRunner:
    """The orders to one machine. Each is carried out after the one before it."""

    def __init__(self, store: Store, link: ServerLink) -> None:
        self._store = store
        self._link = link
        # The ids of the rows that were open at the last look: their orders have begun.
        self._begun: set[str] = set()
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin_orders(self, machine: str) -> None:
        """Begin the open orders. Raises StorageFailed."""
        rows = await self._store.read(_OPEN, {"machine": machine})
        for row in rows:
            if row["id"] not in self._begun:
                carrying_out = self._carry_out(
                    row["id"], row["action"], row["engine"], at_once=bool(row["at_once"])
                )
                task = asyncio.create_task(carrying_out)
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        self._begun = {row["id"] for row in rows}

    async def _carry_out(self, id_: str, action: str, engine: str, at_once: bool) -> None:
        async with self._lock:
            _log.info("machine.order.started", action=action, engine=engine)
            try:
                refusal = await self._execute(action, engine, at_once)
            except UpstreamFailed as error:
                refusal = error.message
            try:
                await self._store.write(Statement(_END, {"id": id_, "refusal": refusal}))
            except StorageFailed as error:
                _log.warning("machine.order.failed", reason=str(error))

    async def _execute(self, action: str, engine: str, at_once: bool) -> str:
        """Carry out an order, and return why it was refused. Raises UpstreamFailed."""
        match action:
            case "reload":
                return (await self._link.reload_config()).refusal
            case "load" | "unload" | "restart":
                return (await self._link.switch_engine(engine, action, at_once)).refusal
            case _:
                return f"this version does not know {action!r}"


def find_living(found: Sequence[Machine], names: Sequence[str]) -> list[Machine]:
    """Return the living machines of these names or ids. Raises InvalidRequest."""
    chosen: list[Machine] = []
    for name in names:
        named = [each for each in found if name in (each.name, each.id)]
        living = [each for each in named if each.is_alive]
        if len(living) != 1:
            why = (
                f"Several machines have the name {name!r}; give an id"
                if living
                else f"The machine {name!r} is dead"
                if named
                else f"There is no machine {name!r}"
            )
            raise InvalidRequest(f"{why}, see voxgate machines.", param="machines")
        chosen += living
    return chosen


async def give_order(store: Store, order: NewMachineOrder, chosen: Sequence[Machine]) -> list[OrderOutcome]:
    """Give an order to machines, and wait a while for their answers. Raises StorageFailed."""
    ids = {new_id("ord"): machine for machine in chosen}
    await store.write(
        *(
            Statement(
                _ADD,
                {
                    "id": id_,
                    "machine": machine.id,
                    "action": order.action,
                    "engine": order.engine,
                    "at_once": int(order.now),
                },
            )
            for id_, machine in ids.items()
        )
    )
    refusals: dict[str, str] = {}
    placeholders, params = in_list([*ids])
    deadline = asyncio.get_running_loop().time() + WAITS_S
    while len(refusals) < len(ids) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(_LOOK_EVERY_S)
        rows = await store.read(_ENDED.format(ids=placeholders), params)
        refusals = {row["id"]: row["refusal"] for row in rows}
    return [
        OrderOutcome(machine=machine.name, is_silent=id_ not in refusals, refusal=refusals.get(id_, ""))
        for id_, machine in ids.items()
    ]
