"""Processes of plugins that a worker starts for itself, when it first needs them: comparers and marks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import NamedTuple

from proxy.engines.children import Child
from speech_engine.host.pipe_messages import BeginPlugin, Broken, Message


class PluginProcessFailed(Exception):
    """The plugin could not be loaded. The message says why."""


class PluginProcess(NamedTuple):
    """A process that has loaded its plugin. `ready` is the message that said so."""

    child: Child
    messages: AsyncGenerator[Message, None]
    ready: Message


class PluginLauncher:
    """Starts processes of one plugin, and sees to their end. Close it."""

    def __init__(self, module: str, begin: BeginPlugin, interpreter: str, environ: Mapping[str, str]) -> None:
        self._module = module
        self._begin = begin
        self._interpreter = interpreter
        self._environ = environ
        self._ending: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<PluginLauncher {self._begin.name}, {len(self._ending)} ending>"

    async def start(self) -> PluginProcess:
        """Start a process, and wait until it is ready. Raise PluginProcessFailed."""
        name = self._begin.name
        try:
            child = await Child.start(self._module, interpreter=self._interpreter, environ=self._environ)
        except OSError as error:
            raise PluginProcessFailed(f"{name} cannot be started: {error.strerror}") from None
        messages = child.messages()
        process: PluginProcess | None = None
        try:
            child.send(self._begin)
            match await anext(messages, None):
                case None:
                    raise PluginProcessFailed(f"{name} ended while it started")
                case Broken(reason):
                    raise PluginProcessFailed(f"{name} cannot be used: {reason}")
                case ready:
                    process = PluginProcess(child, messages, ready)
            return process
        finally:
            if process is None:
                self.end(child, messages)

    def end(self, child: Child, messages: AsyncGenerator[Message, None]) -> None:
        """Kill a process, and leave the rest to the background. Nobody may read its messages meanwhile."""
        ending = asyncio.create_task(_end(child, messages))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        while self._ending:
            await asyncio.wait(self._ending)


async def _end(child: Child, messages: AsyncGenerator[Message, None]) -> None:
    async with aclosing(messages):
        child.kill()
    await child.wait_for_end()
