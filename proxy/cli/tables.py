"""Answers as JSON for a program, or as tables for a person. Tables of one group are in its file.

rich is imported where something is drawn: it is slow, and neither help nor JSON needs it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from proxy.cli.options import Form

if TYPE_CHECKING:
    from rich.table import Table

_PIPED_WIDTH = 400
_NO_NAMES: Mapping[str, str] = {}


class Line(NamedTuple):
    """A text in a style of rich: a line of its own, or a cell."""

    text: str
    style: str = ""


class Grid(NamedTuple):
    """A table before it is drawn. Columns in `wide` are only in the wide form."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[str | Line, ...]]
    wide: tuple[str, ...] = ()

    def draw(self, is_wide: bool) -> Table:
        """Draw the table. The narrow form also leaves out columns in which no row has anything."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        kept = [number for number in range(len(self.columns)) if is_wide or self._is_kept(number)]
        for number in kept:
            name = self.columns[number]
            # An id on two lines could not be copied into the next command.
            table.add_column(name, overflow="fold", no_wrap=name == "id")
        for row in self.rows:
            # Texts, because rich would read a name such as `[/]` as markup, and fail.
            cells = (row[number] for number in kept)
            table.add_row(*(Text(cell) if isinstance(cell, str) else Text(*cell) for cell in cells))
        return table

    def _is_kept(self, number: int) -> bool:
        is_empty = bool(self.rows) and not any(row[number] for row in self.rows)
        return self.columns[number] not in self.wide and not is_empty


Part = Grid | Line
"""What an answer is shown as: tables, and lines between them."""
Show = Callable[[Any], Iterable[Part]]


def print_answer(value: Any, form: Form, show: Show) -> None:
    if form is True:
        print(json.dumps(value, indent=2))  # noqa: T201 - a command's answer
        return
    from rich.console import Console
    from rich.text import Text

    # In a pipe a line stays a line: a line cut into columns can be neither copied nor searched.
    is_measured = sys.stdout.isatty() or "COLUMNS" in os.environ
    is_wide = form is False
    console = Console(width=None if is_measured and not is_wide else _PIPED_WIDTH)
    for part in show(value):
        if isinstance(part, Grid):
            console.print(part.draw(is_wide))
        else:
            console.print(Text(*part), soft_wrap=True)


def accounts(answer: dict[str, Any]) -> list[Part]:
    rows = [
        (row["name"], row["plan"], when(row["created"]), when(row["closed"]), row["id"])
        for row in answer["data"]
    ]
    return [Grid(("name", "plan", "created", "closed", "id"), rows, wide=("id",))]


def account(row: dict[str, Any]) -> list[Part]:
    parts = accounts({"data": [row]})
    if agreed := facts(row["agreed"]):
        parts.append(Line(f"agreed: {agreed}"))
    if row.get("balance"):
        parts.append(Line(f"cycle: {when(row['cycle']['start'])} to {when(row['cycle']['end'])}"))
        parts.append(_balance(row["balance"], {"streams": str(row["streams"])}))
    if row.get("keys"):
        parts += keys({"data": row["keys"], "account_names": {row["id"]: row["name"]}})
    return parts


def _balance(balance: dict[str, Any], beside: dict[str, str]) -> Grid:
    return Grid((*balance, *beside), [(*map(limit, balance.values()), *beside.values())])


def keys(answer: dict[str, Any]) -> list[Part]:
    names = account_names(answer)
    rows = [
        (
            row["name"],
            names.get(row["account"], row["account"]),
            row["role"],
            f"revoked {when(row['revoked'])}" if row["revoked"] else day(row["expires"]),
            row["id"],
            row["hint"],
            when(row["created"]),
            facts(row["caps"]),
        )
        for row in answer["data"]
    ]
    columns = ("name", "account", "role", "until", "id", "ends with", "created", "caps")
    # Without names there are only ids, and who made a key has just named the account.
    unnamed = () if names else ("account",)
    return [Grid(columns, rows, wide=(*unnamed, "ends with", "created", "caps"))]


def entries(answer: dict[str, Any]) -> list[Part]:
    rows = [
        (
            when(row["at"]),
            row["kind"],
            number(row["credits"]),
            row["pool"],
            *(row[name] or "" for name in ("reference", "reason", "request", "actor", "id")),
        )
        for row in answer["data"]
    ]
    columns = ("at", "kind", "credits", "pool", "reference", "reason", "request", "actor", "id")
    return [Grid(columns, rows, wide=("request", "actor", "id"))]


def entry(row: dict[str, Any]) -> list[Part]:
    return movement({"data": [row], "balance": row["balance"]})


def movement(answer: dict[str, Any]) -> list[Part]:
    """Show a movement, and the balance after it."""
    after = answer["balance"]
    return [*entries(answer), *([] if after is None else [_balance(after, {})])]


def account_names(answer: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the names of accounts by their ids, if the answer came with them."""
    names: Mapping[str, str] = answer.get("account_names", _NO_NAMES)
    return names


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


def when(time: str | None) -> str:
    """Show a time of an answer to the minute."""
    return (time or "")[:16].replace("T", " ")


def day(time: str | None) -> str:
    return (time or "")[:10]
