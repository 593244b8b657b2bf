"""Is a server running on this data folder, does it answer, and are its engines well."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from proxy.config.config_toml import Config
from proxy.diagnosis.doctor.result import Result, note, ok, wrong
from proxy.processes import runtime

ANSWER_S = 4.0


def server(config: Config) -> Iterator[Result]:
    data = Path(config.data)
    if not runtime.is_held(data):
        yield _idle(data)
        return
    address = runtime.control_address(data)
    answer = _engines(address) if address else None
    if answer is None:
        do = "wait if it is starting or stopping; else end it with kill, which releases the folder"
        yield wrong("server", f"a process holds {data}, but does not answer", do)
        return
    yield ok("server", f"running on {data}")
    for engine in answer["data"]:
        if engine["state"] == "failed":
            do = f"mend it, then restart the server; its log has more: see voxgate engines, {engine['name']}"
            yield wrong("engine", f"{engine['name']} failed: {engine['reason']}", do)
        elif engine["state"] != "ready":
            yield note("engine", f"{engine['name']} is {engine['state']}", "look again in a moment")


def _idle(data: Path) -> Result:
    link = data / "run"
    if link.is_symlink():
        left = os.readlink(link)
        says = f"not running; one that was killed left {left}"
        return note("server", says, "nothing: the next start replaces it; that folder may be deleted")
    return ok("server", "not running")


def _engines(address: str) -> Any | None:
    """What the control socket says; None when it says nothing in time, or nonsense."""
    connection = _Local(address)
    try:
        connection.request("GET", "/admin/engines")
        return json.loads(connection.getresponse().read())
    except (OSError, HTTPException, ValueError):
        return None
    finally:
        connection.close()


class _Local(HTTPConnection):
    def __init__(self, address: str) -> None:
        super().__init__("control", timeout=ANSWER_S)
        self._address = address

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._address)
