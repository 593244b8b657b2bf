"""`voxgate keys rotate-…`: new keys in place of old ones.

`rotate-master` gives every sealed row a key that the newest master key wraps. The keys of marks and receipts
are rings: a new key comes first, and the others still find or prove what they made.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxy.cli.options import ConfigFile, Printed
from proxy.commands.tables import Line, Part, print_answer
from proxy.errors import CommandRefused

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


def keys_rotate_mark(config_file: ConfigFile = None, form: Printed = None) -> None:
    """Let a new key make the inaudible marks. Older keys still find theirs."""
    from proxy.features.marks.marker import KEYS_FILE

    print_answer(rotate_ring(config_file, "keys", KEYS_FILE), form, _ring_result)


def keys_rotate_receipt(config_file: ConfigFile = None, form: Printed = None) -> None:
    """Let a new key sign the receipts. Receipts by older keys stay good."""
    from proxy.features.marks.receipt_keys import KEYS_FILE

    print_answer(rotate_ring(config_file, "receipt_keys", KEYS_FILE), form, _ring_result)


def rotate_ring(config_file: Path | None, setting: str, name: str) -> dict[str, Any]:
    """Put a new key before the others of a file in the data folder. Raise CommandRefused.

    `setting` is the one in [marking] by which the keys may be elsewhere.
    """
    from proxy.config import config_toml
    from proxy.kept import data_folder
    from proxy.kept.key_ring import UnusableKeys, add_key

    config = config_toml.load(config_file)
    if getattr(config.marking, setting):
        raise CommandRefused(
            f"the keys are where marking.{setting} says: put a new one before the others there, "
            "then run voxgate reload"
        )
    file = Path(config.data) / name
    try:
        ring = add_key(file)
    except OSError as error:
        raise CommandRefused(f"{file}: {error.strerror}") from None
    except UnusableKeys as error:
        raise CommandRefused(str(error)) from None
    return {"file": str(file), "keys": len(list(ring)), "is_served": data_folder.is_held(Path(config.data))}


def _ring_result(answer: dict[str, Any]) -> list[Part]:
    number = answer["keys"]
    told = "The server takes it at its next reload: voxgate reload." if answer["is_served"] else ""
    count = "1 key" if number == 1 else f"{number} keys"
    parts: list[Part] = [Line(f"{answer['file']} has {count} now, the new one first.")]
    return [*parts, Line(told, "yellow")] if told else parts


def _rotate(config_file: Path | None, status: Status) -> dict[str, Any]:
    import asyncio

    from proxy.config import config_toml
    from proxy.processes.admin_client import admin_client

    async def rotate() -> dict[str, Any]:
        async with admin_client(config_toml.load(config_file), _STEP_S) as client:
            return await _all_steps(client, status)

    return asyncio.run(rotate())


async def _all_steps(client: AdminClient, status: Status) -> dict[str, Any]:
    rewrapped, damaged, step = 0, 0, {}
    is_done = False
    while not is_done:
        step = await client.ask("POST", "vault/rotations", {"skip": damaged})
        rewrapped, damaged = rewrapped + step["rewrapped"], damaged + step["damaged"]
        status.update(f"{rewrapped} keys wrapped anew, {step['left'] - damaged} left")
        # Rows that somebody else wraps at the same moment are in neither number, and the next step sees them.
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
