"""`voxgate machines`: the machines on this database."""

from __future__ import annotations

from typing import Any

from proxy.commands.command import AdminRequest, Command, FeatureCommands
from proxy.commands.tables import Grid, Line, Part


def machines() -> AdminRequest:
    """List the servers and workers on this database."""
    return AdminRequest("GET", "machines")


def _table(answer: dict[str, Any]) -> list[Part]:
    if not answer["data"]:
        return [Line("None: a server on SQLite is the only one, or none has started on this database.")]
    rows = [
        (
            each["name"],
            each["kind"] + ", leads" * each["leads"],
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


COMMANDS = FeatureCommands(commands=(Command("machines", machines, _table),))
