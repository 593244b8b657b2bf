"""`voxgate features`: the features of this version, and which of them a configuration turns on."""

from __future__ import annotations

from typing import Any

from proxy.commands.command import Command, CommandContext, CommandResult
from proxy.commands.tables import Grid, Line, Part


def features(here: CommandContext) -> CommandResult:
    """List the features, and which are on."""
    from proxy.feature import how_to_open
    from proxy.feature_list import FEATURES, all_features

    config = here.config()
    return CommandResult(
        [
            {
                "name": each.name,
                "on": not (setting := how_to_open(each, config)),
                "to_turn_on": setting,
                "needs": FEATURES[each.name],
                "tables": [table.name for table in each.tables],
                "endpoints": each.paths,
            }
            for each in all_features()
        ]
    )


def _show_features(answer: list[dict[str, Any]]) -> list[Part]:
    rows: list[tuple[str | Line, ...]] = [
        (
            each["name"],
            Line("on", "green") if each["on"] else Line("off", "yellow"),
            ", ".join(each["needs"]),
            ", ".join(each["tables"]),
            ", ".join(each["endpoints"]),
        )
        for each in answer
    ]
    hints = [Line(f"To turn {each['name']} on: {each['to_turn_on']}.") for each in answer if not each["on"]]
    return [
        Grid(("feature", "state", "needs", "tables", "endpoints"), rows, ("tables", "endpoints")),
        *hints,
    ]


FEATURE_LIST = Command("features", features, _show_features)
