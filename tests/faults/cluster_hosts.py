"""Real agents with their engines, a gateway that uses them, and a relay between that can be cut off."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx2
import psutil

from proxy.hosts.cluster.authorities import make
from tests import forked
from tests.server import ALONE, VOXGATE, Process, Server, free_port, running, stop

PORTS = 16
_AGENT = """
[server]
data = "{folder}/data"
metrics = "127.0.0.1:{metrics}"
drain_s = 20
[host]
listen = "127.0.0.1:{port}"
ports = {ports}
certificate = "{certificates}/host.pem"
key = "{certificates}/host.key"
authority = "{certificates}/gateways-authority.pem"
{engines}
"""
GATEWAY = ALONE.replace("[engines.tone]", '[engines.tone]\ncluster = "gpu"')
CLUSTER = """
[clusters.gpu]
{hosts}
certificate = "{made}/gateway.pem"
key = "{made}/gateway.key"
authority = "{made}/hosts-authority.pem"
"""


_OTHER_ADDRESS = "127.0.0.2"


class Agent(NamedTuple):
    """A `voxgate host`, and the URL of its metrics page."""

    process: Process
    port: int
    metrics: str
    log: Path

    def hosts(self) -> list[psutil.Process]:
        return [
            child
            for child in psutil.Process(self.process.pid).children(recursive=True)
            if "speech_engine.host" in child.cmdline()
        ]


@contextmanager
def agent(
    folder: Path,
    certificates: Path,
    engines: str = "[engines.tone]\nslots = 8",
    *options: str,
    port: int = 0,
    program: Sequence[str] = (str(VOXGATE),),
) -> Iterator[Agent]:
    """Starts one on this port or on a free one, waits until it listens, and ends it with SIGTERM."""
    folder.mkdir(exist_ok=True)
    port, metrics, file, log = port or port_range(), free_port(), folder / "config.toml", folder / "host.log"
    file.write_text(
        _AGENT.format(
            folder=folder, metrics=metrics, port=port, ports=PORTS, certificates=certificates, engines=engines
        )
    )
    with log.open("ab") as errors:
        words = [*program, "host", "--config", str(file), *options]
        process = (
            subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
            if "--ends-with-stdin" in options
            else forked.start(words, os.environ, None, errors.fileno())
        )
    assert process.stdout is not None
    assert process.stdout.readline(), log.read_text()
    try:
        yield Agent(process, port, f"http://127.0.0.1:{metrics}", log)
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)  # one that a test has stopped
        stop(process)


def port_range() -> int:
    """A free port with free ones after it, as far as anybody can know."""
    while True:
        first = free_port()
        if first > 65_000:
            continue
        with ExitStack() as stack, suppress(OSError):
            for port in range(first, first + 5):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first


def certificates(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    make(folder)
    return folder


@contextmanager
def gateway(
    folder: Path, certificates: Path, *addresses: str, more: str = "", models: str = "[models]"
) -> Iterator[Server]:
    folder.mkdir(exist_ok=True)
    hosts = ", ".join(f'"{each}"' for each in addresses)
    cluster = CLUSTER.format(hosts=f"hosts = [{hosts}]", made=certificates)
    with running(folder, GATEWAY.replace("[models]", models) + cluster + more) as server:
        yield server


def watched(server: Server) -> int:
    """How many hosts the gateway watches now."""
    lines = httpx2.get(server.metrics, timeout=10.0).text.splitlines()
    (line,) = [each for each in lines if each.startswith("voxgate_cluster_hosts{") and '"watched"' in each]
    return round(float(line.rpartition(" ")[2]))


class Relay:
    """Passes bytes on to a port, or to a Unix socket, until it is `cut`: then it swallows them, and closes
    nothing. `before_agent`: it has its ports on another address, since gateways dial these."""

    def __init__(self, there: int | Path, *, before_agent: bool) -> None:
        self._is_cut = threading.Event()
        self._servers: dict[socket.socket, int | Path] = {}
        if before_agent and isinstance(there, int):
            for port in range(there, there + PORTS + 1):
                with suppress(OSError):  # a port that another program has is none of the agent's
                    self._servers[socket.create_server((_OTHER_ADDRESS, port))] = port
        else:
            self._servers[socket.create_server(("127.0.0.1", 0))] = there
        name, self.port = next(iter(self._servers)).getsockname()
        self.address = f"{name}:{self.port}"
        self._open: list[socket.socket] = [*self._servers]
        for server in self._servers:
            threading.Thread(target=self._accept, args=(server,), daemon=True).start()

    def cut(self) -> None:
        self._is_cut.set()

    def join(self) -> None:
        """Pass on again what comes over new connections. The old ones end, as they have lost bytes."""
        broken = [each for each in self._open if each not in self._servers]
        self._open = [*self._servers]
        for each in broken:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._is_cut.clear()

    def close(self) -> None:
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                here, _ = server.accept()
                self._open.append(here)
                try:
                    there = _connected(self._servers[server])
                except ConnectionError:
                    here.close()  # as the host itself would
                    continue
                self._open.append(there)
                for one, other in ((here, there), (there, here)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65_536):
                if not self._is_cut.is_set():
                    other.sendall(data)


def _connected(to: int | Path) -> socket.socket:
    if isinstance(to, int):
        return socket.create_connection(("127.0.0.1", to))
    there = socket.socket(socket.AF_UNIX)
    there.connect(str(to))
    return there


@contextmanager
def relay(there: int | Path, *, before_agent: bool = False) -> Iterator[Relay]:
    between = Relay(there, before_agent=before_agent)
    try:
        yield between
    finally:
        between.close()
