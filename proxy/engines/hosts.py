"""The supervisor's hosts: for every hosted engine its processes, their states, their sockets."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from policies.host_health import is_frozen
from proxy.engines import environments
from proxy.engines.children import Child, Keeper
from proxy.engines.environments import EnvironmentRefused
from proxy.engines.registry import HostedEngineSpec
from speech_engine.host.pipe import BeginHost, HostState, Message, Tick

_LOOK_EVERY_S = 0.5

_log = structlog.get_logger()


class Python(NamedTuple):
    """The interpreter that runs a host, and the environment variables that it gets."""

    interpreter: str
    environ: Mapping[str, str]

    def __repr__(self) -> str:
        return f"<Python {self.interpreter}>"


class Host:
    """One process of one engine: kept alive, and killed when it has work but shows no progress."""

    def __init__(
        self,
        spec: HostedEngineSpec,
        process: int,
        python: Python,
        runtime: Path,
        on_state: Callable[[HostState], None],
    ) -> None:
        self._spec = spec
        self._python = python
        self._process = process
        self._runtime = runtime
        self._on_state = on_state
        self._address = ""
        self._working = 0
        self._last_sign = 0.0
        self._begun: set[str] = set()
        name = f"{spec.name}.{process}"
        self.keeper = Keeper(name, self._begin, self._changed, self._said, lambda: bool(self._begun))

    def __repr__(self) -> str:
        return f"<Host {self.keeper!r}, {self._working} in work>"

    def kill_if_frozen(self, now: float) -> None:
        if not is_frozen(self._working, self._last_sign, now, self._spec.section.tick_s):
            return
        self._working = 0  # one kill for one freeze, however long dying takes
        silence = f"frozen: no sign of work for {self._spec.section.tick_s:g} s"
        _log.warning("host.kill.started", child=self.keeper.name, reason=silence)
        self.keeper.kill(silence)

    async def _begin(self) -> Child:
        # Every life has a socket name of its own: a dying host may still unlink the last one.
        self._address = str(self._runtime / f"{self.keeper.name}.{self.keeper.generation}.sock")
        self._working = 0
        self._begun.clear()
        interpreter, environ = self._python
        child = await Child.start("speech_engine.host", interpreter=interpreter, environ=environ)
        section = self._spec.section
        settings = msgspec.json.encode(section.settings)
        child.send(BeginHost(self._spec.name, self._spec.module, settings, self._address, section.queue))
        return child

    def _changed(self, state: str, generation: int, reason: str) -> None:
        if state in ("restarting", "failed"):
            # A process that was killed could not unlink its own socket.
            Path(self._address).unlink(missing_ok=True)
        # Its pipe has ended by then, so nothing that it said is missing.
        begun = tuple(self._begun) if state in ("restarting", "failed") else ()
        self._on_state(
            HostState(self._spec.name, self._process, generation, state, reason, self._address, begun)
        )

    def _said(self, message: Message) -> None:
        if isinstance(message, Tick):
            self._working, self._last_sign = message.working, time.monotonic()
            if message.begun:
                self._begun.add(message.begun)
            self._begun.discard(message.ended)


class Hosts:
    """All hosts of the server, started together. `on_state` gets each change, for the workers.

    `environ` is all that a host inherits from us.
    """

    def __init__(
        self,
        specs: tuple[HostedEngineSpec, ...],
        runtime: Path,
        on_state: Callable[[HostState], None],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.states: dict[tuple[str, int], HostState] = {}
        self._environ = environ
        self._tell = on_state
        self._hosts = [host for spec in specs for host in self._of(spec, runtime)]

    def __repr__(self) -> str:
        return f"<Hosts {[f'{host.engine}.{host.process} {host.state}' for host in self.states.values()]}>"

    async def run(self) -> None:
        """Run until every host has been stopped or has failed for good."""
        watching = asyncio.create_task(self._watch())
        try:
            async with asyncio.TaskGroup() as keeping:
                for host in self._hosts:
                    keeping.create_task(host.keeper.run())
        finally:
            watching.cancel()

    async def stop(self, within_s: float) -> None:
        await asyncio.gather(*(host.keeper.stop(within_s) for host in self._hosts))

    def _of(self, spec: HostedEngineSpec, runtime: Path) -> list[Host]:
        """Return the hosts of an engine. If its environment is not built, the engine fails and gets none."""
        try:
            python = Python(environments.interpreter(spec.section.plugin, spec.hosted), self._environ)
        except EnvironmentRefused as refused:
            _log.warning("host.environment.missing", engine=spec.name, reason=str(refused))
            for process in range(spec.section.processes):
                state = HostState(spec.name, process, 0, "failed", str(refused))
                self.states[spec.name, process] = state
            return []
        return [
            Host(spec, process, python, runtime, self._changed) for process in range(spec.section.processes)
        ]

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            for host in self._hosts:
                host.kill_if_frozen(time.monotonic())

    def _changed(self, state: HostState) -> None:
        self.states[state.engine, state.process] = state
        self._tell(state)
