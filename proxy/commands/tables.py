"""Answers as JSON for a program, or as tables for a person. A group's own tables are in its file.

rich is imported where something is drawn: it is slow, and neither help nor JSON needs it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

if TYPE_CHECKING:
    from rich.table import Table

PrintForm = bool | None
"""How an answer is printed: True is JSON, False is tables with all columns, None is tables for 80 columns."""

_NO_LINE_BREAKS = 100_000
_NO_NAMES: Mapping[str, str] = {}


class Line(NamedTuple):
    """A text in a style of rich: a line of its own, or a cell."""

    text: str
    style: str = ""


class Grid(NamedTuple):
    """A table before it is drawn. Columns in `wide`, and empty ones, are only in the wide form."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[str | Line, ...]]
    wide: tuple[str, ...] = ()

    def draw(self, is_wide: bool) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        columns_shown = [
            number for number in range(len(self.columns)) if is_wide or self._is_always_shown(number)
        ]
        for number in columns_shown:
            name = self.columns[number]
            # An id on two lines could not be copied into the next command.
            table.add_column(name, overflow="fold", no_wrap=name == "id")
        for row in self.rows:
            # Texts, because rich would read a name such as `[/]` as markup, and fail.
            cells = (row[number] for number in columns_shown)
            table.add_row(*(Text(cell) if isinstance(cell, str) else Text(*cell) for cell in cells))
        return table

    def _is_always_shown(self, number: int) -> bool:
        is_empty = bool(self.rows) and not any(row[number] for row in self.rows)
        return self.columns[number] not in self.wide and not is_empty


Part = Grid | Line
Show = Callable[[Any], Iterable[Part]]
"""Returns the parts in which an answer is shown."""


def show_line(template: str) -> Show:
    """Show an answer as a line with some of its fields."""
    return lambda answer: [Line(template.format_map(answer))]


SHOW_GONE = show_line("{id} is gone.")
Cell = Callable[[dict[str, Any]], Any]
"""Returns the value of a cell from a row of an answer."""
Columns = Mapping[str, str | Cell]  # for each heading, the field of its column, or a function


def print_answer(value: Any, form: PrintForm, show: Show) -> None:
    if form is True:
        print(json.dumps(value, indent=2))  # noqa: T201 - a command's answer
        return
    print_parts(show(value), sys.stdout, is_wide=form is False)


def print_parts(parts: Iterable[Part], to: TextIO, *, is_wide: bool = False) -> None:
    from rich.console import Console
    from rich.text import Text

    # In a pipe a line stays a line: a line cut into columns can be neither copied nor searched.
    is_measured = to.isatty() or "COLUMNS" in os.environ
    console = Console(file=to, width=None if is_measured and not is_wide else _NO_LINE_BREAKS)
    with console.capture() as capture:
        for part in parts:
            if isinstance(part, Grid):
                console.print(part.draw(is_wide))
            else:
                console.print(Text(*part), soft_wrap=True)
    # A cell is padded to the widest one of its column, also at the end of a line.
    lines = (line.rstrip(" ") for line in capture.get().split("\n"))
    print("\n".join(lines), end="", file=to)


def make_grid(answer: Mapping[str, Any], columns: Columns, wide: tuple[str, ...] = ()) -> Grid:
    """Make a table of an answer's rows: each column shows a field, or the result of a function.

    Accounts are shown by their names, if the answer has them.
    """
    names = account_names(answer)
    named_rows = [
        {**row, "account": names.get(row.get("account"), row.get("account"))} for row in answer["data"]
    ]
    rows = [tuple(_cell(row, reader) for reader in columns.values()) for row in named_rows]
    return Grid(tuple(columns), rows, wide)


def _cell(row: dict[str, Any], reader: str | Cell) -> str:
    value = row[reader] if isinstance(reader, str) else reader(row)
    return "" if value is None else str(value)


def time_cell(field: str) -> Cell:
    return lambda row: minute_text(row[field])


def number_cell(field: str) -> Cell:
    return lambda row: number_text(row[field])


