"""Programs that kill themselves, each in a process of its own: forked from one that has their imports.

A new Python with the imports of a worker takes 0.8 s of CPU, a fork some milliseconds. All programs of one
process of tests have the same parent, which has one thread, no event loop and no open database.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import importlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import msgspec

_LIMIT_S = 60.0
_OURS = ("proxy.", "policies.", "speech_engine.", "plugins.")


class Ended(NamedTuple):
    """The exit status of a program, or the negative number of its signal, and all that it printed."""

    status: int
    printed: str


class _Order(msgspec.Struct):
    """`modules` are those that the parent imports first: a program imports some of them late."""

    modules: list[str]
    module: str
    arguments: tuple[str, ...]
    output: str


class _Parent:
    """The process that forks, and ends with this one."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            (sys.executable, "-m", "tests.forked"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        atexit.register(self._process.communicate)

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def fork(self, order: _Order) -> int:
        """Return the status of the program."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        limit = threading.Timer(_LIMIT_S, os.killpg, (self._process.pid, signal.SIGKILL))
        limit.start()
        try:
            self._process.stdin.write(msgspec.json.encode(order) + b"\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        finally:
            limit.cancel()
        assert answer, f"{order.module} hangs: {Path(order.output).read_text()[-4000:]}"
        return int(answer)


_parents: list[_Parent] = []


async def run(module: str, *arguments: str) -> Ended:
    """Run the coroutine function `main` of a module with these arguments. It leaves nothing behind."""
    return await asyncio.to_thread(_run, module, arguments)


def _run(module: str, arguments: tuple[str, ...]) -> Ended:
    modules = [name for name in sys.modules if name.startswith(_OURS)]
    if not _parents or not _parents[-1].is_alive():
        _parents.append(_Parent())
    with tempfile.NamedTemporaryFile() as output:
        status = _parents[-1].fork(_Order(modules, module, arguments, output.name))
        return Ended(status, output.read().decode())


def _serve() -> None:
    for line in sys.stdin.buffer:
        order = msgspec.json.decode(line, type=_Order)
        for name in order.modules:
            importlib.import_module(name)
        module = importlib.import_module(order.module)
        gc.freeze()
        child = os.fork()
        if not child:
            _become(module, order)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _become(module: Any, order: _Order) -> NoReturn:
    output = os.open(order.output, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    status = 1
    try:
        asyncio.run(module.main(*order.arguments))
        status = 0
    except Exception:  # noqa: BLE001 - the test shows what it was
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve()
