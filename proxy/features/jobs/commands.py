"""`voxgate jobs …`: speech that outlives its request."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from proxy.commands.command import Ask, Group, path
from proxy.commands.options import OfAccount
from proxy.commands.tables import Grid, Part

JOBS = Group("jobs", "Jobs: long texts, spoken in steps.")

_Id = Annotated[str, typer.Argument(metavar="JOB", help="The job, by its id.")]
_COLUMNS = ("id", "account", "status", "steps", "credits", "created", "why")


def _list_table(answer: dict[str, Any]) -> list[Part]:
    rows = [
        (
            row["id"],
            row["account"],
            row["status"],
            f"{row['steps_done']} of {row['steps']}",
            f"{row['credits']:g}",
            row["created"][:16].replace("T", " "),
            row["error"],
        )
        for row in answer["data"]
    ]
    return [Grid(_COLUMNS, rows, wide=("account",))]


def _row_table(answer: dict[str, Any]) -> list[Part]:
    return _list_table({"data": [answer]})


@JOBS.command("list", _list_table)
def jobs_list(account: OfAccount = None) -> Ask:
    """List the last jobs, the newest first."""
    return Ask("GET", "jobs", query={"account": account})


@JOBS.command("show", _row_table)
def jobs_show(job: _Id) -> Ask:
    """Show one job."""
    return Ask("GET", path("jobs", job))


@JOBS.command("cancel", _row_table)
def jobs_cancel(job: _Id) -> Ask:
    """End a job. What was spoken stays."""
    return Ask("POST", path("jobs", job, "cancel"))


@JOBS.command("retry", _row_table)
def jobs_retry(job: _Id) -> Ask:
    """Speak what a job lacks that has failed or was canceled."""
    return Ask("POST", path("jobs", job, "retry"))
