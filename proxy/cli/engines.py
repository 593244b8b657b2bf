"""`voxgate engines`: their list, and loading, unloading and restarting them on a live server.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from proxy.cli.admin_requests import show_answer, typer_function
from proxy.cli.checked_speech import PROVE
from proxy.cli.diagnosis import print_findings
from proxy.cli.machine_orders import AllMachines, OneMachine, give_order
from proxy.cli.options import ConfigFile, Printed
from proxy.commands.command import AdminRequest
from proxy.commands.tables import Grid, Line, Part
from proxy.errors import CommandRefused
from proxy.feature_list import load_config

engines = typer.Typer(help="List the engines with their state and models.", invoke_without_command=True)

_Name = Annotated[str, typer.Argument(metavar="ENGINE", help="An engine of the configuration.")]
_Now = Annotated[bool, typer.Option("--now", help="Break off the jobs that it speaks.")]


@engines.callback()
def list_(
    context: typer.Context,
    is_for_all: AllMachines = False,
    shows_hosts: Annotated[bool, typer.Option("--hosts", help="List the hosts that have joined.")] = False,
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """List the engines with their state and models. Without a server, those of the configuration."""
    if context.invoked_subcommand is not None:
        return
    if is_for_all:
        show_answer(AdminRequest("GET", "machines"), config_file, form, _machine_table)
        return
    if shows_hosts:
        show_answer(AdminRequest("GET", "hosts"), config_file, form, _host_table)
        return
    from proxy.config.server_section import server_of
    from proxy.diagnosis.config_check import check_config
    from proxy.engines import registry
    from proxy.file_store import data_folder

    if data_folder.is_held(Path(server_of(config_file).data)):
        show_answer(AdminRequest("GET", "engines"), config_file, form, engine_table)
    else:
        found = check_config(load_config(config_file), registry.load())
        print_findings([each for each in found if each.what in ("engine", "plugin")], form)


def _add_command(action: str, about: str) -> None:
    def switch(
        name: _Name,
        now: _Now = False,
        machine: OneMachine = None,
        is_for_all: AllMachines = False,
        config_file: ConfigFile = None,
        form: Printed = None,
    ) -> None:
        from proxy.config.server_section import server_of
        from proxy.file_store import data_folder

        if machine is not None or is_for_all:
            give_order(action, machine, is_for_all, config_file, form, engine=name, now=now)
            return
        data = server_of(config_file).data
        if not data_folder.is_held(Path(data)):
            raise CommandRefused(f"no server runs on {data}; start it: voxgate serve")
        body = {"action": action, "now": now}
        admin_request = AdminRequest("POST", f"engines/{quote(name, safe='')}/switch", body)
        show_answer(admin_request, config_file, form, _show_switched)

    engines.command(action, help=about)(switch)


_add_command(
    "load", "Load an engine that was unloaded, or has failed. `voxgate engines` shows when it is ready."
)
_add_command("unload", "End the hosts of an engine, so that its memory is free.")
_add_command("restart", "End the hosts of an engine, and start new ones. With --all, machine by machine.")

engines.command(PROVE.name)(typer_function(PROVE))


def _show_switched(answer: dict[str, Any]) -> list[Part]:
    done = {"load": "is loaded, or loads", "unload": "is unloaded", "restart": "starts again"}[
        answer["action"]
    ]
    return [Line(f"{answer['name']} {done}.")]


def _machine_table(answer: dict[str, Any]) -> list[Part]:
    rows = [
        (machine["name"], each["name"], each["state"], each["reason"])
        for machine in answer["data"]
        if machine["is_alive"]
        for each in machine["engines"]
    ]
    if not rows:
        return [Line("None: a server on SQLite is the only one; leave out --all.")]
    return [Grid(("machine", "engine", "state", "reason"), rows)]


def _host_table(answer: dict[str, Any]) -> list[Part]:
    rows = []
    for row in answer["data"]:
        state = "watched" if row["is_watched"] else row["trouble"] or "left to other gateways"
        names = ", ".join(row["engines"])
        cells = (row["cluster"], row["address"], names, row["joined"], row["key"], state, row["machine"])
        rows.append(cells)
    if not rows:
        return [Line("None has joined: voxgate host --join URL, with a key of the role host.")]
    return [Grid(("cluster", "from", "engines", "since", "key", "state", "host"), rows)]


def engine_table(answer: dict[str, Any]) -> list[Part]:
    rows = []
    for row in answer["data"]:
        jobs = f"{row['running']}/{row['slots']}"
        models = ", ".join(row["models"])
        credentials = ", ".join(row["credentials"]) if len(row["credentials"]) > 1 else ""
        spent = ", ".join(f"{_usd(s['usd'])} of {_usd(s['of_usd'])} a {s['period']}" for s in row["budgets"])
        licences = ", ".join(dict.fromkeys(filter(None, row["licences"].values())))
        loaded = row["loaded"]
        state = row["state"] if loaded is None else f"{row['state']} {loaded:.0%}"
        cells = (row["name"], state, jobs, str(row["waiting"]), models, spent)
        memory = f"{row['memory_gb']:.1f} GB on {row['device']}" if row["device"] else ""
        card = _card(row["figures"])
        rows.append((*cells, row["reason"], licences, memory, card, row["plugin"], credentials))
    faults = [
        Line(f"plugin {f['plugin']} failed at {f['stage']}: {f['reason']}", "red") for f in answer["faults"]
    ]
    columns = ("engine", "state", "jobs", "waiting", "models", "spent", "reason")
    wide = ("licence", "memory", "card", "plugin")
    grid = Grid((*columns, *wide, "credentials"), rows, wide)
    return [grid, *_batches(answer["data"]), *faults]


def _batches(engines: list[dict[str, Any]]) -> list[Part]:
    """Show each batched model's rows in a step, its speed, and the listeners whose sound paused."""
    rows = [
        (
            engine["name"],
            f"{figures['step_width']:.1f} of {figures['step_width_limit']:.0f}",
            f"{figures['step_seconds'] * 1000:.0f} ms",
            f"{figures['realtime_factor']:.1f}×",
            f"{figures['dry_listeners']:.0f}",
        )
        for engine in engines
        if "step_width" in (figures := engine["figures"])
    ]
    return [Grid(("batch", "rows a step", "step", "real time", "listeners dry"), rows)] if rows else []


def _card(figures: dict[str, float]) -> str:
    """Show the card's memory in use by all processes, and its load if it is known."""
    if "device_memory_total_bytes" not in figures:
        return ""
    used, total = (figures[f"device_memory_{name}_bytes"] / 1024**3 for name in ("used", "total"))
    busy = figures.get("device_utilisation")
    return f"{used:.1f} of {total:.1f} GB" + ("" if busy is None else f", {busy:.0%} busy")


def _usd(value: float) -> str:
    """Show dollars and cents, and less than a dollar in millionths: a sentence costs less than a cent."""
    whole, _, decimals = f"{value:.{2 if value >= 1 else 6}f}".partition(".")
    return f"${whole}.{decimals.rstrip('0').ljust(2, '0')}"
