"""The session in docs/reference/session.txt: an operator's commands on 80 columns, and what they print.

`python -m tests.docs.session` records it anew, beside a server of its own.
"""

import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.docs.pages import ROOT
from tests.server import VOXGATE, Server, running

FILE = ROOT / "docs" / "reference" / "session.txt"
WIDTH = 80
COMMANDS = (
    "voxgate --help",
    "voxgate accounts create bots --plan pro",
    'voxgate keys create --account bots --name "voice notes" --expires 90d',
    "voxgate accounts grant bots 50 --reference invoice-17",
    "voxgate accounts set-plan bots --rpm 120",
    "voxgate accounts show bots",
    "voxgate keys list --account bots",
    "voxgate plans",
    "voxgate voices add stage --cast Ana=nova,Ben=onyx --account bots",
    "voxgate voices list",
    'voxgate lexicons set en nginx="engine x" --account bots',
    "voxgate engines",
    'voxgate route explain --text "Bom dia." --language pt-BR',
    "voxgate audit --account bots",
    "voxgate ledger entries bots",
    "voxgate ledger verify",
    "voxgate reload",
    "voxgate accounts show bot",
)
_PLAIN = (
    (re.compile(r"\b(acc|key|ent|aud|req|voice)_[0-9a-f]{24}"), lambda match: f"{match[1]}_{'0' * 24}"),
    (re.compile(r"sk-vg-\w+"), lambda match: f"sk-vg-{'x' * (len(match[0]) - 6)}"),
    (re.compile(r"\d{4}-\d\d-\d\d"), lambda _match: "2026-01-31"),
    (re.compile(r"\b\d\d:\d\d\b"), lambda _match: "12:00"),
)


def record(run: Callable[[list[str]], str]) -> str:
    """Return the session; `run` gives what a command prints. Ids, keys and times are always the same."""
    lines: list[str] = []
    for command in COMMANDS:
        shown = [line.rstrip() for line in run(shlex.split(command)).splitlines()]
        lines += [f"$ {command}", *shown, ""]
    text = "\n".join(lines)
    for pattern, plain in _PLAIN:
        text = pattern.sub(plain, text)
    return text


def environ(server: Server) -> dict[str, str]:
    return {"VOXGATE_CONFIG": str(server.config), "COLUMNS": str(WIDTH)}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        with running(Path(folder), (ROOT / "config.toml").read_text()) as server:
            everything = {**os.environ, **environ(server)}

            def run(command: list[str]) -> str:
                asked = [str(VOXGATE.with_name(command[0])), *command[1:]]
                done = subprocess.run(asked, env=everything, capture_output=True, text=True, check=False)
                return done.stdout + done.stderr

            FILE.write_text(record(run))


if __name__ == "__main__":
    main()
