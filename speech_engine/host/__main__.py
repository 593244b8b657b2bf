"""The program of a host: `python -m speech_engine.host PIPE_FD`. Only the supervisor starts it."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from typing import NoReturn

import msgspec

from speech_engine.bounds import cut
from speech_engine.device import Device
from speech_engine.host import cluster_messages, devices, pipe_messages
from speech_engine.host.batch import Batch, batch_of
from speech_engine.host.confinement import confine, limit_memory
from speech_engine.host.log import HostLogger
from speech_engine.host.messages import encode
from speech_engine.host.pipe import ParentPipe, call_on_loop, remove_socket
from speech_engine.host.pulse import Pulse
from speech_engine.host.sample_cache import SampleCache
from speech_engine.host.server import HostServer, serving
from speech_engine.host.slots import Slots
from speech_engine.host.suspects import Suspects
from speech_engine.host.watching import UnwatchedWork
from speech_engine.plugin import Context, WorkerModuleError, worker_plugin

IDLE_FIGURES_S = 5.0
"""The time between two reports of an idle card's figures."""
_LEAST_GROWTH_GB = 0.01


class _PeakReport:
    """Reports to the supervisor the most memory that this process has used on its device, when that grows."""

    def __init__(self, pipe: ParentPipe, device: Device) -> None:
        self._pipe = pipe
        self._device = device
        self._reported_gb = 0.0

    def send_growth(self) -> None:
        gb = devices.peak_gb(self._device)
        if gb > self._reported_gb + _LEAST_GROWTH_GB:
            self._reported_gb = gb
            self._pipe.send(pipe_messages.PeakMemory(gb))


def _figures(peak: _PeakReport, batch: Batch | None, card: devices.DeviceFigures) -> dict[str, float]:
    peak.send_growth()
    used = {"processor_seconds": time.process_time()}
    return {**used, **(batch.figures() if batch else {}), **card.values()}


def _load(slots: Slots) -> cluster_messages.HostLoad:
    health = slots.health()
    return cluster_messages.HostLoad(health.running + health.waiting, health.slots, health.waiting_s)


async def _booked_device(pipe: ParentPipe, begin: pipe_messages.BeginHost, may_load: asyncio.Event) -> Device:
    """Return the device, once its memory is booked for us, if the system says how much there is."""
    # In a thread: to import torch takes seconds, and the supervisor may want to stop us meanwhile.
    device = await asyncio.to_thread(devices.choose_device, begin.device, begin.devices)
    if begin.memory_gb is None:
        return device
    memory = await asyncio.to_thread(devices.find_memory, device)
    if memory is not None:
        free, total = memory
        pipe.send(pipe_messages.DeviceFound(str(device), free / devices.GB, total / devices.GB))
        await may_load.wait()
    return device


def _context(
    pipe: ParentPipe,
    begin: pipe_messages.BeginHost,
    log: HostLogger,
    pulse: Pulse,
    sample_cache: SampleCache,
    device: Device,
) -> Context:
    def give_up(reason: str) -> NoReturn:
        # At once, and from any thread: a device that fails may also never let its threads end.
        pipe.send(pipe_messages.Broken(reason))
        _exit(begin, 1)

    def progress(fraction: float, what: str) -> None:
        pipe.send(pipe_messages.Loading(min(1.0, max(0.0, fraction)), cut(what)))

    return Context(
        log,
        pulse.tick,
        samples=sample_cache,
        device=device,
        progress=progress,
        give_up=give_up,
        waiting=pulse.waiting_here,
    )


async def _serve(pipe: ParentPipe, begin: pipe_messages.BeginHost, log: HostLogger) -> None:
    loop, draining, may_load = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    grace_s = 0.0

    suspects, unwatched = Suspects(begin.digest_key), UnwatchedWork()

    def on_message(message: pipe_messages.Message) -> None:
        nonlocal grace_s
        match message:
            case pipe_messages.TextVerdicts(alone, refused):
                call_on_loop(loop, suspects.update, alone, refused)
            case pipe_messages.MayLoad():
                call_on_loop(loop, may_load.set)
            case cluster_messages.Watched(is_first):
                call_on_loop(loop, unwatched.note, is_first)
            case pipe_messages.Drain(within_s):
                grace_s = within_s
                call_on_loop(loop, draining.set)

    pipe.watch(on_message, lambda: remove_socket(begin.address))
    # Before the worker reads a model: a file may be made to take any amount.
    limit_memory(begin.memory_mb)
    settings_type, create = worker_plugin(begin.module)
    settings = msgspec.json.decode(begin.settings, type=settings_type)
    device = await _booked_device(pipe, begin, may_load)
    peak = _PeakReport(pipe, device)
    # The package switched the collector off. Imported modules stay, so it never needs to search them.
    gc.freeze()
    gc.enable()
    pulse, sample_cache = Pulse(pipe.send), SampleCache()

    context = _context(pipe, begin, log, pulse, sample_cache, device)
    async with create(begin.engine, settings, context) as engine:
        batch, card = batch_of(engine), devices.DeviceFigures(device)
        pulse.figures = partial(_figures, peak, batch, card)
        slots = Slots(engine.slots, begin.queue, batch)
        pulse.load = partial(_load, slots)
        server = HostServer(engine, slots, log, pulse, suspects, sample_cache, device)
        async with serving(server, begin.address) as transport:
            # Only now: loading a model may need rights that speaking does not.
            for lack in confine(begin.needs):
                log.warning("host.confinement.missing", what=lack)
            peak.send_growth()
            pipe.send(pipe_messages.Introduction(encode(server.hello_reply)))
            pipe.send(pipe_messages.Ready())
            pulse.tell_idle()
            log.info("host.start.complete", slots=engine.slots, device=str(device))
            if begin.is_watched:
                ending = asyncio.create_task(unwatched.end(server.forget_all, log))
                ending.add_done_callback(lambda _ending: draining.set())
            while card.has_card and not draining.is_set():
                # An idle card is not as busy as it was when its last work ended.
                with suppress(TimeoutError):
                    await asyncio.wait_for(draining.wait(), IDLE_FIGURES_S)
                pulse.tell_idle()
            await draining.wait()
            await transport.stop(grace_s)
    log.info("host.stop.complete")


async def _run_host(pipe: ParentPipe, begin: pipe_messages.BeginHost, log: HostLogger) -> int:
    """Return the exit status. Report a fault before the loop closes, since closing waits for threads."""
    try:
        await _serve(pipe, begin, log)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the seam around a plugin: the supervisor learns why
        lasting = isinstance(error, (ImportError, WorkerModuleError, msgspec.ValidationError))
        reason = f"{type(error).__name__}: {error}"
        if isinstance(error, devices.DeviceLacking):
            lasting, reason = True, str(error)
        pipe.send(pipe_messages.Broken(reason, lasting=lasting))
        log.warning("host.start.failed", error=type(error).__name__)
        return 1
    return 0


def main() -> None:
    # Ctrl-C in a terminal reaches the whole group, but the supervisor decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe = ParentPipe(int(sys.argv[1]))
    begin = pipe.receive()
    if not isinstance(begin, pipe_messages.BeginHost):
        sys.exit(1)
    log = HostLogger(begin.engine)
    _exit(begin, asyncio.run(_run_host(pipe, begin, log)))


def _exit(begin: pipe_messages.BeginHost, status: int) -> NoReturn:
    """End the process. A library's non-daemon threads must not keep a drained or broken host alive."""
    remove_socket(begin.address)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
