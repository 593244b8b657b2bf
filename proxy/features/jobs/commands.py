"""`voxgate jobs …`: work that outlives its request."""

from __future__ import annotations

import time
from collections.abc import Generator
from functools import partial
from operator import ne
from pathlib import Path
from typing import Annotated, Any

import typer

from proxy.commands.command import AdminRequest, CommandContext, FeatureCommands, Group, admin_path
from proxy.commands.options import OfAccount, Sure
from proxy.commands.tables import Grid, Line, Part, number_text
from proxy.errors import CommandRefused
from proxy.file_store import data_folder

JOBS = Group("jobs", "Jobs: long texts, spoken in steps.")

_Id = Annotated[str, typer.Argument(metavar="JOB", help="The job, by its id.")]
_LOOK_S = 1.0
_COLUMNS = ("id", "account", "kind", "status", "steps", "credits", "created", "why")


def _list_table(answer: dict[str, Any]) -> list[Part]:
    rows = [
        (
            row["id"],
            row["account"],
            row.get("words", {}).get("en", {}).get("kind", row["kind"]),
            row["status"],
            _steps(row),
            number_text(row["credits"]),
            row["created"][:16].replace("T", " "),
            _why(row),
        )
        for row in answer["data"]
    ]
    return [Grid(_COLUMNS, rows, wide=("account",))]


def _steps(row: dict[str, Any]) -> str:
    """Show the progress of a job. A training is one step of the job, with many steps of its own."""
    if training := row["training"]:
        return f"{training['step']} of {training['steps']}"
    return f"{row['steps_done']} of {row['steps']}"


def _why(row: dict[str, Any]) -> str:
    waits = f"waits for {row['waits_for']}" if row["waits_for"] else ""
    return row["error"] or waits or "; ".join(row["warnings"])


def _row_table(answer: dict[str, Any]) -> list[Part]:
    """Show a job, with the columns of its kind."""
    words, columns = answer.get("words", {}).get("en", {}), answer.get("columns", {})
    lines = [Line(f"{words.get(name, name)}: {value}") for name, value in columns.items()]
    return [*_list_table({"data": [answer]}), *lines]


def _line(answer: dict[str, Any]) -> list[Part]:
    stage = (answer["training"] or {}).get("stage", "")
    # A status that equals its stage is shown once.
    parts = dict.fromkeys((answer["status"], stage, f"{_steps(answer)} steps", _why(answer)))
    return [Line(", ".join(filter(None, parts)))]


def _deletion(answer: dict[str, Any]) -> list[Part]:
    return [Line(f"Deleted {answer['id']}.")]


@JOBS.command("list", _list_table)
def jobs_list(account: OfAccount = None) -> AdminRequest:
    """List the last jobs, the newest first."""
    return AdminRequest("GET", "jobs", query={"account": account})


@JOBS.command("show", _row_table)
def jobs_show(job: _Id) -> AdminRequest:
    """Show one job."""
    return AdminRequest("GET", admin_path("jobs", job))


@JOBS.command("cancel", _row_table)
def jobs_cancel(job: _Id) -> AdminRequest:
    """End a job. What was spoken stays."""
    return AdminRequest("POST", admin_path("jobs", job, "cancel"))


@JOBS.command("retry", _row_table)
def jobs_retry(job: _Id) -> AdminRequest:
    """Speak what a job lacks that has failed or was canceled."""
    return AdminRequest("POST", admin_path("jobs", job, "retry"))


@JOBS.command("watch", _line)
def jobs_watch(
    job: _Id,
    here: CommandContext,
    minutes: Annotated[float, typer.Option(min=0, help="How long at most.")] = 1440.0,
) -> Generator[AdminRequest, Any, int]:
    """Follow a job until its end. The status is 0 if it is done, 1 if not, 2 if it goes on."""
    data = Path(here.config().data)
    if not data_folder.is_held(data):
        # Without a server, no process works on the job, and each request would lock the data folder.
        raise CommandRefused(f"no server runs on {data}; start it: voxgate serve")
    until, answer = time.monotonic() + 60 * minutes, None
    while True:
        # An answer that equals the one before is not shown.
        answer = yield AdminRequest("GET", admin_path("jobs", job), is_shown=partial(ne, answer))
        if answer["ended"] is not None:
            return 0 if answer["status"] == "done" else 1
        if time.monotonic() >= until:
            return 2
        time.sleep(_LOOK_S)


@JOBS.command("delete", _deletion)
def jobs_delete(job: _Id, is_sure: Sure = False) -> AdminRequest:
    """Delete a job with its text and its sound."""
    question = "" if is_sure else f"Delete the job {job} with its sound for good?"
    return AdminRequest("DELETE", admin_path("jobs", job), question=question)


COMMANDS = FeatureCommands(groups=(JOBS,))
