"""Hosts of one engine as a Ray Serve application. README.md says how to deploy it.

Ray Serve places, restarts and scales the hosts. Their sound does not pass through Ray.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

from host_load import by_load, figures_of
from ray.serve import deployment
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy
from ray.util import get_node_ip_address

FIRST_PORT = 7070
PORTS = 32
"""Of a host: its own, one for each life of a process, and last that of its metrics page."""
ANSWER_S = 5.0
SPARE_S = 15.0
"""More than `drain_s`, until Serve kills a replica that should end."""


class EngineHost:
    """One `voxgate host`, which ends when this process ends, in whatever way that happens."""

    _process: subprocess.Popen[bytes] | None = None

    def __init__(self, engine: str, first_port: int, drain_s: float) -> None:
        """Return when the engine is ready. Raise RuntimeError if the host ends before that."""
        address = get_node_ip_address()
        self._claim, port = claim_ports(address, first_port)
        self._page_port = port + PORTS - 1
        listen = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        self._process = subprocess.Popen(
            ("voxgate", "host", "--ends-with-stdin", "--engine", engine, "--listen", listen),
            # Its input closes with this process, and that ends it. Ray kills what is in this process's session,
            # but a host may still have work then.
            stdin=subprocess.PIPE,
            start_new_session=True,
            env=environ_for_host(os.environ, self._page_port, drain_s),
        )
        while self._answer("readyz")[0] != 200:
            if self._process.poll() is not None:
                raise RuntimeError(f"voxgate host ended with status {self._process.returncode}; see its log")
            time.sleep(0.2)

    def check_health(self) -> None:
        """Raise RuntimeError if the host has ended or does not answer. Then Serve starts another replica.

        A host whose engine is not ready is healthy: it starts a crashed engine again by itself, and operators
        unload engines.
        """
        if self._process is None or self._process.poll() is not None or not self._answer("readyz")[0]:
            raise RuntimeError("voxgate host has ended, or does not answer")

    def record_autoscaling_stats(self) -> dict[str, float]:
        return figures_of(self._answer("metrics")[1])

    def __del__(self) -> None:
        """Let the host finish its work. Serve calls this, and waits, before it ends a replica."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def _answer(self, path: str) -> tuple[int, str]:
        """Return the status and the text of the host's metrics page, or 0 and "" if it does not answer."""
        try:
            with closing(HTTPConnection("127.0.0.1", self._page_port, timeout=ANSWER_S)) as connection:
                connection.request("GET", f"/{path}")
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
        except OSError:
            return 0, ""


def claim_ports(address: str, first: int) -> tuple[socket.socket, int]:
    """Return the first of PORTS ports that no other replica has, and a socket that keeps them from others.

    A host whose replica has died may have its port for a while.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for port in range(first, 65_536 - PORTS, PORTS):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0voxgate-ray-{port}")  # the kernel takes the name back when this process ends
            socket.create_server((address, port), family=family).close()
        except OSError:
            claim.close()
        else:
            return claim, port
    raise RuntimeError(f"no {PORTS} ports are free from {first} on")


def environ_for_host(environ: Mapping[str, str], page_port: int, drain_s: float) -> dict[str, str]:
    """Return the environment of a host, which gets neither Ray's token nor Ray's modules."""
    kept = {name: value for name, value in environ.items() if not name.startswith(("RAY_", "PYTHONPATH"))}
    return {
        **kept,
        "VOXGATE_HOST__PORTS": str(PORTS - 2),
        "VOXGATE_SERVER__METRICS": f"127.0.0.1:{page_port}",
        "VOXGATE_SERVER__DRAIN_S": str(drain_s),
    }


def app(args: Mapping[str, Any]) -> Any:
    """Return the application of these arguments, which are texts where they come from a command line."""
    return _application(**args)


def _application(
    engine: str,
    num_gpus: float = 1,
    num_cpus: float = 1,
    drain_s: float = 30,
    first_port: int = FIRST_PORT,
    **scaling: Any,
) -> Any:
    hosts = deployment(
        EngineHost,
        name=engine,
        ray_actor_options={"num_gpus": float(num_gpus), "num_cpus": float(num_cpus)},
        autoscaling_config=AutoscalingConfig(policy=AutoscalingPolicy(policy_function=by_load), **scaling),
        health_check_period_s=2,
        health_check_timeout_s=3 * ANSWER_S,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=float(drain_s) + SPARE_S,
    )
    return hosts.bind(engine, int(first_port), float(drain_s))
