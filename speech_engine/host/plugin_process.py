"""The process of one plugin, `python -m MODULE PIPE_FD`, started by a worker.

It loads the plugin, gives up programs and the network, and then serves what comes over its pipe.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from speech_engine.host.confinement import confine, limit_memory
from speech_engine.host.log import HostLogger
from speech_engine.host.pipe import ParentPipe
from speech_engine.host.pipe_messages import BeginPlugin, Broken
from speech_engine.plugin import Context, Kind, worker_plugin

Serve = Callable[[ParentPipe, BeginPlugin, HostLogger], Awaitable[None]]


@asynccontextmanager
async def open_confined(kind: Kind, begin: BeginPlugin, log: HostLogger) -> AsyncIterator[Any]:
    """Load the plugin, and give up what it does not need from then on."""
    limit_memory(begin.memory_mb)
    settings_type, create = worker_plugin(begin.module, kind)
    settings = msgspec.json.decode(begin.settings, type=settings_type)
    async with create(begin.name, settings, Context(log)) as plugin:
        for lack in confine(begin.needs):
            log.warning("host.confinement.missing", what=lack)
        yield plugin


async def _life(serve: Serve, pipe: ParentPipe, begin: BeginPlugin, log: HostLogger) -> None:
    try:
        await serve(pipe, begin, log)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the seam around a plugin: the worker learns why
        pipe.send(Broken(f"{type(error).__name__}: {error}"))


def run(serve: Serve) -> None:
    """Serve until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe = ParentPipe(int(sys.argv[1]))
    begin = pipe.receive()
    if isinstance(begin, BeginPlugin):
        asyncio.run(_life(serve, pipe, begin, HostLogger(begin.name)))
    # A library's threads must not keep the process.
    os._exit(1)
