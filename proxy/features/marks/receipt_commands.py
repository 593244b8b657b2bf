"""`voxgate receipt …`: receipts of clips. To verify one, neither a server nor its configuration is needed.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from proxy.commands.command import Group, KnownAnswer
from proxy.commands.tables import Line, Part

UNUSABLE = 2

RECEIPT = Group("receipt", "Receipts: what was said of a clip by the server that made it.")


def _result(answer: dict[str, Any]) -> list[Part]:
    parts: list[Part] = [
        Line(f"{line['line']}: {line['found']}", "" if line["is_good"] else "red") for line in answer["lines"]
    ]
    is_verified = answer["is_verified"]
    return [*parts, Line("Verified." if is_verified else "Not verified.", "green" if is_verified else "red")]


@RECEIPT.command("verify", _result, is_alone=True)
def receipt_verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The audio, as the server sent it.")],
    receipt_file: Annotated[
        Path, typer.Argument(metavar="RECEIPT", help="The answer of /v1/audio/receipts/ID, or its jws.")
    ],
    keys: Annotated[
        Path | None,
        typer.Option(
            help="The server's keys, from /v1/audio/receipts/keys; else the receipt's own, which a jws lacks."
        ),
    ] = None,
    source: Annotated[
        Path | None, typer.Option(help="Of a conversion: the recording that was sent for it.")
    ] = None,
) -> KnownAnswer:
    """Verify a clip by its receipt. The status is 0 for yes, 1 for no, 2 for a failure."""
    from proxy.features.marks.receipt_check import UnreadableReceipt, check_receipt

    try:
        findings = check_receipt(file, receipt_file, keys, source)
    except (UnreadableReceipt, OSError) as error:
        reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        # Status 1 is an answer here, so a failure has another one.
        typer.secho(reason, fg="red", err=True)
        raise typer.Exit(UNUSABLE) from None
    is_verified = all(finding.is_good for finding in findings)
    lines = [finding._asdict() for finding in findings]
    return KnownAnswer({"is_verified": is_verified, "lines": lines}, status=0 if is_verified else 1)
