"""`voxgate alerts …`: what needs an operator, and a test of the mails."""

from __future__ import annotations

from typing import Any

from proxy.commands.command import AdminRequest, FeatureCommands, Group, admin_path
from proxy.commands.tables import Line, Part, make_grid, show_line

ALERTS = Group("alerts", "What needs an operator now.")


def _table(answer: dict[str, Any]) -> list[Part]:
    if not answer["data"]:
        return [Line("Nothing needs you.")]
    return [
        make_grid(
            answer,
            {"alert": "title", "name": "name", "machine": "machine", "detail": "detail", "since": "since"},
        )
    ]


@ALERTS.command("list", _table)
def alerts_list() -> AdminRequest:
    """List what is wrong now."""
    return AdminRequest("GET", "alerts")


@ALERTS.command("test", show_line("{mails} mail(s) are on their way."))
def alerts_test() -> AdminRequest:
    """Send a test to all addresses of [alerts]."""
    return AdminRequest("POST", admin_path("alerts", "test"))


COMMANDS = FeatureCommands(groups=(ALERTS,))
