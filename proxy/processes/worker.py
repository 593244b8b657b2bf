"""A worker's process: `python -m proxy.processes.worker PIPE_FD NUMBER [HTTP_FD] [CONTROL_FD]`.

The supervisor alone starts it. Worker 0 has the control socket, and makes the dev key. A `voxgate worker` has
HTTP for the links of hosts alone.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import NoReturn

import structlog
import uvloop

from proxy.access import dev_key
from proxy.api.server import ServerLink
from proxy.app import Worker, open_worker
from proxy.audio import libraries
from proxy.catalogue.cluster import LeaderTask
from proxy.config.addresses import is_local
from proxy.config.config_toml import Config, listener_of
from proxy.engines import registry
from proxy.engines.registry import EngineConfigError, InProcessSpec, Registry
from proxy.errors import CannotServe
from proxy.helpers.file_limit import raise_file_limit
from proxy.http.server_protocol import server_protocol
from proxy.processes.fronts import SETTLE_S, Front, HttpFront, WorkFront, uvicorn_server
from proxy.processes.supervisor_line import SupervisorInbox, SupervisorLine, config_of_revision
from proxy.storage.retention import delete_old_usage
from proxy.storage.store import StorageFailed
from proxy.telemetry import logs
from speech_engine.host.pipe import ParentPipe
from speech_engine.host.pipe_messages import Broken, Ready, Revision
from speech_engine.host.process_rights import forbid_dumps

THREAD_SWITCH_S = 0.001
"""The longest time for which another thread of Python, such as one that reads a file, holds up the loop."""
_COLLECTED_OBJECTS = 5_000
_ENGINE_START_WAIT_S = 3.0
"""The longest wait for the engines before clients are served. Those that connect meanwhile wait in the
backlog."""

_log = structlog.get_logger()


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # uvicorn sends the signal again at its end. The log lines of the last requests may still wait.
    signal.signal(signal.SIGTERM, _end_by_signal)
    pipe_fd, number, *sockets = map(int, sys.argv[1:])
    logs.configure_logs("worker", worker=number)
    forbid_dumps()  # the supervisor logs a failure
    pipe = ParentPipe(pipe_fd)
    revision = pipe.receive()
    if not isinstance(revision, Revision):
        sys.exit(1)
    config = config_of_revision(revision)
    raise_file_limit()
    sys.setswitchinterval(THREAD_SWITCH_S)
    sockets_left = [socket.socket(fileno=each) for each in sockets]
    http = None if listener_of(config) is None else sockets_left.pop(0)
    try:
        uvloop.run(_serve(pipe, config, http, sockets_left, revision))
    except (CannotServe, StorageFailed, OSError) as error:
        # If a database cannot be reached, the supervisor's next try may succeed.
        says_why = isinstance(error, (CannotServe, StorageFailed))
        lasting = says_why and not (isinstance(error, StorageFailed) and error.is_transient)
        reason = str(error) if says_why else f"{type(error).__name__}: {error}"
        _exit_process(pipe, Broken(reason, lasting=lasting))
    except Exception as error:  # noqa: BLE001 - the seam around a process: logged, and its reason passed on
        _log.error("worker.run.failed", exc_info=error)
        _exit_process(pipe, Broken(f"{type(error).__name__}, see the log"))
    _exit_process(pipe, None)


def _exit_process(pipe: ParentPipe, broken: Broken | None) -> NoReturn:
    """Exit at once: threads of libraries must not keep the worker alive."""
    logs.flush_logs()
    if broken is not None:
        pipe.send(broken)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if broken is None else 1)


def _end_by_signal(number: int, _frame: object) -> None:
    try:
        logs.flush_logs()
    finally:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


async def _serve(
    pipe: ParentPipe,
    config: Config,
    http: socket.socket | None,
    control: list[socket.socket],
    revision: Revision,
) -> None:
    # The inbox opens before the store: a migration may take minutes, and the supervisor may die meanwhile.
    inbox = SupervisorInbox(pipe, [each.getsockname() for each in control])
    plugins = registry.load()
    if _has_local_engine(config, plugins):
        libraries.load_libraries()
    line = SupervisorLine(pipe)
    host, port = http.getsockname()[:2] if http is not None and config.serves else ("", 0)
    orders = (line.reload_config, line.spread_erasure, line.switch_engine)
    link = ServerLink(revision.machine, host, port, *orders, line.ask, pipe.send)
    async with open_worker(config, plugins, link) as worker:
        worker.engines.on_wanted(line.request_engine)
        await _revoke_dev_key(worker, config)
        _collect_seldom()
        task_kinds = [kind for kind in worker.task_kinds if config.serves or kind.is_for_workers]
        served = None if http is None else HttpFront(worker, config, http)
        front: Front = (
            served if config.serves and served is not None else WorkFront(task_kinds, config, served)
        )
        control_server = uvicorn_server(worker.control, server_protocol(config.server), drain_s=1)
        side_tasks = [
            asyncio.create_task(inbox.follow_messages(worker, front, line)),
            asyncio.create_task(_announce(pipe, config, worker, makes_key=bool(control))),
        ]
        side_tasks += [asyncio.create_task(kind.run(worker.metrics, revision.began)) for kind in task_kinds]
        if control and config.serves:
            # Only worker number 0 of a server has both sockets.
            tasks_of_one_server: list[LeaderTask] = [
                partial(delete_old_usage, worker.store, lambda: worker.usage_days, worker.metrics),
                *worker.tasks_of_one_server,
            ]
            side_tasks.append(asyncio.create_task(worker.cluster.run_while_leading(tasks_of_one_server)))
        if control:
            side_tasks += [asyncio.create_task(task()) for task in worker.tasks_of_each_server]
        for side_task in side_tasks:
            side_task.add_done_callback(partial(_end_if_side_task_failed, worker, front))
        control_task = asyncio.create_task(control_server.serve(sockets=control))
        await worker.engines.wait_until_started(_ENGINE_START_WAIT_S)
        async with worker.open_features.serving():
            await front.run()
        control_server.should_exit = True
        await control_task
        failures = [side_task.exception() for side_task in side_tasks if side_task.done()]
        for side_task in side_tasks:
            side_task.cancel()
    for failure in failures:
        if failure is not None:
            raise failure
    _log.info("worker.stop.complete")


def _collect_seldom() -> None:
    # Loaded objects stay. Otherwise each full collection would search them, and the loop would wait.
    gc.collect()
    gc.freeze()
    # A larger threshold saves no measurable CPU, and its collections hold every answer for 20 ms.
    gc.set_threshold(_COLLECTED_OBJECTS)
    gc.enable()  # the import of `proxy` has turned it off


async def _revoke_dev_key(worker: Worker, config: Config) -> None:
    """Revoke the key of an earlier `make serve` on this data folder, because it has no limits."""
    is_open = not (config.server.dev_key or is_local(config.server.host))
    if config.serves and is_open and await dev_key.revoke_dev_key(worker.store, Path(config.data)):
        _log.warning("server.dev_key.revoked", reason="others can reach this server")


def _has_local_engine(config: Config, plugins: Registry) -> bool:
    """Tell whether an engine surely sends PCM: cloud engines mostly send the format of the client."""
    for name, section in config.engines.items():
        try:
            spec = plugins.engine(name, section, config.data)
        except EngineConfigError:
            continue  # the list of engines shows it
        if not isinstance(spec, InProcessSpec) or not spec.is_cloud:
            return True
    return False


def _end_if_side_task_failed(worker: Worker, front: Front, side_task: asyncio.Task[None]) -> None:
    """End the worker if a side task failed, because it may no longer read its supervisor's messages."""
    if side_task.cancelled() or (failure := side_task.exception()) is None:
        return
    _log.error("worker.help.failed", error=type(failure).__name__)
    worker.server_state.is_draining = True
    # The drain is short, because the clients in the backlog wait until this worker ends.
    front.stop(within_s=1)


async def _announce(pipe: ParentPipe, config: Config, worker: Worker, makes_key: bool) -> None:
    """Send `Ready` to the supervisor when the engines have started or failed."""
    needs_key = makes_key and config.server.dev_key
    key = await dev_key.ensure_dev_key(worker.store, Path(config.data)) if needs_key else None
    await worker.engines.wait_until_started(SETTLE_S)
    pipe.send(Ready(key))


if __name__ == "__main__":
    main()
