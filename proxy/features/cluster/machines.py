"""The machines of a database as rows, on PostgreSQL alone: each start of a server or of a `voxgate worker`.

All times are of the database's clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Literal

import msgspec

from policies.tasks import SECOND_US
from proxy.storage.rows import decode_json, read_known
from proxy.storage.store import Statement, Store
from proxy.storage.tables import Table

TABLE = Table("machines")
SHARED_THINGS = Table("shared_things", key=("name",))

LIVES_S = 15
"""A machine that has not renewed its row for so long is dead, or cannot reach the database."""
RENEW_S = 5.0
NOW_SQL = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"
DAY_US = 86_400 * SECOND_US

Kind = Literal["server", "worker"]
Differing = Literal["version", "config", "keys"]


class Machine(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A machine. `keys` are the ids of its keys by ring, the newest first, and `engines` the state and the
    reason of each engine, both as JSON. `config` is a digest of its configuration, `folder` its data folder.
    `silent_us` is the time from the last renewal to the reading of the row."""

    id: str
    name: str
    kind: Kind
    version: str
    schema: int
    workers: int
    folder: str
    limits: Literal["memory", "redis"]
    keys: str
    config: str
    engines: str
    began: int = 0
    seen: int = 0
    silent_us: int = 0
    takes_links: int = 0

    @property
    def is_alive(self) -> bool:
        return self.silent_us < LIVES_S * SECOND_US

    @cached_property
    def key_ids(self) -> Mapping[str, list[str]]:
        return dict(decode_json(self.keys))

    @cached_property
    def engine_states(self) -> Mapping[str, list[str]]:
        return dict(decode_json(self.engines))


_WRITTEN_COLUMNS = [name for name in Machine.__struct_fields__ if name not in ("began", "seen", "silent_us")]
_CHANGES = ", ".join(f"{name} = :{name}" for name in _WRITTEN_COLUMNS)
_LIST = f"""
SELECT {", ".join(_WRITTEN_COLUMNS)}, began, seen, {NOW_SQL} - seen AS silent_us FROM machines
WHERE kind <> 'host' ORDER BY began, id
"""
_PUT = f"""
INSERT INTO machines ({", ".join(_WRITTEN_COLUMNS)}, began, seen)
VALUES ({", ".join(f":{name}" for name in _WRITTEN_COLUMNS)}, {NOW_SQL}, {NOW_SQL}) ON CONFLICT DO NOTHING
"""
_RENEW = f"UPDATE machines SET {_CHANGES}, seen = {NOW_SQL} WHERE id = :id RETURNING id"
_FORGET = (
    Statement(f"DELETE FROM machines WHERE seen < {NOW_SQL} - {DAY_US}"),
    Statement(f"DELETE FROM machine_orders WHERE asked < {NOW_SQL} - {DAY_US}"),
)
_VAULT = "SELECT id FROM shared_things WHERE name = 'vault'"
_PUT_VAULT = """
INSERT INTO shared_things (name, id) VALUES ('vault', :id) ON CONFLICT (name) DO UPDATE SET id = excluded.id
"""


async def list_all(store: Store) -> list[Machine]:
    """List all machines, the oldest first. SQLite has none."""
    return read_known(await store.read(_LIST), Machine) if store.is_shared else []


async def put_machine(store: Store, machine: Machine) -> None:
    await store.write(Statement(_PUT, _row(machine)))


async def renew_machine(store: Store, machine: Machine) -> None:
    """Note that a machine lives, and delete the rows of a day ago. A row that is gone is put again."""
    renewed, *_ = await store.write(Statement(_RENEW, _row(machine)), *_FORGET)
    if not renewed:
        await put_machine(store, machine)


async def remove_machine(store: Store, id_: str) -> None:
    await store.write(Statement("DELETE FROM machines WHERE id = :id", {"id": id_}))


async def vault_id(store: Store) -> str | None:
    """Return the id of the vault that all machines share, or None on the first start."""
    rows = await store.read(_VAULT)
    return rows[0]["id"] if rows else None


async def put_vault_id(store: Store, id_: str) -> None:
    await store.write(Statement(_PUT_VAULT, {"id": id_}))


def _row(machine: Machine) -> dict[str, str | int]:
    return {name: getattr(machine, name) for name in _WRITTEN_COLUMNS}


def leader_of(living: Sequence[Machine]) -> str:
    """Return the id of the oldest server, or ""."""
    return next((each.id for each in living if each.kind == "server"), "")


def workers_of(living: Sequence[Machine]) -> int:
    """Return the number of workers of all machines."""
    return sum(each.workers for each in living)


def differing(living: Sequence[Machine]) -> Iterator[tuple[Differing, list[str]]]:
    """Yield what differs between machines, with the values. A `voxgate worker` may have a configuration of
    its own."""
    versions = {f"{each.version}, schema {each.schema}" for each in living}
    configs = {each.config for each in living if each.kind == "server"}
    keys = {
        "; ".join(f"{ring} {' '.join(sorted(ids))}" for ring, ids in sorted(each.key_ids.items()))
        for each in living
    }
    found: dict[Differing, set[str]] = {"version": versions, "config": configs, "keys": keys}
    for what, values in found.items():
        if len(values) > 1:
            yield what, sorted(values)


def shared_names(living: Sequence[Machine]) -> set[str]:
    """Return the names that two machines have."""
    names = [each.name for each in living]
    return {name for name in names if names.count(name) > 1}
