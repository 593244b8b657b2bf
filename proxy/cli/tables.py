"""How the CLI shows the admin handlers' answers to a person."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from policies.limits import AGREEABLE


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
    parts: list[RenderableType] = [accounts({"data": [row]})]
    if agreed := _said(row["agreed"]):
        parts.append(Text(f"agreed: {agreed}"))
    if row.get("balance"):
        parts.append(Text(f"cycle: {row['cycle']['start']} to {row['cycle']['end']}"))
        parts.append(_balance(row["balance"], {"streams": str(row["streams"])}))
    if row.get("keys"):
        parts.append(keys({"data": row["keys"]}))
    return Group(*parts)


def _balance(balance: dict[str, Any], beside: dict[str, str]) -> Table:
    table = _table(*balance, *beside)
    _add(table, *map(_limit, balance.values()), *beside.values())
    return table


def keys(answer: dict[str, Any]) -> Table:
    table = _table("id", "account", "role", "name", "ends with", "created", "expires", "revoked", "caps")
    for row in answer["data"]:
        times = (_when(row[field]) for field in ("created", "expires", "revoked"))
        cells = (row["id"], row["account"], row["role"], row["name"], row["hint"], *times)
        _add(table, *cells, _said(row["caps"]))
    return table


def key(row: dict[str, Any]) -> Table:
    return keys({"data": [row]})


def new_key(row: dict[str, Any]) -> RenderableType:
    return Group(Text(row["key"], "bold"), Text("Shown this once; only its hash is kept.", "dim"), key(row))


def entries(answer: dict[str, Any]) -> Table:
    table = _table("id", "at", "kind", "credits", "pool", "request", "reference", "reason", "actor")
    for row in answer["data"]:
        texts = (row[name] or "" for name in ("request", "reference", "reason", "actor"))
        _add(table, row["id"], row["at"], row["kind"], _number(row["credits"]), row["pool"], *texts)
    return table


def entry(row: dict[str, Any]) -> RenderableType:
    return _moved({"data": [row], "balance": row["balance"]})


def refund(answer: dict[str, Any]) -> RenderableType:
    return Group(Text(f"{_number(answer['credits'])} credits were given back."), _moved(answer))


def _moved(answer: dict[str, Any]) -> RenderableType:
    """The movement, and the balance after it."""
    if answer["balance"] is None:
        return entries(answer)
    return Group(entries(answer), _balance(answer["balance"], {}))


def verdict(answer: dict[str, Any]) -> RenderableType:
    counted = ", ".join(
        f"{answer[name]} {name.replace('_', ' ')}"
        for name in ("entries", "requests", "balances", "live_holds")
    )
    if answer["is_clean"]:
        return Text(f"The books agree: {counted}.", "green")
    table = _table("what must hold", "subject", "found")
    for row in answer["contradictions"]:
        _add(table, row["check"], row["subject"], row["found"])
    return Group(Text(f"The books contradict one another: {counted}.", "red"), table)


def plans(answer: dict[str, Any]) -> Table:
    table = _table("name", "price", *AGREEABLE, "speech", "accounts")
    for row in answer["data"]:
        speech = row["prices"]["speech"]
        price = f"{_number(speech['credits'])} a {speech['per']}" if speech["credits"] else "free"
        cells = (row["name"], row["price"] or "free", *(_limit(row[name]) for name in AGREEABLE))
        _add(table, *cells, price, str(row["accounts"]))
    return table


def usage(answer: dict[str, Any]) -> RenderableType:
    table = _table(
        *("id", "started", "account", "model", "voice", "outcome", "cache"),
        *("s", "credits", "refunded", "usd"),
    )
    for row in answer["data"]:
        model = f"{row['engine']}/{row['model']}"
        cells = (row["id"], row["started"], row["account"], model, row["voice"], row["outcome"], row["cache"])
        seconds = _number(row["audio_ms"] / 1000)
        _add(table, *cells, seconds, *(_number(row[name]) for name in ("credits", "refunded", "cost_usd")))
    return _whole(table, answer)


def usage_sums(answer: dict[str, Any]) -> RenderableType:
    table = _table("", "requests", "characters", "s", "credits", "refunded", "usd")
    for row in answer["data"]:
        cells = (row["name"], str(row["requests"]), str(row["characters"]), _number(row["audio_ms"] / 1000))
        _add(table, *cells, *(_number(row[name]) for name in ("credits", "refunded", "cost_usd")))
    return _whole(table, answer)


def _whole(table: Table, answer: dict[str, Any]) -> RenderableType:
    if not answer["has_more"]:
        return table
    return Group(table, Text("There are more: see --limit and --csv.", "dim"))


def audit(answer: dict[str, Any]) -> Table:
    table = _table("at", "actor", "action", "subject", "account", "details")
    for row in answer["data"]:
        cells = (row["at"], row["actor"], row["action"], row["subject"], row["account"])
        _add(table, *cells, _said(row["details"]))
    return table


def verdicts(part: dict[str, Any]) -> Table:
    """The models of a part of a request in their order: who would be asked first, and who not at all."""
    table = _table("", "model", "voice", "front-end", "why not")
    candidates = {row["model"]: (number, row) for number, row in enumerate(part["candidates"], 1)}
    for row in part["models"]:
        number, candidate = candidates.get(row["model"], ("", {"voice": "", "front_end": ""}))
        why = f"{row['refused_by']}: {row['reason']}" if row["refused_by"] else ""
        _add(table, str(number), row["model"], candidate["voice"], candidate["front_end"], why)
    return table


def _number(value: Any) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _limit(value: float | str | None) -> str:
    if value is None:
        return "no limit"
    return value if isinstance(value, str) else _number(value)


def _said(values: dict[str, Any]) -> str:
    """What is said at all: limits that are null, and lists of none, are left out."""
    said = ((name, _said(value) if isinstance(value, dict) else value) for name, value in values.items())
    return ", ".join(f"{name} {value}" for name, value in said if value not in (None, "", []))


def grid(columns: tuple[str, ...], rows: Iterable[tuple[str | Text, ...]]) -> Table:
    table = _table(*columns)
    for row in rows:
        _add(table, *row)
    return table


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
