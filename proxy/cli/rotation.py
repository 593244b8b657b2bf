"""`voxgate keys rotate-master`: every sealed row gets a key that the newest master key wraps.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxy.cli.options import ConfigFile, Printed
from proxy.commands.tables import Line, Part, print_answer
from proxy.features.all import load_config

if TYPE_CHECKING:
    from rich.status import Status

    from proxy.processes.admin_client import AdminClient

_STEP_S = 600.0


def keys_rotate_master(config_file: ConfigFile = None, form: Printed = None) -> None:
    """Let the newest master key seal everything. It goes on where it was ended."""
    from rich.console import Console

    with Console(stderr=True, quiet=form is True).status("wrapping keys anew") as status:
        rotated = _rotate(config_file, status)
    print_answer(rotated, form, _result)
    if rotated["damaged"] or rotated["missing"]:
        sys.exit(1)


def _rotate(config_file: Path | None, status: Status) -> dict[str, Any]:
    import asyncio

    from proxy.processes.admin_client import admin_client

    async def rotate() -> dict[str, Any]:
        async with admin_client(load_config(config_file), _STEP_S) as client:
            return await _all_steps(client, status)

    return asyncio.run(rotate())


async def _all_steps(client: AdminClient, status: Status) -> dict[str, Any]:
    rewrapped, damaged, step = 0, 0, {}
    is_done = False
    while not is_done:
        step = await client.ask("POST", "vault/rotations", {"skip": damaged})
        rewrapped, damaged = rewrapped + step["rewrapped"], damaged + step["damaged"]
        status.update(f"{rewrapped} keys wrapped anew, {step['left'] - damaged} left")
        # Rows that another run wraps at the same moment are in neither number, and the next step sees them.
        is_done = step["left"] <= damaged or not (step["rewrapped"] or step["damaged"])
    return {**step, "rewrapped": rewrapped, "damaged": damaged}


def _result(answer: dict[str, Any]) -> list[Part]:
    if answer["master"] is None:
        return [Line("Nothing is sealed yet, so there is nothing to do.")]
    parts: list[Part] = [
        Line(f"{answer['rewrapped']} keys were wrapped anew by master key {answer['master']}.")
    ]
    if answer["damaged"]:
        parts.append(Line(f"{answer['damaged']} rows are damaged, and stay as they are.", "red"))
    for missing in answer["missing"]:
        what = f"{missing['rows']} rows need master key {missing['id']}: name it in vault.old_master_keys."
        parts.append(Line(what, "red"))
    if len(parts) == 1:
        parts.append(Line("Nothing needs the old master keys any more. Backups from before today do.", "dim"))
    return parts
