"""docs/commands.md, docs/monitoring.md: the commands, metrics and events that there are, and no others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import httpx2
import typer.main
from typer.core import TyperGroup

from proxy.cli.main import make_app
from tests.docs import pages
from tests.docs.pages import ROOT
from tests.server import Server

_STATES = ("starting", "ready", "restarting", "waiting", "failed")


def test_every_command_is_documented() -> None:
    documented = [code for row in pages.rows(pages.doc("commands.md")) for code in pages.codes(row[0])]
    assert sorted(documented) == sorted(commands_of(typer.main.get_command(make_app()), "voxgate"))


def test_every_metric_is_documented_with_its_kind(shipped: Server) -> None:
    documented = {(pages.codes(name)[0], _kind(name, what)) for name, what in _table("Metrics")}
    page = httpx2.get(shipped.metrics).text
    shown = set(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
    assert shown == documented


def _kind(name: str, what: str) -> str:
    """As the page tells it: by the end of the name, or a histogram in so many words."""
    if what.startswith("histogram, "):
        return "histogram"
    return "counter" if name.endswith("_total`") else "gauge"


def test_every_log_event_is_documented_with_its_level() -> None:
    documented = {
        (code, level)
        for heading, level in (("Errors", "error"), ("Warnings", "warning"), ("Information", "info"))
        for row in _table(heading)
        for code in pages.codes(row[0])
    }
    assert documented == {pair for room in ("proxy", "speech_engine") for pair in _events(room)}


def _table(heading: str) -> list[list[str]]:
    return pages.rows(pages.section(pages.doc("monitoring.md"), heading))


def commands_of(command: object, name: str) -> Iterator[str]:
    if isinstance(command, TyperGroup):
        if command.invoke_without_command:
            yield name
        for part, inner in command.commands.items():
            yield from commands_of(inner, f"{name} {part}")
    else:
        yield name


def _events(room: str) -> Iterator[tuple[str, str]]:
    """Every call of a logger with an event's name; the children's states are put together at run time."""
    for file in (ROOT / room).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            event = node.args[0]
            if node.func.attr in ("info", "warning", "error") and isinstance(event, ast.Constant):
                yield (str(event.value), node.func.attr)
    if room == "proxy":
        yield from (
            (f"child.state.{state}", "info" if state in _STATES[:2] else "warning") for state in _STATES
        )
