"""The process of one plugin, `python -m MODULE PIPE_FD`, started by a worker.

It loads the plugin, gives up programs and the network, and then answers the messages of its pipe.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec

from speech_engine.host.confinement import confine, limit_memory
from speech_engine.host.log import HostLogger
from speech_engine.host.pipe_messages import Broken
from speech_engine.host.plugin_messages import BeginPlugin, PluginMessage, PluginPipe
from speech_engine.plugin import Context, Kind, worker_plugin

Q = TypeVar("Q")
Serve = Callable[[PluginPipe, BeginPlugin, HostLogger], Awaitable[None]]


@asynccontextmanager
async def open_confined(kind: Kind, begin: BeginPlugin, log: HostLogger) -> AsyncIterator[Any]:
    """Load the plugin, and give up the rights that it does not need from then on."""
    limit_memory(begin.memory_mb)
    settings_type, create = worker_plugin(begin.module, kind)
    settings = msgspec.json.decode(begin.settings, type=settings_type)
    async with create(begin.name, settings, Context(log)) as plugin:
        for lack in confine(begin.needs):
            log.warning("host.confinement.missing", what=lack)
        yield plugin


async def answer_in_thread(
    questions: asyncio.Queue[Q], answer: Callable[[Q], PluginMessage | None], pipe: PluginPipe
) -> None:
    """Answer questions for ever, one after the other, in one thread: libraries prepare each thread anew."""
    with ThreadPoolExecutor(1) as thread:
        while True:
            question = await questions.get()
            found = await asyncio.get_running_loop().run_in_executor(thread, answer, question)
            if found is not None:
                pipe.send(found)


async def _serve_until_end(serve: Serve, pipe: PluginPipe, begin: BeginPlugin, log: HostLogger) -> None:
    try:
        await serve(pipe, begin, log)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the seam around a plugin: the worker learns why
        pipe.send(Broken(f"{type(error).__name__}: {error}"))


def run(serve: Serve) -> None:
    """Serve until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe = PluginPipe(int(sys.argv[1]))
    begin = pipe.receive()
    if isinstance(begin, BeginPlugin):
        asyncio.run(_serve_until_end(serve, pipe, begin, HostLogger(begin.name)))
    # A library's threads must not keep the process.
    os._exit(1)
