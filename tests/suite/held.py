"""Steps that held the event loop of a server for long, in any test of a run: a report, never a failure.

A busy machine makes such steps, too. `tests/soak/test_loop_holds.py` judges the product.
"""

from collections.abc import Iterable
from typing import Any

import pytest

_SHOWN = 10
_held: list[str] = []


def note_holds(holds: Iterable[object]) -> None:
    """Add holds to the report of this run."""
    _held.extend(map(str, holds))


class Held:
    """Brings together what each process of a run has noted."""

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if (output := getattr(session.config, "workeroutput", None)) is not None:
            output["held"] = _held

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        note_holds(getattr(node, "workeroutput", {}).get("held", ()))

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if _held:
            terminalreporter.section("loop.held")
            terminalreporter.write_line(f"{len(_held)} steps held a loop for long; the first ones:")
        for line in _held[:_SHOWN]:
            terminalreporter.write_line(line[:400])
