"""`voxgate voices clone` and `voxgate voices reconcile`: voices at providers."""

from __future__ import annotations

from collections.abc import Generator
from typing import Annotated, Any

import typer

from proxy.commands.command import AdminRequest, CommandContext, FeatureCommands, Group, admin_path
from proxy.commands.tables import Grid, Line, Part
from proxy.errors import CommandRefused

CLONES = Group("voices", "")

_DIFFERENCES = "clones/differences"


def _clone_table(row: dict[str, Any]) -> list[Part]:
    columns = ("voice", "engine", "credential", "state", "why", "id")
    cells = (row["voice"], row["engine"], row["credential"], row["state"], row["error"], row["id"])
    return [Grid(columns, [cells], wide=("id",))]


def _difference_table(answer: dict[str, Any]) -> list[Part]:
    rows = []
    for each in answer["data"]:
        place = (each["engine"], each["credential"])
        rows += [(*place, "lost", row["voice"], row["engine_voice"]) for row in each["lost"]]
        rows += [(*place, "unknown", "", clone["id"]) for clone in each["unknown"]]
        rows += [(*place, "recording", "", clone["id"]) for clone in each["recordings"]]
        if each["error"]:
            rows.append((*place, each["error"], "", ""))
    parts: list[Part] = [Grid(("engine", "credential", "what", "voice", "id there"), rows)]
    if not rows:
        parts = [Line("No differences.")]
    if answer["recloned"]:
        parts.append(Line(f"{answer['recloned']} clone(s) are being made again."))
    return parts


@CLONES.command("clone", _clone_table)
def voices_clone(
    voice: Annotated[str, typer.Argument(metavar="VOICE", help="A voice of a recording, by id or name.")],
    engine: Annotated[str, typer.Option(help="The engine whose provider is to have the voice.")],
    credential: Annotated[
        str, typer.Option(help="The provider's account; else default, or the engine's first.")
    ] = "",
    account: Annotated[str | None, typer.Option(help="The account of a voice that is named.")] = None,
) -> AdminRequest:
    """Have a voice cloned by a provider. That may cost money; `voices list` shows the voice at once."""
    body = {"engine": engine, "credential": credential}
    return AdminRequest("POST", admin_path("voices", voice, "clones"), body, query={"account": account})


@CLONES.command("reconcile", _difference_table)
def voices_reconcile(
    here: CommandContext,
    reclone: Annotated[
        bool, typer.Option("--reclone", help="Have lost clones made again. Costs money.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before money is spent.")] = False,
) -> Generator[AdminRequest, Any, None]:
    """Compare the clones at providers with what should be there.

    It changes nothing by itself.
    """
    if not reclone:
        yield AdminRequest("GET", _DIFFERENCES)
        return
    if not yes:
        if here.form is True:  # --json
            raise CommandRefused("--reclone spends money; with --json, add --yes")
        found = yield AdminRequest("GET", _DIFFERENCES)
        if not any(each["lost"] for each in found["data"]):
            return
        typer.confirm(_question(found), abort=True)
    yield AdminRequest("POST", _DIFFERENCES, {"reclone": True})


def _question(found: dict[str, Any]) -> str:
    lost = [(len(each["lost"]), each["fee_usd"]) for each in found["data"] if each["lost"]]
    number = sum(count for count, _ in lost)
    if any(fee is None for _, fee in lost):
        return f"Have {number} clone(s) made again? Their providers may take a fee for each."
    usd = sum(count * fee for count, fee in lost)
    return f"Have {number} clone(s) made again, for about ${usd:.2f}?"


COMMANDS = FeatureCommands(groups=(CLONES,))
