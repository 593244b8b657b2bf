"""`voxgate check`, `voxgate engines` and `voxgate doctor`: their findings, in one table.

The imports inside functions are slow: a command has what it examines, and `voxgate --help` needs none of it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from proxy.cli.options import ConfigFile, Form, Printed
from proxy.cli.tables import Grid, Line, Part, print_answer
from proxy.diagnosis.finding import Finding

_MARKS = {"ok": Line("ok", "green"), "note": Line("note", "yellow"), "wrong": Line("wrong", "red")}


def check(
    config_file: ConfigFile = None,
    plugin: Annotated[
        Path | None, typer.Option(help="A folder with a plugin, installed or not: check this plugin.")
    ] = None,
    voice: Annotated[str | None, typer.Option(help="The voice to try the plugin's engines with.")] = None,
    live: Annotated[
        bool,
        typer.Option("--live", help="Let every cloud engine speak a sentence, too. The providers bill you."),
    ] = False,
    form: Printed = None,
) -> None:
    """Check the configuration, or a plugin. Nothing is started."""
    import asyncio

    from proxy.config import config_toml
    from proxy.diagnosis import probes
    from proxy.diagnosis.config_check import check_config
    from proxy.diagnosis.plans_in_use import missing_plans
    from proxy.diagnosis.plugin_check import check_plugin
    from proxy.engines import registry

    if plugin is not None:
        # Its settings are the defaults, unless there is a --config.
        given = config_toml.load(config_file) if config_file else None
        findings = list(check_plugin(plugin, given, voice))
    else:
        loaded, plugins = config_toml.load(config_file), registry.load()
        findings = check_config(loaded, plugins, probes.ask(loaded, plugins)) + missing_plans(loaded)
        if live:
            from proxy.diagnosis.live_check import check_live

            findings += asyncio.run(check_live(loaded, plugins))
    _print(findings, form)
    if _has_faults(findings):
        sys.exit(1)


def engines(config_file: ConfigFile = None, form: Printed = None) -> None:
    """List the engines with their state and models. Without a server, those of the configuration."""
    from proxy.config import config_toml
    from proxy.diagnosis.config_check import check_config
    from proxy.engines import registry
    from proxy.processes import supervisor
    from proxy.processes.admin_client import ask_once

    loaded = config_toml.load(config_file)
    if supervisor.is_running(loaded):
        print_answer(ask_once(loaded, "GET", "engines"), form, engine_table)
    else:
        _print([f for f in check_config(loaded, registry.load()) if f.what in ("engine", "plugin")], form)


def doctor(config_file: ConfigFile = None, form: Printed = None) -> None:
    """Find why this machine cannot serve, and say what to do. Nothing is started."""
    from proxy.diagnosis.doctor.examination import examine

    findings = list(examine(config_file))
    _print(findings, form)
    if _has_faults(findings):
        sys.exit(1)


def _has_faults(findings: list[Finding]) -> bool:
    return any(finding.verdict == "wrong" for finding in findings)


def _print(findings: list[Finding], form: Form) -> None:
    rows = [
        {"check": f.what, "name": f.name, "state": f.verdict, "found": f.found, "do": f.do} for f in findings
    ]
    print_answer({"ok": not _has_faults(findings), "data": rows}, form, lambda _: [_table(findings)])


def _table(findings: list[Finding]) -> Grid:
    # The advice stands behind what was found: a column of its own would leave 80 columns too little room.
    rows = [(_MARKS[f.verdict], f.what, f.name, f"{f.found} → {f.do}" if f.do else f.found) for f in findings]
    return Grid(("", "what", "name", "found"), rows)


def engine_table(answer: dict[str, Any]) -> list[Part]:
    rows = []
    for row in answer["data"]:
        load = f"{row['running']}/{row['slots']}"
        models = ", ".join(row["models"])
        credentials = ", ".join(row["credentials"]) if len(row["credentials"]) > 1 else ""
        spent = ", ".join(f"{_usd(s['usd'])} of {_usd(s['of_usd'])} a {s['period']}" for s in row["budgets"])
        licences = ", ".join(dict.fromkeys(filter(None, row["licences"].values())))
        cells = (row["name"], row["state"], load, str(row["waiting"]), models, spent)
        memory = f"{row['memory_gb']:.1f} GB on {row['device']}" if row["device"] else ""
        rows.append((*cells, row["reason"], licences, memory, row["plugin"], credentials))
    faults = [
        Line(f"plugin {f['plugin']} failed at {f['stage']}: {f['reason']}", "red") for f in answer["faults"]
    ]
    columns = ("engine", "state", "running", "waiting", "models", "spent", "reason")
    wide = ("licence", "memory", "plugin")
    return [Grid((*columns, "licence", "memory", "plugin", "credentials"), rows, wide), *faults]


def _usd(value: float) -> str:
    """Show dollars and cents, and less than a dollar in millionths: a sentence costs less than a cent."""
    whole, _, decimals = f"{value:.{2 if value >= 1 else 6}f}".partition(".")
    return f"${whole}.{decimals.rstrip('0').ljust(2, '0')}"
