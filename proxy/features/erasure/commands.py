"""`voxgate erasures …`: the lines of the journal that count only once an operator accepts them."""

from __future__ import annotations

from typing import Any

from proxy.commands.command import AdminRequest, FeatureCommands, Group
from proxy.commands.options import Sure
from proxy.commands.tables import Line, Part

ERASURES = Group("erasures", "Erasures in a shared vault that no master key has signed.")


def _lines(answer: dict[str, Any]) -> list[Part]:
    return [Line(each) for each in answer["unsigned"]] or [Line("None.")]


@ERASURES.command("list", _lines)
def erasures_list() -> AdminRequest:
    """List what they would erase."""
    return AdminRequest("GET", "erasures")


@ERASURES.command("accept", _lines)
def erasures_accept(is_sure: Sure = False) -> AdminRequest:
    """Sign them, and erase what they name, for good."""
    question = "" if is_sure else "Whoever can write into the vault may have made them. Erase what they name?"
    return AdminRequest("POST", "erasures/accept", question=question)


COMMANDS = FeatureCommands(groups=(ERASURES,))
