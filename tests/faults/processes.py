"""The processes of a running server, found from outside by their parent, and waited for by what they do."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from proxy.feature_list import open_store
from proxy.storage import usage
from proxy.storage.usage import UsageRow
from tests.server import Server
from tests.waiting import until

AGAIN_S = 30.0
"""A restart takes a fraction of a second; the room is for a machine with many other things to do."""


def children(server: Server) -> list[psutil.Process]:
    return _children(server.process.pid)


def own_children(module: str) -> list[psutil.Process]:
    """The children of the test's own process that run this module."""
    return [each for each in psutil.Process().children() if _runs(each, module)]


def _runs(process: psutil.Process, module: str) -> bool:
    try:
        return not is_over(process) and module in process.cmdline()
    except psutil.NoSuchProcess:
        return False


def worker(server: Server) -> psutil.Process:
    return _child(server.process.pid, lambda process: "proxy.processes.worker" in process.cmdline())


def host(server: Server, engine: str) -> psutil.Process:
    """The one host of an engine that listens."""
    return host_of(server.process.pid, engine)


def host_of(pid: int, engine: str) -> psutil.Process:
    """The same for the server of a pid. It is known by the name of its socket."""

    def listens(process: psutil.Process) -> bool:
        sockets = process.net_connections(kind="unix")
        return any(Path(str(each.laddr)).name.startswith(f"{engine}.") for each in sockets)

    return _child(pid, listens)


def is_over(process: psutil.Process) -> bool:
    """Gone, or only waiting for whoever inherited it to take note."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def kill(process: psutil.Process) -> None:
    """Returns when it is gone."""
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: is_over(process))


def runtime_folder(server: Server) -> Path:
    return Path(os.readlink(server.data / "run"))


def state(server: Server, engine: str) -> dict[str, Any]:
    """What /admin/engines says of an engine."""
    with server.control() as control:
        listed = control.get("/admin/engines").json()["data"]
    (found,) = [each for each in listed if each["name"] == engine]
    return dict(found)


def usage_rows(server: Server) -> dict[str, UsageRow]:
    """What is on record, by request. For a server that has stopped: it read its own database until then."""

    async def read() -> list[UsageRow]:
        async with open_store("sqlite", server.data) as store:
            return await usage.list_newest(store, limit=1_000_000)

    return {row.id: row for row in asyncio.run(read())}


def _children(pid: int) -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    return found


def _child(pid: int, is_it: Callable[[psutil.Process], bool]) -> psutil.Process:
    """The only one, once there is one: the last may have died a moment ago."""
    found: list[psutil.Process] = []

    def find() -> bool:
        found[:] = [child for child in _children(pid) if not is_over(child) and _safely(is_it, child)]
        return len(found) == 1

    until(find)
    return found[0]


def _safely(is_it: Callable[[psutil.Process], bool], process: psutil.Process) -> bool:
    try:
        return is_it(process)
    except psutil.NoSuchProcess:
        return False
