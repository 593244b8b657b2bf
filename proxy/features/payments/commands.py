"""`voxgate orders …`: the orders, and those that need attention."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from proxy.commands.command import AdminRequest, FeatureCommands, Group, admin_path
from proxy.commands.options import OfAccount
from proxy.commands.tables import Cell, Line, Part, make_grid

ORDERS = Group("orders", "What accounts bought, and what of it needs attention.")

_KIND = "orders"
_Order = Annotated[str, typer.Argument(metavar="ORDER", help="An order, by its id (ord_…).")]


def _price(row: dict[str, Any]) -> str:
    return f"{row['amount']} {row['currency']}"


def _list_table(answer: dict[str, Any]) -> list[Part]:
    columns: dict[str, str | Cell] = {"account": "account", "offer": "title", "price": _price}
    columns |= {name: name for name in ("provider", "state", "attention", "created", "id")}
    return [make_grid(answer, columns, wide=("attention", "created"))]


def _order_table(row: dict[str, Any]) -> list[Part]:
    parts = _list_table({"data": [row]})
    if row["payments"]:
        names = ("amount", "refunded", "disputed", "credited", "created", "id")
        parts.append(make_grid({"data": row["payments"]}, {name: name for name in names}, wide=("created",)))
    if row["attention"]:
        parts.append(Line(f"It needs attention: {row['attention']}"))
    if row["error"]:
        parts.append(Line(f"Its provider was asked last without success: {row['error']}"))
    return parts


def _check_table(row: dict[str, Any]) -> list[Part]:
    return [*_order_table(row), Line("Its provider is being asked; show it again in a moment.", "dim")]


def _difference_table(answer: dict[str, Any]) -> list[Part]:
    columns: dict[str, str | Cell] = {"provider": "provider", "payment": "id", "price": _price}
    columns |= {name: name for name in ("refunded", "reference")}
    parts: list[Part] = [make_grid(answer, columns, wide=("reference",))]
    if not answer["data"]:
        parts = [Line("All payments have an order here.")]
    parts += [Line(f"{name} could not be asked: {why}") for name, why in answer["failed"].items()]
    return parts


def _failed_status(answer: dict[str, Any]) -> int:
    return int(bool(answer["data"] or answer["failed"]))


@ORDERS.command("list", _list_table)
def orders_list(account: OfAccount = None) -> AdminRequest:
    """List orders, the newest first."""
    return AdminRequest("GET", _KIND, query={"account": account}, pages="all")


@ORDERS.command("show", _order_table)
def orders_show(order: _Order) -> AdminRequest:
    """Show an order with its payments."""
    return AdminRequest("GET", admin_path(_KIND, order))


@ORDERS.command("check", _check_table)
def orders_check(order: _Order) -> AdminRequest:
    """Have an order's provider asked at once."""
    return AdminRequest("POST", admin_path(_KIND, order, "check"))


@ORDERS.command("resolve", _order_table)
def orders_resolve(
    order: _Order, note: Annotated[str, typer.Option(help="What was done about it, for the audit.")]
) -> AdminRequest:
    """Note that an order which needed attention was dealt with."""
    return AdminRequest("POST", admin_path(_KIND, order, "resolve"), {"note": note})


@ORDERS.command("reconcile", _difference_table)
def orders_reconcile(
    since: Annotated[str, typer.Option(help="A day (2026-01-31) or a time: payments made since then.")],
) -> AdminRequest:
    """List payments at the providers without an order here.

    There are some after a restored backup. The status is 1 if there are any.
    """
    return AdminRequest(
        "GET", f"{_KIND}/differences", query={"since": since}, is_long=True, status=_failed_status
    )


COMMANDS = FeatureCommands(groups=(ORDERS,))