def show_account_list(answer: dict[str, Any]) -> list[Part]:
    columns: Columns = {
        "account": "title",
        "people": lambda row: ", ".join(row["users"]),
        "plan": "plan",
        "until": lambda row: day_text(row["paid_until"]),
        "minutes": lambda row: number_text(row["sums"]["minutes"]),
        "credits": lambda row: number_text(row["sums"]["credits"]),
        "paid": lambda row: ", ".join(f"{amount} {name}" for name, amount in row["sums"]["paid"].items()),
        "cost": lambda row: f"$ {number_text(row['sums']['cost_usd'])}",
        **{name: time_cell(name) for name in ("created", "closed", "suspended")},
        "name": "name",
        "id": "id",
    }
    return [make_grid(answer, columns, wide=("created", "name", "id"))]


def show_account(row: dict[str, Any]) -> list[Part]:
    title = row.get("title", row["name"])
    times = {name: time_cell(name) for name in ("created", "closed", "suspended")}
    columns: Columns = {"name": lambda _: title, "plan": "plan", **times, "id": "id"}
    parts: list[Part] = [make_grid({"data": [row]}, columns, wide=("id",))]
    if agreed := facts_text(row["agreed"]):
        parts.append(Line(f"agreed: {agreed}"))
    if row.get("balance"):
        parts.append(
            Line(f"cycle: {minute_text(row['cycle']['start'])} to {minute_text(row['cycle']['end'])}")
        )
        parts.append(_balance_grid(row["balance"], {"streams": str(row["streams"])}))
    if row.get("keys"):
        parts += show_keys({"data": row["keys"], "account_names": {row["id"]: title}})
    return parts


def _balance_grid(balance: dict[str, Any], more_columns: dict[str, str]) -> Grid:
    return Grid((*balance, *more_columns), [(*map(limit_text, balance.values()), *more_columns.values())])


def show_keys(answer: dict[str, Any]) -> list[Part]:
    columns: Columns = {
        **{name: name for name in ("name", "account", "role")},
        "until": lambda row: (
            f"revoked {minute_text(row['revoked'])}" if row["revoked"] else day_text(row["expires"])
        ),
        "id": "id",
        "ends with": "hint",
        "created": time_cell("created"),
        "caps": lambda row: facts_text(row["caps"]),
    }
    # Without names there are only ids, and `keys create` has just named the account.
    if_without_names = () if account_names(answer) else ("account",)
    return [make_grid(answer, columns, wide=(*if_without_names, "ends with", "created", "caps"))]


def show_entries(answer: dict[str, Any]) -> list[Part]:
    fields = {name: name for name in ("pool", "reference", "reason", "request", "actor", "id")}
    columns: Columns = {"at": time_cell("at"), "kind": "kind", "credits": number_cell("credits"), **fields}
    return [make_grid(answer, columns, wide=("request", "actor", "id"))]


def show_entry(row: dict[str, Any]) -> list[Part]:
    return show_movement({"data": [row], "balance": row["balance"]})


def show_movement(answer: dict[str, Any]) -> list[Part]:
    balance = answer["balance"]
    return [*show_entries(answer), *([] if balance is None else [_balance_grid(balance, {})])]


def account_names(answer: Mapping[str, Any]) -> Mapping[str, str]:
    names: Mapping[str, str] = answer.get("account_names", _NO_NAMES)
    return names


def number_text(value: Any) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def limit_text(value: float | str | None) -> str:
    if value is None:
        return "no limit"
    return value if isinstance(value, str) else number_text(value)


def facts_text(values: dict[str, Any]) -> str:
    """Show the values, without nulls and empty lists."""
    shown_values = (
        (name, facts_text(value) if isinstance(value, dict) else value) for name, value in values.items()
    )
    return ", ".join(f"{name} {value}" for name, value in shown_values if value not in (None, "", []))


def minute_text(time: str | None) -> str:
    """Show a time of an answer to the minute."""
    return (time or "")[:16].replace("T", " ")


def day_text(time: str | None) -> str:
    return (time or "")[:10]
