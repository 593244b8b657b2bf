"""`voxgate check` and `voxgate doctor`: their findings, in one table.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.options import ConfigFile, Printed
from proxy.commands.tables import Grid, Line, PrintForm, print_answer
from proxy.config.finding import Finding
from proxy.feature_list import load_config

_SIGNS = {"ok": Line("ok", "green"), "note": Line("note", "yellow"), "wrong": Line("wrong", "red")}


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
    """Check the configuration, or a plugin. Nothing is started but a plugin's engines."""
    import asyncio

    import msgspec

    from proxy.diagnosis import probes
    from proxy.diagnosis.config_check import check_config
    from proxy.diagnosis.doctor.databases import missing_plans
    from proxy.diagnosis.doctor.machine import data_folder
    from proxy.diagnosis.plugin_check import check_plugin
    from proxy.engines import registry

    if plugin is not None:
        # Its settings are the defaults, unless there is a --config.
        own_config = load_config(config_file) if config_file else None
        findings = list(check_plugin(plugin, own_config, voice))
    else:
        loaded, plugins = load_config(config_file), registry.load()
        results = probes.run_probes(loaded, plugins)
        spoken: list[Finding] = []
        if live:
            from proxy.diagnosis.live_check import check_live

            spoken, models = asyncio.run(check_live(loaded, plugins))
            results = msgspec.structs.replace(results, models={**results.models, **models})
        found = check_config(loaded, plugins, results)
        unusable = (each for each in data_folder(loaded) if each.verdict == "wrong")
        findings = [*found, *unusable, *missing_plans(loaded), *spoken]
    _report(findings, form)


def doctor(config_file: ConfigFile = None, form: Printed = None) -> None:
    """Find why this machine cannot serve, and say what to do. Nothing is started."""
    from proxy.diagnosis.doctor.examination import examine

    _report(list(examine(config_file)), form)


def _report(findings: list[Finding], form: PrintForm) -> None:
    if not print_findings(findings, form):
        sys.exit(1)


def print_findings(findings: list[Finding], form: PrintForm) -> bool:
    """Print findings as a table, or as JSON. Return whether nothing is wrong."""
    is_ok = all(finding.verdict != "wrong" for finding in findings)
    rows = [
        {"check": f.what, "name": f.name, "state": f.verdict, "found": f.found, "do": f.do} for f in findings
    ]
    print_answer({"ok": is_ok, "data": rows}, form, lambda _: [_findings_table(findings)])
    return is_ok


def _findings_table(findings: list[Finding]) -> Grid:
    # The advice follows in the same column: a column of its own would be too narrow in 80 columns.
    rows = [(_SIGNS[f.verdict], f.what, f.name, f"{f.found} → {f.do}" if f.do else f.found) for f in findings]
    return Grid(("", "what", "name", "found"), rows)
