"""One process of one engine in the supervisor: its restarts, its loading, its signs of progress."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from policies.device_reservations import DeviceMemory, DeviceReservations, Holder
from policies.host_health import SuspectTexts, is_frozen, is_idle
from proxy.engines.registry import HostedEngineSpec
from proxy.helpers.child import HOST_NICENESS, Child
from proxy.helpers.child_supervisor import ChildSupervisor
from proxy.hosts import introductions
from speech_engine.host import cluster_messages, pipe_messages

_STOPPED_LOOKS = 2
"""A process that a signal holds for so many looks is killed: it would never show a sign of life."""

_log = structlog.get_logger()


class HostPlace(NamedTuple):
    """The place where one life of a host serves: the path of its socket, and the `name` that clients know it
    by. Gateways watch it if it `is_watched`."""

    path: str
    name: str
    is_watched: bool = False


FindPlace = Callable[[str], HostPlace]
"""Returns the place of a life with this name. """


def sockets_in(runtime: Path) -> FindPlace:
    """Return places on this machine: each life has a Unix socket in the folder."""

    def find(name: str) -> HostPlace:
        path = str(runtime / f"{name}.sock")
        return HostPlace(path, path)

    return find


def named_sockets_in(runtime: Path) -> FindPlace:
    """Return such places for a host that dials: its gateways know the names of the sockets alone."""

    def find(name: str) -> HostPlace:
        return HostPlace(str(runtime / f"{name}.sock"), name, is_watched=True)

    return find


class EngineSuspects:
    """The texts that may have killed an engine: they run alone, or are refused. All its hosts get them."""

    def __init__(self, engine: str, key: bytes) -> None:
        self.key = key
        self.hosts: Sequence[Host] = ()
        self.verdicts = pipe_messages.TextVerdicts()
        self._engine = engine
        self._texts = SuspectTexts()

    def note_death(self, begun: Mapping[str, bytes], *, is_alone: bool = False) -> str:
        """Note a host's death. Return the call that caused it, if that is certain. `is_alone`: a call ran
        alone, perhaps because it had killed a host of another machine."""
        digests = [digest for digest in begun.values() if digest]
        if not digests:
            return ""
        others = len(begun) - len(digests)
        refused = self._texts.note_death(digests, time.monotonic(), others=others, is_alone=is_alone)
        self.tell_changes()
        if refused is None:
            return ""
        _log.warning("host.text.quarantined", engine=self._engine, text=refused.hex())
        (killer,) = begun
        return killer

    def note_spoken(self, digest: bytes) -> None:
        if self._texts.note_spoken(digest):
            self.tell_changes()

    def tell_changes(self) -> None:
        """Tell the hosts if a verdict is new, or has expired."""
        alone, refused = self._texts.verdicts(time.monotonic())
        verdicts = pipe_messages.TextVerdicts(alone, refused)
        if verdicts == self.verdicts:
            return
        self.verdicts = verdicts
        for host in self.hosts:
            host.tell(verdicts)


class Python(NamedTuple):
    """The interpreter that runs a host, and the environment variables that it gets."""

    interpreter: str
    environ: Mapping[str, str]

    def __repr__(self) -> str:
        return f"<Python {self.interpreter}>"


class Host:
    """One process of an engine. `supervise` starts it, and `unload` ends it."""

    def __init__(
        self,
        spec: HostedEngineSpec,
        process: int,
        python: Python,
        find_place: FindPlace,
        on_state: Callable[[pipe_messages.HostState], None],
        suspects: EngineSuspects,
        reservations: DeviceReservations,
    ) -> None:
        self.spec = spec
        self.holder: Holder = (spec.name, process)
        self._reservations = reservations
        self._suspects = suspects
        self._python = python
        self._process = process
        self._find_place = find_place
        self._on_state = on_state
        self._place = HostPlace("", "")
        self._jobs_in_work = 0
        self._last_sign_at = 0.0
        self._running_jobs: dict[str, bytes] = {}
        self._lone_jobs: set[str] = set()  # those that run alone, a part of the running ones
        self.figures: dict[str, float] = {}
        self.load: cluster_messages.HostLoad | None = None
        self._stopped_looks = 0
        self._licence = ""
        self.loads_on_demand = False
        self._hello = b""
        self._last_job_at = 0.0
        self._started_at = 0.0
        self._last_load_s = 0.0
        self._loading = pipe_messages.Loading(0.0, "")
        self._supervision: asyncio.Task[None] | None = None
        name = f"{spec.name}.{process}"
        self.supervisor = ChildSupervisor(
            name, self._begin, self._note_change, self._on_message, lambda: bool(self._running_jobs)
        )

    @property
    def is_supervised(self) -> bool:
        """Whether a process lives, or will be started again."""
        return self._supervision is not None and not self._supervision.done()

    @property
    def jobs(self) -> int:
        return len(self._running_jobs)

    def supervise(self, group: asyncio.TaskGroup) -> None:
        """Start a process, and start it again whenever it ends."""
        self.loads_on_demand = False
        self._read_introduction()
        self.supervisor.revive()
        self._supervision = group.create_task(self.supervisor.run())

    def leave_unloaded(self) -> bool:
        """Leave the engine unloaded until a request comes, and return True. False: it does not load on
        demand, or its models are not known from an earlier start."""
        if not (self.spec.section.on_demand and self._read_introduction()):
            return False
        self.loads_on_demand = True
        self.supervisor.state = "unloaded"
        self._tell_state("unloaded", 0, "the first request loads it")
        return True

    def _read_introduction(self) -> bool:
        """Take the introduction of the last start with this section and these models, if there is one."""
        stored = introductions.recall(self.spec)
        self._hello = b"" if stored is None else stored.hello
        if stored is not None:
            self._last_load_s, self._licence = stored.loads_s, stored.licence
        return stored is not None

    async def unload(self, within_s: float, *, is_for_restart: bool = False, is_idle: bool = False) -> None:
        """End the process for good. With `is_for_restart`, requests wait for the next process. With
        `is_idle`, the next request loads it."""
        if self._supervision is not None and self.is_supervised:
            await self.supervisor.stop(within_s)
            await asyncio.wait([self._supervision])
        elif not self.loads_on_demand:
            return
        self.loads_on_demand = is_idle
        self.supervisor.state = "restarting" if is_for_restart else "unloaded"
        reason = "idle; the next request loads it" if is_idle else ""
        self._note_end(self.supervisor.state, reason, is_broken_off=True)

    def is_idle(self, now: float) -> bool:
        if self.supervisor.state != "ready":
            return self.supervisor.state in ("waiting", "failed")
        return is_idle(self.jobs, self._last_job_at, now, self.spec.section.idle_unload_s)

    @property
    def labels(self) -> tuple[str, str]:
        return self.spec.name, str(self._process)

    def kill_if_frozen(self, now: float) -> None:
        load_s = self.spec.section.load_s
        child = self.supervisor.child
        is_stopped = self._place.is_watched and child is not None and child.is_stopped
        self._stopped_looks = self._stopped_looks + 1 if is_stopped else 0
        if self._stopped_looks > _STOPPED_LOOKS:
            self._stopped_looks = 0
            self._end("stopped: a signal holds the process")
        if self.supervisor.state == "starting" and self._started_at and now - self._started_at > load_s:
            self._end(f"loading took longer than load_s = {load_s:g}")
        if not is_frozen(self._jobs_in_work, self._last_sign_at, now, self.spec.section.tick_s):
            return
        self._jobs_in_work = 0  # one kill for each freeze, however long the process takes to die
        self._end(f"frozen: no sign of work for {self.spec.section.tick_s:g} s")

    def _end(self, reason: str) -> None:
        _log.warning("host.kill.started", child=self.supervisor.name, reason=reason)
        self._started_at = 0.0
        self.supervisor.kill(reason)

    def tell(self, message: pipe_messages.TextVerdicts | cluster_messages.Watched) -> None:
        if self.supervisor.child is not None:
            self.supervisor.child.send(message)

    async def _begin(self) -> Child:
        # Each start has its own socket name: a dying host may still unlink the last one.
        self._place = self._find_place(f"{self.supervisor.name}.{self.supervisor.generation}")
        self._jobs_in_work = 0
        self._running_jobs.clear()
        self._lone_jobs.clear()
        self.figures, self.load = {}, None
        self._licence = self.spec.licence
        self._started_at, self._loading = time.monotonic(), pipe_messages.Loading(0.0, "")
        interpreter, environ = self._python
        child = await Child.start(
            "speech_engine.host", interpreter=interpreter, environ=environ, niceness=HOST_NICENESS
        )
        section = self.spec.section
        child.send(
            pipe_messages.BeginHost(
                engine=self.spec.name,
                module=self.spec.module,
                settings=msgspec.json.encode(section.settings),
                address=self._place.path,
                queue=section.queue,
                digest_key=self._suspects.key,
                needs=self.spec.hosted.needs,
                memory_mb=self.spec.hosted.memory_mb,
                device=section.device,
                devices=self.spec.hosted.devices,
                memory_gb=self.spec.memory_gb,
                is_watched=self._place.is_watched,
            )
        )
        child.send(self._suspects.verdicts)
        return child

    def _note_change(self, state: str, generation: int, reason: str) -> None:
        if state == "ready":
            self._last_job_at = time.monotonic()
            self._last_load_s = self._last_job_at - self._started_at
            introductions.keep(self.spec, self._hello, self._last_load_s, self._licence)
        if state in ("restarting", "failed", "waiting"):
            self._note_end(state, reason, is_broken_off=False)
        else:
            self._tell_state(state, generation, reason)

    def _note_end(self, state: str, reason: str, *, is_broken_off: bool) -> None:
        """Note that the process has ended. Its pipe is closed, so all its messages were read."""
        # A process that was killed could not unlink its own socket.
        if self._place.path:
            Path(self._place.path).unlink(missing_ok=True)
        if state != "waiting":
            self._reservations.release(self.holder)
        begun = dict(self._running_jobs)
        killer = ""
        if is_broken_off:
            self._running_jobs.clear()  # it was stopped, so no text is to blame
        else:
            killer = self._suspects.note_death(begun, is_alone=not self._lone_jobs.isdisjoint(begun))
        has_crashed = not is_broken_off and state != "waiting"
        self._tell_state(
            state, self.supervisor.generation, reason, tuple(begun), killer, has_crashed=has_crashed
        )

    def _tell_state(
        self,
        state: str,
        generation: int,
        reason: str,
        begun: tuple[str, ...] = (),
        killer: str = "",
        *,
        has_crashed: bool = False,
    ) -> None:
        self._on_state(
            pipe_messages.HostState(
                engine=self.spec.name,
                process=self._process,
                generation=generation,
                state=state,
                reason=reason,
                address=self._place.name,
                begun=begun,
                killer=killer,
                loads_s=self._last_load_s,
                licence=self._licence,
                loads_on_demand=self.loads_on_demand,
                hello=self._hello,
                has_crashed=has_crashed,
            )
        )

    def _on_message(self, message: pipe_messages.Message) -> None:
        if isinstance(message, pipe_messages.Loading) and self.supervisor.state == "starting":
            self._note_loading(message)
        if isinstance(message, pipe_messages.DeviceFound):
            self._ask_to_load(DeviceMemory(message.device, message.free_gb, message.total_gb))
        if isinstance(message, pipe_messages.PeakMemory):
            self._reservations.note_peak(self.holder, message.gb)
        if isinstance(message, pipe_messages.Introduction):
            self._hello = message.hello
        if isinstance(message, pipe_messages.Tick):
            self.figures, self.load = message.figures or self.figures, message.load or self.load
            self._jobs_in_work, self._last_sign_at = message.working, time.monotonic()
            self._note_jobs(message)

    def _note_jobs(self, tick: pipe_messages.Tick) -> None:
        if tick.begun or tick.ended:
            self._last_job_at = self._last_sign_at
        if tick.begun:
            self._running_jobs[tick.begun] = tick.digest
            if tick.is_alone:
                self._lone_jobs.add(tick.begun)
        if tick.ended:
            self._running_jobs.pop(tick.ended, None)
            self._lone_jobs.discard(tick.ended)
            if tick.is_whole:
                self._suspects.note_spoken(tick.digest)

    def _ask_to_load(self, found: DeviceMemory) -> None:
        needs_gb = self.spec.memory_gb
        refusal = None if needs_gb is None else self._reservations.book_memory(self.holder, needs_gb, found)
        if refusal is None:
            if self.supervisor.child is not None:
                self.supervisor.child.send(pipe_messages.MayLoad())
        elif refusal.is_lasting:
            self.supervisor.kill(refusal.reason, is_last=True)
        else:
            self.supervisor.put_off(refusal.reason, refusal.again_s)

    def _note_loading(self, loading: pipe_messages.Loading) -> None:
        """Report whole percents only: a loader may report each of a million tensors."""
        if loading.what == self._loading.what and loading.fraction - self._loading.fraction < 0.01:
            return
        self._loading = loading
        self._on_state(
            pipe_messages.HostState(
                engine=self.spec.name,
                process=self._process,
                generation=self.supervisor.generation,
                state="starting",
                reason=loading.what,
                address=self._place.name,
                loaded=loading.fraction,
                loads_s=self._last_load_s,
                # A gateway keeps the introduction of its own.
                hello=b"" if self._place.is_watched else self._hello,
            )
        )
