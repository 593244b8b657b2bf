"""`voxgate certificates make FOLDER`: files that gateways and hosts know one another by."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from proxy.commands.command import CommandResult, Group
from proxy.commands.tables import Grid, Line, Part

CERTIFICATES = Group("certificates", "Certificates: how gateways and hosts know one another.")

_FILES = (
    ("host.pem", "hosts", "host.certificate"),
    ("host.key", "hosts", "host.key"),
    ("gateways-authority.pem", "hosts", "host.authority"),
    ("gateway.pem", "gateways", "clusters.NAME.certificate"),
    ("gateway.key", "gateways", "clusters.NAME.key"),
    ("hosts-authority.pem", "gateways", "clusters.NAME.authority"),
    ("hosts-authority.key", "no server", ""),
    ("gateways-authority.key", "no server", ""),
)
"""Each file, the machines that need it, and the key of their configuration that names it."""


def _show_certificates(answer: dict[str, Any]) -> list[Part]:
    rows = [
        (row["file"], "new" if row["is_new"] else "as before", row["machines"], row["key"])
        for row in answer["data"]
    ]
    return [
        Grid(("file", "state", "machines", "key"), rows),
        Line(f"The pairs end on {answer['ends'][:10]}; run this again before. It keeps the authorities."),
        Line(
            "The keys of the authorities make more pairs: keep them in a safe place, on no server.", "yellow"
        ),
    ]


@CERTIFICATES.command("make", _show_certificates, without_config=True)
def make(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the files are, or will be.")],
) -> CommandResult:
    """Make certificates for hosts and gateways, and their authorities."""
    from proxy.hosts.cluster import authorities

    made_pairs = authorities.make(folder)
    rows = [
        {
            "file": file,
            "is_new": Path(file).stem in made_pairs.names,
            "machines": machines,
            "key": key,
        }
        for file, machines, key in _FILES
    ]
    return CommandResult({"folder": str(folder), "data": rows, "ends": made_pairs.end.isoformat()})
