"""`voxgate machines`: the machines on this database. `voxgate vault move`: their recordings in another vault.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxy.commands.command import (
    AdminRequest,
    Command,
    CommandContext,
    CommandResult,
    FeatureCommands,
    Group,
)
from proxy.commands.tables import Grid, Line, Part
from proxy.errors import CommandRefused

if TYPE_CHECKING:
    from proxy.config.sections import Config
    from proxy.file_store.objects import Objects


_ANSWER_S = 4.0


def list_machines() -> AdminRequest:
    """List the servers and workers on this database."""
    return AdminRequest("GET", "machines")


def _table(answer: dict[str, Any]) -> list[Part]:
    if not answer["data"]:
        return [Line("None: a server on SQLite is the only one, or none has started on this database.")]
    rows = [
        (
            each["name"],
            each["kind"] + (", leads" if each["leads"] else ""),
            "alive" if each["is_alive"] else "dead",
            each["version"],
            str(each["schema"]),
            str(each["workers"]),
            each["seen"],
            each["config"],
            " ".join(f"{ring} {ids[0]}" for ring, ids in each["keys"].items() if ids),
            each["id"],
        )
        for each in answer["data"]
    ]
    wide = ("config", "newest keys", "id")
    columns = ("machine", "kind", "state", "version", "schema", "workers", "seen", *wide)
    differing = ", ".join(answer["differing"])
    remark = [Line(f"They differ in: {differing}. See voxgate doctor.", "yellow")] if differing else []
    return [Grid(columns, rows, wide), *remark]


def _move_table(answer: dict[str, Any]) -> list[Part]:
    copied, size = answer["copied"], answer["bytes"] / 1e6
    parts: list[Part] = [
        Line(f"{copied} of {answer['objects']} objects were copied and checked, {size:,.2f} MB.")
    ]
    if answer["is_served"]:
        return [*parts, Line("A server is alive: stop all of them, and run this once more.", "yellow")]
    return [*parts, Line("All are there: give the servers that [vault], and start them.")]


VAULT = Group("vault", "The sealed recordings.")


@VAULT.command("move", _move_table)
def vault_move(
    here: CommandContext,
    target: Annotated[Path, typer.Argument(metavar="FILE", help="A config file with the other [vault].")],
) -> CommandResult:
    """Copy what another vault lacks, and check it, also beside servers. The last run wants none alive."""
    import asyncio

    return CommandResult(asyncio.run(_move(here.config(), here.load(target))))


async def _move(config: Config, target: Config) -> dict[str, Any]:
    from proxy.features.cluster.vault_identity import vault_identity
    from proxy.file_store.objects import open_objects

    source, destination = (open_objects(each.vault, Path(each.data)) for each in (config, target))
    if source.where == destination.where or await vault_identity(destination, may_make=False):
        raise CommandRefused(f"{destination.where} is the vault of a server; name another place in [vault]")
    was_served = await _is_served(config)
    answer = await _copy(source, destination)
    return {**answer, "is_served": was_served or await _is_served(config)}


async def _copy(source: Objects, target: Objects) -> dict[str, Any]:
    from proxy.storage.disk_names import UnsafeName

    existing = {each.name: each.size for each in await target.list()}
    # The others are about the vault itself.
    listed = [each for each in await source.list() if "/" in each.name]
    copied = size = 0
    for each in listed:
        if existing.get(each.name) == each.size:
            continue
        try:
            data = await source.read(each.name, 0, each.size)
        except (FileNotFoundError, UnsafeName):
            continue  # it was dropped meanwhile, or is a note that people keep there
        await target.put(each.name, data)
        if len(data) != each.size or await target.read(each.name, 0, each.size) != data:
            await target.remove(each.name)
            raise CommandRefused(f"{each.name} did not come over whole; run this once more")
        copied, size = copied + 1, size + each.size
    return {"objects": len(listed), "copied": copied, "bytes": size}


async def _is_served(config: Config) -> bool:
    """Tell whether a server has the data folder, or another machine is on the database."""
    from proxy.config.addresses import is_postgres
    from proxy.features.cluster import machines
    from proxy.file_store import data_folder

    if data_folder.is_held(Path(config.data)):
        return True
    if not is_postgres(config.storage.url):
        return False
    # A server on SQLite needs no driver.
    from proxy.storage.postgres import PostgresStore

    store = await PostgresStore.open(config.storage.url, _ANSWER_S)
    try:
        return any(each.is_alive for each in await machines.list_all(store))
    finally:
        await store.close()


COMMANDS = FeatureCommands(commands=(Command("machines", list_machines, _table),), last_groups=(VAULT,))
