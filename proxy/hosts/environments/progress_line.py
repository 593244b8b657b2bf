"""The progress of a build and a fetch: on one line of a terminal, or in a log with a line for each phase, and
one every ten seconds."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

from proxy.commands.tables import PrintForm
from proxy.hosts.environments.environment_build import BuildProgress

EVERY_S = 10.0


class ProgressLine:
    """Threads of the build and the fetch call `build` and `fetch`, whenever there is something new."""

    def __init__(self, show: Callable[[str], None], is_terminal: bool) -> None:
        self._show = show
        self._is_terminal = is_terminal
        self._lines = {"fetch": "", "build": ""}
        self._phases: dict[str, str] = {}
        self._shown_at = 0.0
        self._lock = threading.Lock()

    def build(self, progress: BuildProgress) -> None:
        phase = progress._replace(packages=0, of_packages=0, megabytes=0.0)
        self._tell("build", str(phase), str(progress))

    def fetch(self, what: str, done: int, of: int) -> None:
        whole, part = _whole_and_part(done, of)
        self._tell("fetch", f"{what}{whole}", f"{what}{part}")

    def _tell(self, which: str, phase: str, text: str) -> None:
        with self._lock:
            if self._lines[which] == text:
                return
            is_new = self._phases.get(which) != phase
            if not (self._is_terminal or is_new or time.monotonic() >= self._shown_at + EVERY_S):
                return
            self._lines[which], self._phases[which], self._shown_at = text, phase, time.monotonic()
            both = " · ".join(filter(None, self._lines.values()))
            self._show(both if self._is_terminal else phase if is_new else text)


@contextmanager
def progress_line(form: PrintForm) -> Iterator[ProgressLine]:
    """Show progress on stderr. With --json there is none."""
    console = Console(stderr=True, soft_wrap=True, highlight=False, quiet=form is True)
    if not console.is_terminal:
        yield ProgressLine(lambda text: console.print(escape(text)), is_terminal=False)
        return
    with console.status("") as status:
        yield ProgressLine(lambda text: status.update(escape(text[: console.width - 4])), is_terminal=True)


def _whole_and_part(done: int, of: int) -> tuple[str, str]:
    """Return a file's size, and how much of it is there. Both are "" where the size is unknown."""
    if not of:
        return "", ""
    unit, name = (1e6, "MB") if of >= 1e6 else (1e3, "kB")
    size = f"{of / unit:,.0f} {name}"
    return f": {size}", f": {done / unit:,.0f} of {size}"


def say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr, flush=True)  # noqa: T201
