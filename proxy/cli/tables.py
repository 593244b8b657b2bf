"""Answers as JSON for a program, or as tables for a person. Tables of one group are in its file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

_PIPED_WIDTH = 400


def print_answer(value: Any, as_json: bool, show: Callable[[Any], object]) -> None:
    if as_json:
        print(json.dumps(value, indent=2))  # noqa: T201 - a command's answer
    else:
        # In a pipe a line stays a line: a line cut into columns can be neither copied nor searched.
        Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH).print(show(value), soft_wrap=True)


def accounts(answer: dict[str, Any]) -> Table:
    found = table("id", "name", "plan", "created", "closed")
    for row in answer["data"]:
        times = (when(row[field]) for field in ("created", "closed"))
        add_row(found, row["id"], row["name"], row["plan"], *times)
    return found


def account(row: dict[str, Any]) -> RenderableType:
    parts: list[RenderableType] = [accounts({"data": [row]})]
    if agreed := facts(row["agreed"]):
        parts.append(Text(f"agreed: {agreed}"))
    if row.get("balance"):
        parts.append(Text(f"cycle: {row['cycle']['start']} to {row['cycle']['end']}"))
        parts.append(_balance(row["balance"], {"streams": str(row["streams"])}))
    if row.get("keys"):
        parts.append(keys({"data": row["keys"]}))
    return Group(*parts)


def _balance(balance: dict[str, Any], beside: dict[str, str]) -> Table:
    found = table(*balance, *beside)
    add_row(found, *map(limit, balance.values()), *beside.values())
    return found


def keys(answer: dict[str, Any]) -> Table:
    found = table("id", "account", "role", "name", "ends with", "created", "expires", "revoked", "caps")
    for row in answer["data"]:
        times = (when(row[field]) for field in ("created", "expires", "revoked"))
        cells = (row["id"], row["account"], row["role"], row["name"], row["hint"], *times)
        add_row(found, *cells, facts(row["caps"]))
    return found


def entries(answer: dict[str, Any]) -> Table:
    found = table("id", "at", "kind", "credits", "pool", "request", "reference", "reason", "actor")
    for row in answer["data"]:
        texts = (row[name] or "" for name in ("request", "reference", "reason", "actor"))
        add_row(found, row["id"], row["at"], row["kind"], number(row["credits"]), row["pool"], *texts)
    return found


def entry(row: dict[str, Any]) -> RenderableType:
    return movement({"data": [row], "balance": row["balance"]})


def movement(answer: dict[str, Any]) -> RenderableType:
    """Show a movement, and the balance after it."""
    if answer["balance"] is None:
        return entries(answer)
    return Group(entries(answer), _balance(answer["balance"], {}))


def number(value: Any) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def limit(value: float | str | None) -> str:
    if value is None:
        return "no limit"
    return value if isinstance(value, str) else number(value)


def facts(values: dict[str, Any]) -> str:
    """Show the values, without nulls and empty lists."""
    said = ((name, facts(value) if isinstance(value, dict) else value) for name, value in values.items())
    return ", ".join(f"{name} {value}" for name, value in said if value not in (None, "", []))


def grid(columns: tuple[str, ...], rows: Iterable[tuple[str | Text, ...]]) -> Table:
    found = table(*columns)
    for row in rows:
        add_row(found, *row)
    return found


def table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        # An id on two lines could not be copied into the next command.
        table.add_column(column, overflow="fold", no_wrap=column == "id")
    return table


def add_row(table: Table, *cells: str | Text) -> None:
    """Add a row of plain text: rich would read a name such as `[/]` as markup, and fail."""
    table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))


def when(microseconds: int | None) -> str:
    if microseconds is None:
        return ""
    return datetime.fromtimestamp(microseconds / 1e6, UTC).strftime("%Y-%m-%d %H:%M")
