"""`voxgate webhooks …`: URLs of accounts that get events."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from proxy.commands.command import AdminRequest, FeatureCommands, Group, admin_path
from proxy.commands.options import OfAccount, Sure
from proxy.commands.tables import SHOW_GONE, Line, Part, make_grid, show_line
from proxy.errors import CommandRefused

WEBHOOKS = Group("webhooks", "URLs of accounts that are told what happens.")

_KIND = "webhook_endpoints"
_Webhook = Annotated[str, typer.Argument(metavar="WEBHOOK", help="A webhook, by its id (hook_…).")]


def _events(row: dict[str, Any]) -> str:
    return ", ".join(row["event_types"])


def _state(row: dict[str, Any]) -> str:
    return "on" if row["is_on"] else f"off: {row['off_reason']}"


def _list_table(answer: dict[str, Any]) -> list[Part]:
    fields = {name: name for name in ("name", "account", "url")}
    return [make_grid(answer, {**fields, "events": _events, "state": _state, "id": "id"}, wide=("events",))]


def _secret_table(row: dict[str, Any]) -> list[Part]:
    return [
        *_list_table({"data": [row]}),
        Line(row["signing_secret"]),
        Line("This secret is not shown again.", "dim"),
    ]


def _delivery_table(answer: dict[str, Any]) -> list[Part]:
    names = ("event_type", "state", "tries", "status_code", "error", "id")
    return [make_grid(answer, {name.removesuffix("_code").replace("_", " "): name for name in names})]


@WEBHOOKS.command("list", _list_table)
def webhooks_list(account: OfAccount = None) -> AdminRequest:
    """List webhooks, the newest first."""
    return AdminRequest("GET", _KIND, query={"account": account}, pages="all")


@WEBHOOKS.command("add", _secret_table)
def webhooks_add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where events are sent.")],
    events: Annotated[list[str], typer.Argument(metavar="EVENT", help="What is sent: job.done job.failed.")],
    account: Annotated[str, typer.Option(help="The account whose events they are.")] = "",
    name: Annotated[str, typer.Option(help="A name for people.")] = "webhook",
) -> AdminRequest:
    """Make a webhook, and show its secret once."""
    if not account:
        raise CommandRefused("--account: whose events are they? Name the account")
    return AdminRequest(
        "POST", _KIND, {"name": name, "url": url, "event_types": events}, query={"account": account}
    )


@WEBHOOKS.command("delete", SHOW_GONE)
def webhooks_delete(webhook: _Webhook, is_sure: Sure = False) -> AdminRequest:
    """Delete a webhook with its deliveries."""
    question = "" if is_sure else f"Delete the webhook {webhook} for good?"
    return AdminRequest("DELETE", admin_path(_KIND, webhook), question=question)


@WEBHOOKS.command("rotate", _secret_table)
def webhooks_rotate(
    webhook: _Webhook,
    keeps_old: Annotated[bool, typer.Option("--keep-old", help="The old one signs for a day more.")] = False,
) -> AdminRequest:
    """Give a webhook another secret, and show it once."""
    body = {"keep_old_secret_active_for_24_hours": keeps_old}
    return AdminRequest("POST", admin_path(_KIND, webhook, "rotate_secret"), body)


@WEBHOOKS.command("test", show_line("It answered with HTTP {status_code}."))
def webhooks_test(webhook: _Webhook) -> AdminRequest:
    """Send a sample event, and wait for the answer."""
    return AdminRequest("POST", admin_path(_KIND, webhook, "test"), {})


@WEBHOOKS.command("deliveries", _delivery_table)
def webhooks_deliveries(webhook: _Webhook) -> AdminRequest:
    """List what was and will be sent to a webhook, the newest first."""
    return AdminRequest("GET", admin_path(_KIND, webhook, "deliveries"), pages="all")


@WEBHOOKS.command("resend", lambda row: _delivery_table({"data": [row]}))
def webhooks_resend(
    delivery: Annotated[str, typer.Argument(metavar="DELIVERY", help="A delivery, by its id (dlv_…).")],
) -> AdminRequest:
    """Send an event once more that arrived or failed."""
    return AdminRequest("POST", admin_path("webhook_deliveries", delivery, "resend"))


COMMANDS = FeatureCommands(groups=(WEBHOOKS,))
