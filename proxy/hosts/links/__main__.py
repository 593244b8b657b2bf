"""The links process: `python -m proxy.hosts.links PIPE_FD`. The supervisor alone starts it.

It has no database, no secrets and no gRPC. Workers give it the handshakes of hosts, and it answers them. For
each process of a host it has a local socket, on which each connection takes one link.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Set
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import uvloop

from proxy.helpers.file_limit import raise_file_limit
from proxy.hosts.links.gateway_links import GatewayLinks, HostLink, LocalConnection
from proxy.hosts.links.handshake import Inbox, LinkRefusal, refusal_bytes
from proxy.hosts.links.link_messages import (
    INBOX,
    TARGET,
    BeginLinks,
    Gateways,
    HostGone,
    HostTargets,
    Joining,
    KeysRead,
    LinkNews,
    ToLinks,
    unpack_to_links,
)
from proxy.telemetry import logs
from speech_engine.host.pipe import Pipe, call_on_loop
from speech_engine.host.pipe_messages import Drain, Ready
from speech_engine.host.process_rights import forbid_dumps

_LOOK_S = 1.0
_REFUSED_S = 1.0
"""A refused host has this time to read why. What it sends meanwhile is not read as anything."""
_MOST_TARGETS = 65
"""The agent of a host, and 64 processes."""
_LOGGED_AGAIN_S = 60.0

_log = structlog.get_logger()


class _RefusedHost(asyncio.Protocol):
    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: Any) -> None:
        transport.write(self._answer)
        transport.write_eof()
        asyncio.get_running_loop().call_later(_REFUSED_S, transport.abort)


class LinksProcess:
    def __init__(self, pipe: Pipe[ToLinks], begin: BeginLinks) -> None:
        self._pipe = pipe
        self._links = GatewayLinks(begin.machine, begin.drain_s, self._tell)
        self._servers: dict[str, dict[str, asyncio.Server]] = {}  # of local sockets, by machine and path
        self._inbox_path = Path(begin.folder) / INBOX
        self._targets: asyncio.Queue[HostTargets] = asyncio.Queue()
        self._stop_requested = asyncio.Event()
        self._running_tasks: set[asyncio.Task[None]] = set()
        self._logged: set[tuple[str, str]] = set()  # keys and codes of refusals

    async def serve_links(self) -> None:
        """Serve until the supervisor drains it."""
        loop = asyncio.get_running_loop()
        self._pipe.watch(lambda message: call_on_loop(loop, self._take_message, message), self._remove_inbox)
        self._remove_inbox()
        inbox = Inbox(str(self._inbox_path), self._take_handshake)
        self._pipe.send(Ready())
        async with asyncio.TaskGroup() as running:
            opening = running.create_task(self._open_targets())
            while not self._stop_requested.is_set():
                self._links.look_at_hosts()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await self._stop_requested.wait()
            opening.cancel()
        inbox.stop_listening()
        self._remove_inbox()
        for machine in list(self._servers):
            self._close_servers(machine)
        self._links.close_links()
        await asyncio.sleep(0)

    def _tell(self, news: LinkNews) -> None:
        if isinstance(news, HostGone):
            self._close_servers(news.machine)
        self._pipe.send(news)

    def _take_message(self, message: ToLinks) -> None:
        match message:
            case Gateways(of):
                self._links.set_gateways(of)
            case HostTargets():
                self._targets.put_nowait(message)
            case KeysRead(dead):
                self._links.note_keys(dead)
            case Drain():
                self._stop_requested.set()

    async def _open_targets(self) -> None:
        while True:
            message = await self._targets.get()
            try:
                await self._open_paths(message)
            except OSError as error:
                _log.error("link.socket.failed", machine=message.machine, reason=error.strerror)

    async def _open_paths(self, message: HostTargets) -> None:
        """Open the sockets that a host lacks, and close those that are not named any more."""
        host = self._links.hosts.get(message.machine)
        wanted = {path: target for path, target in message.paths.items() if TARGET.fullmatch(target)}
        if host is None or len(wanted) > _MOST_TARGETS:
            return
        self._close_servers(message.machine, wanted.keys())
        servers = self._servers.setdefault(message.machine, {})
        for path in wanted.keys() - servers.keys():
            make = partial(LocalConnection, host, wanted[path])
            servers[path] = await asyncio.get_running_loop().create_unix_server(make, path)

    def _close_servers(self, machine: str, kept: Set[str] = frozenset()) -> None:
        servers = self._servers.pop(machine, {})
        for path in servers.keys() - kept:
            servers.pop(path).close()
            Path(path).unlink(missing_ok=True)
        if servers:
            self._servers[machine] = servers

    def _take_handshake(self, joining: Joining, connection: socket.socket) -> None:
        found = self._links.admit_link(joining)
        if isinstance(found, LinkRefusal):
            self._log_refusal(joining, found)
        task = asyncio.create_task(_answer(found, connection))
        self._running_tasks.add(task)
        task.add_done_callback(self._running_tasks.discard)

    def _log_refusal(self, joining: Joining, refusal: LinkRefusal) -> None:
        """Log it once a minute: a host tries again and again."""
        refused = joining.key, refusal.code
        if refused not in self._logged:
            self._logged.add(refused)
            asyncio.get_running_loop().call_later(_LOGGED_AGAIN_S, self._logged.discard, refused)
            _log.warning("link.join.refused", code=refusal.code, machine=joining.machine, key=joining.key)

    def _remove_inbox(self) -> None:
        self._inbox_path.unlink(missing_ok=True)


async def _answer(found: HostLink | LinkRefusal, connection: socket.socket) -> None:
    protocol = _RefusedHost(refusal_bytes(found)) if isinstance(found, LinkRefusal) else found
    try:
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, connection)
    except OSError as error:
        connection.close()
        protocol.connection_lost(error)


async def _serve(pipe: Pipe[ToLinks], begin: BeginLinks) -> None:
    await LinksProcess(pipe, begin).serve_links()


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the supervisor ends it, behind the workers
    logs.configure_logs("links")
    forbid_dumps()  # the supervisor logs a failure
    pipe = Pipe(int(sys.argv[1]), unpack_to_links)
    begin = pipe.receive()
    if not isinstance(begin, BeginLinks):
        sys.exit(1)
    raise_file_limit()
    gc.enable()  # the import of `proxy` has turned it off
    uvloop.run(_serve(pipe, begin))
    logs.flush_logs()
    os._exit(0)


if __name__ == "__main__":
    main()
