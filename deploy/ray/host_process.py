"""A `voxgate host` that ends when the process that started it ends. This file does not import Ray."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection

from host_load import figures_of

ANSWER_S = 5.0
MOST_SILENT = 3
"""After so many failed checks, Serve removes a replica."""
_LOOK_EVERY_S = 0.2


class RayHost:
    def __init__(self, engine: str, drain_s: float) -> None:
        self._page_port = free_port()
        self._silent = 0
        self._process = subprocess.Popen(
            ("voxgate", "host", "--ends-with-stdin", "--engine", engine),
            # Its input closes with this process, and that ends it once it has no work. In the session of a
            # replica, Ray would kill it before that.
            stdin=subprocess.PIPE,
            start_new_session=True,
            env=environ_for_host(os.environ, self._page_port, drain_s),
        )

    def wait_until_ready(self) -> None:
        """Return when its engine is ready. Raise RuntimeError if the host ends before that."""
        while self._answer("readyz")[0] != 200:
            if (status := self._process.poll()) is not None:
                raise RuntimeError(f"voxgate host ended with status {status}; its log is above")
            time.sleep(_LOOK_EVERY_S)

    def check(self) -> None:
        """Raise RuntimeError if it has ended or does not answer.

        A host whose engine is not ready is healthy: it starts a crashed engine again by itself, and operators
        unload engines.
        """
        if (status := self._process.poll()) is not None:
            raise RuntimeError(f"voxgate host ended with status {status}")
        self._silent = 0 if self._answer("readyz")[0] else self._silent + 1
        if self._silent >= MOST_SILENT:
            self._process.kill()  # it is frozen, and so would not notice that its input closes
        if self._silent:
            raise RuntimeError("voxgate host does not answer")

    def figures(self) -> dict[str, float]:
        return figures_of(self._answer("metrics")[1])

    def end(self) -> int:
        """Let it finish its work, at most `drain_s`, and return its status."""
        with self._process:
            self._process.terminate()
        return self._process.returncode

    def _answer(self, path: str) -> tuple[int, str]:
        """Return the status and the text of its metrics page, or 0 and "" if it does not answer."""
        try:
            with closing(HTTPConnection("127.0.0.1", self._page_port, timeout=ANSWER_S)) as connection:
                connection.request("GET", f"/{path}")
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
        except OSError:
            return 0, ""


def free_port() -> int:
    """Return a port for the metrics page. A host whose port is taken meanwhile ends, and another starts."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def environ_for_host(environ: Mapping[str, str], page_port: int, drain_s: float) -> dict[str, str]:
    """Return the environment of a host, which gets neither Ray's token nor Ray's modules."""
    kept = {name: value for name, value in environ.items() if not name.startswith(("RAY_", "PYTHONPATH"))}
    page = f"127.0.0.1:{page_port}"
    return {**kept, "VOXGATE_SERVER__METRICS": page, "VOXGATE_SERVER__DRAIN_S": str(drain_s)}
