"""`voxgate detect`: was this recording spoken here?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from proxy.commands.command import Ask, Command
from proxy.commands.tables import Line, Part

NOT_FOUND, UNUSABLE = 1, 2
"""The status of a command that found nothing, and of one that could not look."""

_MANIFESTS = {
    "trusted": "signed by this server, and it fits the file",
    "valid": "it fits the file, but this server did not sign it; signed in the name of",
    "invalid": "it does not fit the file, or is damaged",
}


_OURS = "It carries this server's mark."
_SHARED = "It carries the mark of another server that shares the key."
_ANYBODYS = "It carries a mark of machines that speak, which does not say whose."
_HINT = "A mark can be copied onto another sound. Only a manifest or a receipt proves who spoke it."


def detect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording.")],
    manifest: Annotated[Path | None, typer.Option(help="The C2PA manifest that came beside it.")] = None,
) -> Ask:
    """Tell whether a recording has this server's mark or manifest.

    The status is 0 for yes, 1 for no, 2 for a failure.
    """
    files = {"file": file} if manifest is None else {"file": file, "manifest": manifest}
    work = "marks are looked for"
    # Status 1 is an answer here, so a failure has another one.
    return Ask("POST", "marks/detect", {}, files=files, work=work, status=_status, failed=UNUSABLE)


def _status(answer: dict[str, Any]) -> int:
    if answer["found"]:
        return 0
    # Without a key there was no search, perhaps as this is not the folder of the server.
    return NOT_FOUND if answer["marks"] else UNUSABLE


def _verdict(answer: dict[str, Any]) -> list[Part]:
    found, seconds, first = answer["found"], answer["seconds"], _first(answer)
    is_hint = first in (_OURS, _SHARED)
    rest = " Only that part of the recording was looked at." if answer["is_cut"] else ""
    return [
        Line(first, "green" if found and not is_hint else "yellow"),
        *([Line(_HINT)] if is_hint else []),
        *[Line(f"inaudible mark ({mark['plugin']}): {_mark(mark)}") for mark in answer["marks"]],
        Line(f"signed manifest (C2PA): {_manifest(answer['c2pa'])}"),
        Line(f"Looked at: {seconds:.1f} s.{rest}"),
    ]


def _first(answer: dict[str, Any]) -> str:
    if answer["c2pa"] is not None and answer["c2pa"]["signed_by_us"]:
        return "Spoken here."
    found = [mark for mark in answer["marks"] if mark["found"]]
    keyed = [mark for mark in found if mark["key"]]
    if keyed:
        return _SHARED if all(mark["is_ours"] is False for mark in keyed) else _OURS
    if not answer["marks"]:
        return "No mark was looked for: this data folder has no keys of marks."
    return _ANYBODYS if found else "Nothing shows that this was spoken here."


def _mark(mark: dict[str, Any]) -> str:
    figures = f"score {mark['score']:.1f}, found from {mark['threshold']:.1f} on"
    if not mark["found"]:
        return f"not found ({figures})"
    day = "on a day that cannot be read" if mark["day"] is None else f"made on {mark['day']}"
    whose = " by another installation" if mark["is_ours"] is False else ""
    key = f" with the key {mark['key']}" if mark["key"] else ", without a key"
    return f"found, {day}{whose}{key} ({figures})"


def _manifest(manifest: dict[str, Any] | None) -> str:
    if manifest is None:
        return "none"
    words = _MANIFESTS[manifest["validation_state"]]
    if manifest["validation_state"] == "valid":
        return f"{words} {manifest['issuer'] or 'nobody'}"
    return f"{words}, {manifest['generated_at']}" if manifest["generated_at"] else words


DETECT = Command("detect", detect, _verdict)
