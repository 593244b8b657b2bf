"""The checks of the server: it runs on this data folder, it answers, and its ports are its own or free."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

from proxy.config.config_toml import Config
from proxy.config.finding import Finding, note, ok, wrong
from proxy.file_store import data_folder
from proxy.processes import runtime

ANSWER_S = 4.0
"""The metrics page may wait 2 s for its worker."""
_LOCAL_OF_ANY = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}


def server(config: Config) -> Iterator[Finding]:
    data = Path(config.data)
    if config.host.is_used:
        yield ok("server", "none: this machine has engines for gateways; its metrics page says what they do")
        return
    if not data_folder.is_held(data):
        yield _idle(data)
        return
    address = runtime.control_address(data)
    answer = _ask(address, "engines") if address else None
    if answer is None:
        do = "if it starts or stops, wait; else end it with kill, which releases the folder"
        yield wrong("server", f"a process holds {data}, but does not answer", do)
        return
    yield ok("server", f"running on {data}")
    for engine in answer["data"]:
        if engine["state"] == "failed":
            failed = f"{engine['name']} failed: {engine['reason']}"
            yield wrong("engine", failed, _mend(config, engine["name"]))
        elif engine["state"] != "ready" or engine["reason"]:
            says = ": ".join(filter(None, (f"{engine['name']} is {engine['state']}", engine["reason"])))
            yield note("engine", says, "see voxgate engines; while it starts, try again in a moment")


def _mend(config: Config, engine: str) -> str:
    section = config.engines.get(engine)
    if section is not None and section.cluster:
        hosts = f"the hosts of [clusters.{section.cluster}]"
        return f"mend or start {hosts}, which the server finds by itself; its log has cluster.watch.failed"
    return f"do what it says, or mend it and restart the server; see its log and voxgate engines, {engine}"


def _idle(data: Path) -> Finding:
    link = data / "run"
    if link.is_symlink():
        left = os.readlink(link)
        says = f"not running; a killed server left {left}"
        return note("server", says, "nothing: the next start replaces it; the folder may be deleted")
    return ok("server", "not running")


def _ask(address: str, path: str) -> Any | None:
    """Return the answer of the control socket, or None if it is late, not JSON, or an error."""
    transport = httpx2.HTTPTransport(uds=address, verify=False)
    try:
        with httpx2.Client(transport=transport, timeout=ANSWER_S) as client:
            answer = client.get(f"http://control/admin/{path}")
            return answer.json() if answer.status_code == 200 else None
    except (httpx2.TransportError, ValueError):
        return None


def _running(config: Config) -> Any | None:
    """Return the running server's own addresses, which options may have changed, or None without a server."""
    data = Path(config.data)
    address = runtime.control_address(data) if data_folder.is_held(data) else None
    return _ask(address, "server") if address else None


def _running_finding(check: str, where: str, configured: str) -> Finding:
    other = "" if where == configured else f"; the configuration names {configured}"
    return ok(check, f"{where}, of the running server{other}")


def port(config: Config) -> Iterator[Finding]:
    server = config.server
    if config.host.is_used:
        return
    if (running := _running(config)) is not None:
        if not running["port"]:
            yield ok("port", "none, as what runs is a worker")
            return
        where = f"{running['host']}:{running['port']}"
        yield _running_finding("port", where, f"{server.host}:{server.port}")
        if server.port not in (0, running["port"]):
            yield from _at_next_start("port", server.host, server.port, "--port")
        return
    do = "stop that program, or choose another port with [server] port or --port"
    yield _judge("port", server.host, server.port, "/v1", b'"name":"voxgate"', config, do)


def metrics_port(config: Config) -> Iterator[Finding]:
    if config.host.is_used:
        return
    if (running := _running(config)) is not None:
        if running["metrics"]:
            yield _running_finding("metrics port", running["metrics"], config.server.metrics or "none")
        if config.server.metrics and running["metrics"] != config.server.metrics:
            host, _, number = config.server.metrics.rpartition(":")
            yield from _at_next_start("metrics port", host, int(number), "VOXGATE_SERVER__METRICS")
        return
    if config.server.metrics:
        host, _, number = config.server.metrics.rpartition(":")
        do = 'stop that program, or choose another port with [server] metrics, or "" for no page'
        yield _judge("metrics port", host, int(number), "/metrics", b"voxgate_", config, do)


def _at_next_start(check: str, host: str, number: int, moved_by: str) -> Iterator[Finding]:
    """Yield a note if the configured address is taken, while the running server has another address."""
    if (refused := _why_refused(host, number)) is not None:
        port_taken = refused.errno == errno.EADDRINUSE
        why = (
            "is taken by another program" if port_taken else f"cannot be used: {refused.strerror or refused}"
        )
        do = f"keep {moved_by} for the next start, or mend the configuration"
        yield note(check, f"{host}:{number}, which the configuration names, {why}", do)


def _judge(check: str, host: str, number: int, path: str, mark: bytes, config: Config, do: str) -> Finding:
    where = f"{host}:{number}"
    refused = _why_refused(host, number)
    if refused is None:
        return ok(check, f"{where} is free" if number else "any free port")
    if refused.errno != errno.EADDRINUSE:
        return wrong(check, f"cannot listen on {where}: {refused.strerror or refused}", do)
    if mark not in _read_page(_LOCAL_OF_ANY.get(host, host), number, path):
        return wrong(check, f"{where} is taken by another program", do)
    if not data_folder.is_held(Path(config.data)):
        return wrong(check, f"{where} is taken by a voxgate of another data folder", do)
    return ok(check, f"{where}, of the running server")


def _why_refused(host: str, number: int) -> OSError | None:
    """Return the reason why a server cannot listen there. The socket is only bound: no client can connect."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except (OverflowError, UnicodeError) as error:
            # A port above 65535, or a name that no resolver takes.
            return OSError(errno.EINVAL, str(error))
        except OSError as error:
            return error
    return None


def _read_page(host: str, number: int, path: str) -> bytes:
    url = httpx2.URL(scheme="http", host=host, port=number, path=path)
    # A proxy of the environment is for other machines.
    client = httpx2.Client(timeout=ANSWER_S, trust_env=False, verify=False)
    try:
        with client, client.stream("GET", url) as answer:
            return next(answer.iter_bytes(65536), b"")
    except (httpx2.TransportError, httpx2.DecodingError):
        return b""
