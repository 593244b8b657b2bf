"""Real agents with their engines, a gateway that uses them, and a relay between that can be cut off."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx2
import psutil

from tests import forked
from tests.features.cluster.gateways import nginx
from tests.server import ALONE, VOXGATE, Process, Server, free_port, running, stop

_AGENT = """
[server]
data = "{folder}/data"
metrics = "127.0.0.1:{metrics}"
drain_s = 20
{engines}
"""
_NGINX = """
upstream gateways {{ {places} }}
map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
server {{
    listen 127.0.0.1:{port};
    location = /readyz {{ return 200; }}
    location / {{
        proxy_pass http://gateways;
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        proxy_buffering off;
        proxy_read_timeout 120s;
    }}
}}
"""
CLUSTER = "[clusters.gpu]\n"
GATEWAY = ALONE.replace("[engines.tone]", '[engines.tone]\ncluster = "gpu"') + CLUSTER


class Agent(NamedTuple):
    """A `voxgate host`, and the URL of its metrics page."""

    process: Process
    metrics: str
    log: Path

    def hosts(self) -> list[psutil.Process]:
        return [
            child
            for child in psutil.Process(self.process.pid).children(recursive=True)
            if "speech_engine.host" in child.cmdline()
        ]


def host_key(server: Server) -> str:
    """A new key with which hosts join the server's cluster."""
    with server.control() as control:
        made = control.post("/admin/keys", json={"account": "dev", "role": "host", "cluster": "gpu"})
    return str(made.json()["key"])


@contextmanager
def agent(
    folder: Path,
    url: str,
    key: str,
    engines: str = "[engines.tone]\nslots = 8",
    *options: str,
    program: Sequence[str] = (str(VOXGATE),),
) -> Iterator[Agent]:
    """Starts one that dials this URL, waits until it runs, and ends it with SIGTERM."""
    folder.mkdir(exist_ok=True)
    metrics, file, log = free_port(), folder / "config.toml", folder / "host.log"
    file.write_text(_AGENT.format(folder=folder, metrics=metrics, engines=engines))
    environ = {**os.environ, "VOXGATE_HOST_KEY": key}
    with log.open("ab") as errors:
        words = [*program, "host", "--config", str(file), "--join", url, *options]
        process = (
            subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environ)
            if "--ends-with-stdin" in options
            else forked.start(words, environ, None, errors.fileno())
        )
    assert process.stdout is not None
    assert process.stdout.readline(), log.read_text()
    try:
        yield Agent(process, f"http://127.0.0.1:{metrics}", log)
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)  # one that a test has stopped
        stop(process)


@contextmanager
def gateway(folder: Path, *, more: str = "", models: str = "[models]") -> Iterator[Server]:
    folder.mkdir(exist_ok=True)
    with running(folder, GATEWAY.replace("[models]", models) + more) as server:
        yield server


@contextmanager
def balancer(folder: Path, servers: Sequence[Server]) -> Iterator[str]:
    """Run nginx before gateways, and yield its URL."""
    port, places = free_port(), "".join(f"server 127.0.0.1:{port_of(each)}; " for each in servers)
    with nginx(folder, port, _NGINX.format(port=port, places=places)) as url:
        yield url


def port_of(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


def watched(server: Server) -> int:
    """How many hosts the gateway watches now."""
    lines = httpx2.get(server.metrics, timeout=10.0).text.splitlines()
    (line,) = [each for each in lines if each.startswith("voxgate_cluster_hosts{") and '"watched"' in each]
    return round(float(line.rpartition(" ")[2]))


class Relay:
    """Passes bytes on to a port, or to a Unix socket, until it is `cut`: then it swallows them, and closes
    nothing."""

    def __init__(self, there: int | Path) -> None:
        self._is_cut = threading.Event()
        self._there = there
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._is_cut.set()

    def join(self) -> None:
        """Pass on again what comes over new connections. The old ones end, as they have lost bytes."""
        broken, self._open = self._open, []
        for each in broken:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._is_cut.clear()

    def close(self) -> None:
        for each in (self._server, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._server.accept()
                self._open.append(here)
                try:
                    there = _connected(self._there)
                except ConnectionError:
                    here.close()  # as the server itself would
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
def relay(there: int | Path) -> Iterator[Relay]:
    between = Relay(there)
    try:
        yield between
    finally:
        between.close()
