"""A process of our own that is asked over its standard input: its start, with few variables, and its end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Self

_INHERITED = ("LD_LIBRARY_PATH", "PYTHONPATH")


class PipedProcess:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.stdin, self.stdout = process.stdin, process.stdout
        self._process = process

    def __repr__(self) -> str:
        return f"<{type(self).__name__} pid {self._process.pid}>"

    @classmethod
    async def start(cls, module: str, *arguments: str, variables: Iterable[str] = ()) -> Self:
        """Start a module of ours. It has these variables, and nothing else of the server. Raises OSError."""
        names = (*_INHERITED, *variables)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", module, *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            # A pool of threads for algebra, which nobody needs here, would take most of its memory.
            env={
                **{name: os.environ[name] for name in names if name in os.environ},
                "OPENBLAS_NUM_THREADS": "1",
            },
            start_new_session=True,
        )
        return cls(process)

    @property
    def is_dead(self) -> bool:
        return self._process.returncode is not None

    async def end(self) -> None:
        """Kill it, unless it is dead, with all that it started: it leads a group of its own."""
        if not self.is_dead:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self.stdin.close()
        await self._process.wait()
