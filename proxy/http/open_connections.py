"""The open connections of a worker: how many there may be, in all and of one client.

A client with more than its share is refused at once. If the worker is full, a new connection takes one of a
few spare places, in which it may only ask whether the server lives. A newer connection pushes out the oldest
of them. So a client that sends its request at once is answered, even if silent connections hold all places.
"""

from __future__ import annotations

import resource
from collections import Counter
from typing import Any, Protocol

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from policies.networks import networks_of
from proxy.config.sections import Server
from proxy.errors import RateLimited, RequestFailed
from proxy.helpers.file_limit import ENOUGH_FILES
from proxy.telemetry.metrics import ConnectionMetrics

SPARE_CONNECTIONS = 16
HEALTH_PATHS = (b"/healthz", b"/health", b"/readyz")
OTHER_FILES = 256
"""Open files that a worker needs besides: databases, hosts, providers, logs."""


class OpenConnection(Protocol):
    def cut_off(self) -> None:
        """End the connection now."""
        ...


class OpenConnections:
    """The connections of the port. `revise_limits` takes the limits of a new configuration."""

    def __init__(self, server: Server, metrics: ConnectionMetrics) -> None:
        self.metrics = metrics
        # If true, each answer is the last one of its connection.
        self.is_server_leaving = False
        self._networks: dict[OpenConnection, str] = {}
        self._by_network: Counter[str] = Counter()
        # Oldest first.
        self._spare_connections: dict[OpenConnection, None] = {}
        metrics.count_open = self._networks.__len__
        self.revise_limits(server)

    def __repr__(self) -> str:
        return f"<OpenConnections {len(self._networks)} of {self._most_connections}>"

    def revise_limits(self, server: Server) -> None:
        self._most_connections = min(server.connections, _file_limit() - OTHER_FILES)
        self._most_by_client = server.connections_per_client
        # uvicorn reads the setting. These proxies have no limit: each has the connections of all its clients.
        no_app: Any = None
        self._proxies = ProxyHeadersMiddleware(no_app, list(server.trusted_proxies)).trusted_hosts

    def add_or_refuse(self, connection: OpenConnection, address: str) -> RequestFailed | None:
        """Count a connection and return None, or return why it is refused."""
        network, _ = ("", "") if address in self._proxies else networks_of(address)
        if network and self._by_network[network] >= self._most_by_client:
            return RateLimited(
                f"Your address has {self._most_by_client} open connections, and that is the most.",
                retry_after_s=1.0,
            )
        if len(self._networks) >= self._most_connections:
            if len(self._spare_connections) >= SPARE_CONNECTIONS:
                oldest = next(iter(self._spare_connections))
                self.remove_connection(oldest)
                oldest.cut_off()
            self._spare_connections[connection] = None
        self._networks[connection] = network
        self._by_network[network] += 1
        return None

    def remove_connection(self, connection: OpenConnection) -> None:
        network = self._networks.pop(connection, None)
        if network is None:
            return
        self._spare_connections.pop(connection, None)
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]

    def replace_connection(self, connection: OpenConnection, successor: OpenConnection) -> None:
        """Give the place of a connection to the one that goes on with its transport."""
        self._networks[successor] = self._networks.pop(connection)

    def is_spare(self, connection: OpenConnection) -> bool:
        return connection in self._spare_connections


def _file_limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Allow a few connections even where the system allows hardly any.
    return ENOUGH_FILES if soft == resource.RLIM_INFINITY else max(soft, OTHER_FILES + SPARE_CONNECTIONS)
