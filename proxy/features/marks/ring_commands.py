"""`voxgate keys rotate-mark` and `rotate-receipt`: a new key before the others of a ring.

The others still find or prove what they made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from proxy.commands.command import Group, Here, KnownAnswer
from proxy.commands.tables import Line, Part
from proxy.errors import CommandRefused
from proxy.features.marks.files import MARK_KEYS, RECEIPT_KEYS

RINGS = Group("keys", "")


def _result(answer: dict[str, Any]) -> list[Part]:
    number = answer["keys"]
    told = "The server takes it at its next reload: voxgate reload." if answer["is_served"] else ""
    count = "1 key" if number == 1 else f"{number} keys"
    parts: list[Part] = [Line(f"{answer['file']} has {count} now, the new one first.")]
    return [*parts, Line(told, "yellow")] if told else parts


@RINGS.command("rotate-mark", _result)
def keys_rotate_mark(here: Here) -> KnownAnswer:
    """Let a new key make the inaudible marks. Older keys still find theirs."""
    return _rotate(here, "keys", MARK_KEYS)


@RINGS.command("rotate-receipt", _result)
def keys_rotate_receipt(here: Here) -> KnownAnswer:
    """Let a new key sign the receipts. Receipts by older keys stay good."""
    return _rotate(here, "receipt_keys", RECEIPT_KEYS)


def _rotate(here: Here, setting: str, name: str) -> KnownAnswer:
    """Put a new key before the others of a file in the data folder. Raise CommandRefused.

    `setting` is the one in [marking] by which the keys may be elsewhere.
    """
    # Imported here: they are slow, and `voxgate --help` needs none of them.
    from proxy.features.marks.section import MARKING
    from proxy.kept import data_folder
    from proxy.kept.key_ring import UnusableKeys, add_key

    config = here.config()
    if getattr(MARKING.of(config), setting):
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
    is_served = data_folder.is_held(Path(config.data))
    return KnownAnswer({"file": str(file), "keys": len(list(ring)), "is_served": is_served})
