"""The port and the metrics port: free, held by the server of this data folder, or by somebody else."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from proxy.config.config_toml import Config
from proxy.diagnosis.doctor.result import Result, ok, wrong
from proxy.processes import runtime

ANSWER_S = 4.0
"""The metrics page itself may wait 2 s for its worker."""
_ANY = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}


def port(config: Config) -> Iterator[Result]:
    server = config.server
    do = "stop that one, or choose another with [server] port or --port"
    yield _look("port", server.host, server.port, "/v1", b'"name":"voxgate"', config, do)


def metrics_port(config: Config) -> Iterator[Result]:
    if config.server.metrics:
        host, _, number = config.server.metrics.rpartition(":")
        do = 'stop that one, or choose another with [server] metrics, or "" for no such page'
        yield _look("metrics port", host, int(number), "/metrics", b"voxgate_", config, do)


def _look(check: str, host: str, number: int, path: str, mark: bytes, config: Config, do: str) -> Result:
    where = f"{host}:{number}"
    refused = _refused(host, number)
    if refused is None:
        return ok(check, f"{where} is free" if number else "any free one")
    if refused.errno != errno.EADDRINUSE:
        return wrong(check, f"cannot listen on {where}: {refused.strerror or refused}", do)
    if mark not in _page(_ANY.get(host, host), number, path):
        return wrong(check, f"{where} is taken by another program", do)
    if not runtime.is_held(Path(config.data)):
        return wrong(check, f"{where} is taken by a voxgate of another data folder", do)
    return ok(check, f"{where}, of the running server")


def _refused(host: str, number: int) -> OSError | None:
    """Why a server could not listen there. It is only bound, so nobody can connect meanwhile."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except (OverflowError, UnicodeError) as error:
            # A port above 65535, a name that no resolver would take.
            return OSError(errno.EINVAL, str(error))
        except OSError as error:
            return error
    return None


def _page(host: str, number: int, path: str) -> bytes:
    connection = HTTPConnection(host, number, timeout=ANSWER_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().read(65536)
    except (OSError, HTTPException):
        return b""
    finally:
        connection.close()
