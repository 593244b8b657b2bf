"""`voxgate detect` and the rotation of keys.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from proxy.commands.command import (
    AdminRequest,
    Command,
    CommandContext,
    CommandResult,
    FeatureCommands,
    Group,
)
from proxy.commands.tables import Line, Part
from proxy.errors import CommandRefused
from proxy.features.marks.section import MARK_KEYS, RECEIPTS_GONE

NOT_FOUND, UNUSABLE = 1, 2
"""The status of a command that found nothing, and of one that could not look."""

_MANIFESTS = {
    "trusted": "signed by this server, and it fits the file",
    "valid": "it fits the file, but this server did not sign it; signed in the name of",
    "invalid": "it does not fit the file, or is damaged",
}


_OURS = "It carries this server's mark."
_SHARED = "It carries the mark of another server that shares the key."
_WITHOUT_KEY = "It carries a mark of machines that speak, which does not say whose."
_HINT = "A mark can be copied onto another sound. Only a manifest proves who spoke it."


def detect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording.")],
    manifest: Annotated[Path | None, typer.Option(help="The C2PA manifest that came beside it.")] = None,
) -> AdminRequest:
    """Tell whether a recording has this server's mark or manifest.

    The status is 0 for yes, 1 for no, 2 for a failure.
    """
    files = {"file": file} if manifest is None else {"file": file, "manifest": manifest}
    work = "marks are looked for"
    # Status 1 is an answer here, so a failure has another one.
    return AdminRequest(
        "POST", "marks/detect", {}, files=files, work=work, status=_status, failed_status=UNUSABLE
    )


def _status(answer: dict[str, Any]) -> int:
    if answer["found"]:
        return 0
    # Without a key there was no search. Then this may not be the server's data folder.
    return NOT_FOUND if answer["marks"] else UNUSABLE


def _verdict(answer: dict[str, Any]) -> list[Part]:
    found, seconds, first = answer["found"], answer["seconds"], _headline(answer)
    is_hint = first in (_OURS, _SHARED)
    rest = " Only that part of the recording was looked at." if answer["is_cut"] else ""
    return [
        Line(first, "green" if found and not is_hint else "yellow"),
        *([Line(_HINT)] if is_hint else []),
        *[Line(f"inaudible mark ({mark['plugin']}): {_mark_text(mark)}") for mark in answer["marks"]],
        Line(f"signed manifest (C2PA): {_manifest_text(answer['c2pa'])}"),
        Line(f"Looked at: {seconds:.1f} s.{rest}"),
    ]


def _headline(answer: dict[str, Any]) -> str:
    if answer["c2pa"] is not None and answer["c2pa"]["signed_by_us"]:
        return "Spoken here."
    found = [mark for mark in answer["marks"] if mark["found"]]
    keyed = [mark for mark in found if mark["key"]]
    if keyed:
        return _SHARED if all(mark["is_ours"] is False for mark in keyed) else _OURS
    if not answer["marks"]:
        return "No mark was looked for: this data folder has no keys of marks."
    return _WITHOUT_KEY if found else "Nothing shows that this was spoken here."


def _mark_text(mark: dict[str, Any]) -> str:
    figures = f"score {mark['score']:.1f}, found from {mark['threshold']:.1f} on"
    if not mark["found"]:
        return f"not found ({figures})"
    day = "on a day that cannot be read" if mark["day"] is None else f"made on {mark['day']}"
    whose = " by another installation" if mark["is_ours"] is False else ""
    key = f" with the key {mark['key']}" if mark["key"] else ", without a key"
    return f"found, {day}{whose}{key} ({figures})"


def _manifest_text(manifest: dict[str, Any] | None) -> str:
    if manifest is None:
        return "none"
    words = _MANIFESTS[manifest["validation_state"]]
    if manifest["validation_state"] == "valid":
        return f"{words} {manifest['issuer'] or 'nobody'}"
    return f"{words}, {manifest['generated_at']}" if manifest["generated_at"] else words


DETECT = Command("detect", detect, _verdict)


RINGS = Group("keys", "")


def _result(answer: dict[str, Any]) -> list[Part]:
    number = answer["keys"]
    remark = "The server takes it at its next reload: voxgate reload." if answer["is_served"] else ""
    count = "1 key" if number == 1 else f"{number} keys"
    parts: list[Part] = [Line(f"{answer['file']} has {count} now, the new one first.")]
    return [*parts, Line(remark, "yellow")] if remark else parts


@RINGS.command("rotate-mark", _result)
def keys_rotate_mark(here: CommandContext) -> CommandResult | AdminRequest:
    """Let a new key make the inaudible marks. Older keys still find theirs."""
    # Imported here: they are slow, and `voxgate --help` needs none of them.
    from proxy.config.addresses import is_postgres
    from proxy.features.marks.section import SECTION
    from proxy.file_store import data_folder
    from proxy.file_store.key_ring import add_key
    from proxy.file_store.master_keys import VaultFailed

    config = here.config()
    if SECTION.of(config).keys:
        raise CommandRefused(
            "the keys are where marking.keys says: put a new one before the others there, "
            "then run voxgate reload"
        )
    if is_postgres(config.storage.url):
        return AdminRequest("POST", "marking/rotations", {"ring": "keys"})
    file = Path(config.data) / MARK_KEYS
    try:
        ring = add_key(file)
    except OSError as error:
        raise CommandRefused(f"{file}: {error.strerror}") from None
    except VaultFailed as error:
        raise CommandRefused(str(error)) from None
    is_served = data_folder.is_held(Path(config.data))
    return CommandResult({"file": str(file), "keys": len(list(ring)), "is_served": is_served})


def _receipt_gone(words: Annotated[list[str] | None, typer.Argument()] = None) -> None:
    """Say what is in the place of receipts."""
    del words
    raise CommandRefused(RECEIPTS_GONE)


_FOR_ANY_WORDS = {"hidden": True, "context_settings": {"ignore_unknown_options": True}}
RECEIPT = Command("receipt", _receipt_gone, lambda _: [], without_config=True, settings=_FOR_ANY_WORDS)
RINGS.commands.append(RECEIPT._replace(name="rotate-receipt"))


COMMANDS = FeatureCommands(commands=(DETECT, RECEIPT), key_groups=(RINGS,))
