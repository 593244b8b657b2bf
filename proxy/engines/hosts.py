"""The supervisor's hosts: for every hosted engine its processes, their states, their sockets."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from policies.host_health import is_frozen
from proxy.engines import environments
from proxy.engines.children import Child, Keeper
from proxy.engines.engine_suspects import EngineSuspects
from proxy.engines.environments import EnvironmentRefused
from proxy.engines.model_store import store
from proxy.engines.registry import HostedEngineSpec
from speech_engine.host.pipe_messages import BeginHost, HostState, Loading, Message, TextVerdicts, Tick
from speech_engine.model_files import UnusableModel

_LOOK_EVERY_S = 0.5
_ENDED = ("restarting", "failed", "unloaded")

_log = structlog.get_logger()


def _gone(spec: HostedEngineSpec) -> str:
    return f"its model {spec.section.model} has just been removed"


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
        suspects: EngineSuspects,
    ) -> None:
        self.spec = spec
        self._suspects = suspects
        self._python = python
        self._process = process
        self._runtime = runtime
        self._on_state = on_state
        self._address = ""
        self._working = 0
        self._last_sign = 0.0
        self._begun: dict[str, bytes] = {}
        self.figures: dict[str, float] = {}
        self._licence = ""
        self._started_at = 0.0
        self._loads_s = 0.0
        self._loading = Loading(0.0, "")
        self._keeping: asyncio.Task[None] | None = None
        name = f"{spec.name}.{process}"
        self.keeper = Keeper(name, self._begin, self._changed, self._said, lambda: bool(self._begun))

    def __repr__(self) -> str:
        return f"<Host {self.keeper!r}, {self._working} in work>"

    @property
    def is_kept(self) -> bool:
        """Whether a process lives, or will be started again."""
        return self._keeping is not None and not self._keeping.done()

    @property
    def jobs(self) -> int:
        return len(self._begun)

    def keep(self, keeping: asyncio.TaskGroup) -> None:
        """Start a process, and keep it alive from now on."""
        self.keeper.revive()
        self._keeping = keeping.create_task(self.keeper.run())

    async def unload(self, within_s: float) -> None:
        """End the process, and do not start it again."""
        if self._keeping is None or not self.is_kept:
            return
        await self.keeper.stop(within_s)
        await asyncio.wait([self._keeping])
        self.keeper.state = "unloaded"
        self._changed("unloaded", self.keeper.generation, "")

    @property
    def labels(self) -> tuple[str, str]:
        return self.spec.name, str(self._process)

    def kill_if_frozen(self, now: float) -> None:
        load_s = self.spec.section.load_s
        if self.keeper.state == "starting" and self._started_at and now - self._started_at > load_s:
            self._end(f"loading took longer than load_s = {load_s:g}")
        if not is_frozen(self._working, self._last_sign, now, self.spec.section.tick_s):
            return
        self._working = 0  # one kill for one freeze, however long dying takes
        self._end(f"frozen: no sign of work for {self.spec.section.tick_s:g} s")

    def _end(self, reason: str) -> None:
        _log.warning("host.kill.started", child=self.keeper.name, reason=reason)
        self._started_at = 0.0
        self.keeper.kill(reason)

    def tell(self, verdicts: TextVerdicts) -> None:
        if self.keeper.child is not None:
            self.keeper.child.send(verdicts)

    async def _begin(self) -> Child:
        # Every life has a socket name of its own: a dying host may still unlink the last one.
        self._address = str(self._runtime / f"{self.keeper.name}.{self.keeper.generation}.sock")
        self._working = 0
        self._begun.clear()
        self.figures = {}
        self._licence = self.spec.licence
        self._started_at, self._loading = time.monotonic(), Loading(0.0, "")
        interpreter, environ = self._python
        child = await Child.start("speech_engine.host", interpreter=interpreter, environ=environ)
        section = self.spec.section
        child.send(
            BeginHost(
                engine=self.spec.name,
                module=self.spec.module,
                settings=msgspec.json.encode(section.settings),
                address=self._address,
                queue=section.queue,
                digest_key=self._suspects.key,
                needs=self.spec.hosted.needs,
                memory_mb=self.spec.hosted.memory_mb,
                device=section.device,
                devices=self.spec.hosted.devices,
                memory_gb=self.spec.memory_gb,
            )
        )
        child.send(self._suspects.verdicts)
        return child

    def _changed(self, state: str, generation: int, reason: str) -> None:
        if state == "ready":
            self._loads_s = time.monotonic() - self._started_at
        if state in _ENDED:
            # A process that was killed could not unlink its own socket.
            Path(self._address).unlink(missing_ok=True)
        # Its pipe has ended by then, so nothing that it said is missing.
        begun = dict(self._begun) if state in _ENDED else {}
        if state == "unloaded":
            self._begun.clear()  # broken off by an operator: no text has killed it
        killer = self._suspects.note_death(begun) if state != "unloaded" else ""
        self._on_state(
            HostState(
                engine=self.spec.name,
                process=self._process,
                generation=generation,
                state=state,
                reason=reason,
                address=self._address,
                begun=tuple(begun),
                killer=killer,
                loads_s=self._loads_s,
                licence=self._licence,
            )
        )

    def _said(self, message: Message) -> None:
        if isinstance(message, Loading) and self.keeper.state == "starting":
            self._note_loading(message)
        if isinstance(message, Tick):
            self.figures = message.figures or self.figures
            self._working, self._last_sign = message.working, time.monotonic()
            if message.begun:
                self._begun[message.begun] = message.digest
            if message.ended:
                self._begun.pop(message.ended, None)
                if message.is_whole:
                    self._suspects.note_whole(message.digest)

    def _note_loading(self, said: Loading) -> None:
        """Tell of each whole percent alone: a loader may call for each of a million tensors."""
        if said.what == self._loading.what and said.fraction - self._loading.fraction < 0.01:
            return
        self._loading = said
        self._on_state(
            HostState(
                engine=self.spec.name,
                process=self._process,
                generation=self.keeper.generation,
                state="starting",
                reason=said.what,
                address=self._address,
                loaded=said.fraction,
                loads_s=self._loads_s,
            )
        )


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
        self._digest_key = secrets.token_bytes(32)
        self._keeping: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()
        self._suspects: list[EngineSuspects] = []
        # Of a model that is being removed, the file system alone could not tell.
        self._models: dict[str, ExitStack] = {}
        self._hosts = [host for spec in specs for host in self._of(spec, runtime)]

    def figures(self) -> dict[tuple[str, str], dict[str, float]]:
        """Return the figures of the processes that have any, by engine and process."""
        return {host.labels: host.figures for host in list(self._hosts) if host.figures}

    def __repr__(self) -> str:
        return f"<Hosts {[f'{host.engine}.{host.process} {host.state}' for host in self.states.values()]}>"

    async def run(self) -> None:
        """Run until `stop`."""
        watching = asyncio.create_task(self._watch())
        try:
            async with asyncio.TaskGroup() as self._keeping:
                for host in self._hosts:
                    self.keep(host)
                await self._stopping.wait()
        finally:
            watching.cancel()
            for held in self._models.values():
                held.close()

    def of(self, engine: str) -> list[Host]:
        """Return the hosts of an engine, those too that have failed or are not loaded."""
        return [host for host in self._hosts if host.labels[0] == engine]

    def take_current_model(self, engine: str) -> str:
        """Let an engine's next lives speak with the version of its model that is in use now.

        Return why they cannot, or nothing.
        """
        hosts = self.of(engine)
        try:
            spec = hosts[0].spec.with_current_model()
            self._hold_model(spec)
        except UnusableModel as fault:
            return f"engines.{engine}.model: {fault}"
        except OSError:
            return _gone(hosts[0].spec)
        for host in hosts:
            host.spec = spec
        return ""

    def keep(self, host: Host) -> None:
        if self._keeping is not None and not self._stopping.is_set():
            host.keep(self._keeping)

    async def stop(self, within_s: float) -> None:
        self._stopping.set()
        await asyncio.gather(*(host.keeper.stop(within_s) for host in self._hosts))

    def _of(self, spec: HostedEngineSpec, runtime: Path) -> list[Host]:
        """Return the hosts of an engine. If its environment is not built, the engine fails and gets none."""
        try:
            python = Python(environments.interpreter(spec.section.plugin, spec.hosted), self._environ)
            self._hold_model(spec)
        except EnvironmentRefused as refused:
            _log.warning("host.environment.missing", engine=spec.name, reason=str(refused))
            return self._without_hosts(spec, str(refused))
        except OSError:
            _log.warning("host.model.missing", engine=spec.name)
            return self._without_hosts(spec, _gone(spec))
        suspects = EngineSuspects(spec.name, self._digest_key)
        self._suspects.append(suspects)
        hosts = [
            Host(spec, process, python, runtime, self._changed, suspects) for process in range(spec.processes)
        ]
        suspects.hosts = hosts
        return hosts

    def _hold_model(self, spec: HostedEngineSpec) -> None:
        """Keep the model of an engine from being removed, and no other version any more. Raise OSError."""
        held = ExitStack()
        if spec.model is not None:
            held.enter_context(store.hold(spec.model.folder))
        if before := self._models.get(spec.name):
            before.close()
        self._models[spec.name] = held

    def _without_hosts(self, spec: HostedEngineSpec, reason: str) -> list[Host]:
        for process in range(spec.processes):
            self.states[spec.name, process] = HostState(spec.name, process, 0, "failed", reason)
        return []

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            for host in self._hosts:
                host.kill_if_frozen(time.monotonic())
            for suspects in self._suspects:
                suspects.tell_changes()

    def _changed(self, state: HostState) -> None:
        self.states[state.engine, state.process] = state
        self._tell(state)
