"""How the CLI shows the admin handlers' answers to a person."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from proxy.checking import Finding


def check(findings: list[Finding]) -> Table:
    table = _table("", "what", "name", "note")
    for finding in findings:
        mark = Text("ok", "green") if finding.ok else Text("wrong", "red")
        _add(table, mark, finding.kind, finding.name, finding.note)
    return table


_MARKS = {"ok": Text("ok", "green"), "note": Text("note", "yellow"), "wrong": Text("wrong", "red")}


def examination(answer: dict[str, Any]) -> Table:
    table = _table("", "what", "found", "what to do")
    for row in answer["data"]:
        _add(table, _MARKS[row["state"]], row["check"], row["found"], row["do"])
    return table


def engines(answer: dict[str, Any]) -> RenderableType:
    table = _table("engine", "plugin", "state", "models", "running", "waiting", "reason")
    for row in answer["data"]:
        load = f"{row['running']}/{row['slots']}"
        models = ", ".join(row["models"])
        cells = (row["name"], row["plugin"], row["state"], models, load, str(row["waiting"]), row["reason"])
        _add(table, *cells)
    faults = [
        Text(f"plugin {f['plugin']} failed at {f['stage']}: {f['reason']}", "red") for f in answer["faults"]
    ]
    return Group(table, *faults)


def environments(answer: dict[str, Any]) -> Table:
    table = _table("plugin", "hash", "state", "torch", "size", "folder")
    for row in answer["data"]:
        size = f"{row.get('bytes', 0) / 1e6:,.0f} MB"
        cells = (row["plugin"], row["hash"], row["state"], row.get("torch", ""), size, row.get("folder", ""))
        _add(table, *cells)
    return table


def environment(row: dict[str, Any]) -> RenderableType:
    said = "Built." if row["built"] else "It is there already."
    return Group(Text(said), environments({"data": [row]}))


def accounts(answer: dict[str, Any]) -> Table:
    table = _table("id", "name", "plan", "created", "closed")
    for row in answer["data"]:
        times = (_when(row[field]) for field in ("created", "closed"))
        _add(table, row["id"], row["name"], row["plan"], *times)
    return table


def account(row: dict[str, Any]) -> RenderableType:
    shown = accounts({"data": [row]})
    return Group(shown, keys({"data": row["keys"]})) if row.get("keys") else shown


def keys(answer: dict[str, Any]) -> Table:
    table = _table("id", "account", "role", "name", "ends with", "created", "expires", "revoked")
    for row in answer["data"]:
        times = (_when(row[field]) for field in ("created", "expires", "revoked"))
        _add(table, row["id"], row["account"], row["role"], row["name"], row["hint"], *times)
    return table


def key(row: dict[str, Any]) -> Table:
    return keys({"data": [row]})


def new_key(row: dict[str, Any]) -> RenderableType:
    return Group(Text(row["key"], "bold"), Text("Shown this once; only its hash is kept.", "dim"), key(row))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        # An id broken over two lines could not be copied into the next command.
        table.add_column(column, overflow="fold", no_wrap=column == "id")
    return table


def _add(table: Table, *cells: str | Text) -> None:
    """As it is: rich would read an account's name `[/]` as a command, and fall over it."""
    table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))


def _when(microseconds: int | None) -> str:
    if microseconds is None:
        return ""
    return datetime.fromtimestamp(microseconds / 1e6, UTC).strftime("%Y-%m-%d %H:%M")
