"""Orders to other machines on the database: `voxgate engines … --machine M`, `voxgate reload --all`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from proxy.cli.admin_requests import send_request
from proxy.commands.command import AdminRequest
from proxy.commands.tables import Line, Part, PrintForm, print_answer
from proxy.errors import CommandRefused

OneMachine = Annotated[
    str | None, typer.Option("--machine", metavar="M", help="A machine of voxgate machines, by name or id.")
]
AllMachines = Annotated[bool, typer.Option("--all", help="All machines on the database.")]

_READY_S = 120.0
_POLL_S = 6.0
"""A machine renews its states every 5 s."""
_NOT_READY_YET = ("starting", "restarting", "waiting")


def give_order(
    action: str,
    machine: str | None,
    is_for_all: bool,
    config_file: Path | None,
    form: PrintForm,
    *,
    engine: str = "",
    now: bool = False,
) -> None:
    """Let one machine or all do an action, print each outcome, and exit with 1 if one has failed.

    Engines restart machine by machine: the next one begins when the one before it is ready.
    """
    if machine is not None and is_for_all:
        raise CommandRefused("give --machine or --all, not both")
    names = [machine] if machine is not None else _living_machines(config_file)
    one_by_one = action == "restart"
    outcomes: list[dict[str, Any]] = []
    for batch in [[name] for name in names] if one_by_one else [names]:
        body = {"machines": batch, "action": action, "engine": engine, "now": now}
        outcomes += send_request(AdminRequest("POST", "machines/orders", body), config_file, form)["data"]
        if any(map(_has_failed, outcomes)):
            break
        if one_by_one and batch[0] != names[-1]:
            outcomes[-1]["refusal"] = _why_not_ready(batch[0], engine, config_file)
            if outcomes[-1]["refusal"]:
                break
    print_answer(
        {"object": "list", "data": outcomes, "not_asked": len(names) - len(outcomes)}, form, _show_outcomes
    )
    if any(map(_has_failed, outcomes)):
        sys.exit(1)


def _living_machines(config_file: Path | None) -> list[str]:
    answer = send_request(AdminRequest("GET", "machines"), config_file, form=None)
    if names := [each["id"] for each in answer["data"] if each["is_alive"]]:
        return names
    raise CommandRefused(
        "no machine is on this database; a server on SQLite is the only one, so leave out --all"
    )


def _why_not_ready(id_: str, engine: str, config_file: Path | None) -> str:
    """Wait until an engine has started, and return why it has not."""
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        time.sleep(_POLL_S)
        found = send_request(AdminRequest("GET", "machines"), config_file, form=None)["data"]
        living = [each for each in found if each["id"] == id_ and each["is_alive"]]
        states = [each for machine in living for each in machine["engines"] if each["name"] == engine]
        if not states:
            return "it ended"
        if states[0]["state"] == "failed":
            return f"{engine} failed: {states[0]['reason']}"
        if states[0]["state"] not in _NOT_READY_YET:
            return ""
    return f"{engine} is not ready after {_READY_S:.0f} s"


def _has_failed(outcome: dict[str, Any]) -> bool:
    return bool(outcome["is_silent"] or outcome["refusal"])


def _show_outcomes(answer: dict[str, Any]) -> list[Part]:
    lines = []
    for each in answer["data"]:
        result = "did not answer" if each["is_silent"] else each["refusal"] or "done"
        lines.append(Line(f"{each['machine']}: {result}.", "red" if _has_failed(each) else ""))
    if answer["not_asked"]:
        lines.append(Line(f"{answer['not_asked']} machine(s) were not asked.", "yellow"))
    return [*lines]
