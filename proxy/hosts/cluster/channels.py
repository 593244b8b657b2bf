"""Channels of a gateway to the hosts of one cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc

from proxy.config.clusters import ClusterSection, parse_address
from proxy.hosts.cluster import certificates
from speech_engine.host import messages

_OWN_OPTIONS = {
    "grpc.max_receive_message_length": 2 * 1024 * 1024,
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 10_000,
}
PROCESS_OPTIONS = [*{**dict(messages.CHANNEL_OPTIONS), **_OWN_OPTIONS}.items()]
"""Options of a channel to a process: it sends pieces, and a port that does not answer is left alone."""


class Channels:
    """Opens a channel to an address. The cluster's files are read again when their stamp has changed. `ports`
    is the number of ports of each host's processes."""

    is_linked = False

    def __init__(self, cluster: ClusterSection) -> None:
        self.ports = cluster.ports
        self._cluster = cluster
        self._stamp: tuple[object, ...] = ()
        self._credentials: Any = None

    def open(self, address: str, options: Sequence[tuple[str, int]] = PROCESS_OPTIONS) -> Any:
        """Return a channel. Raises UnusableCertificates."""
        if not self._cluster.certificate or address.startswith("/"):
            return grpc.aio.insecure_channel(messages.target(address), options=list(options))
        if (files := certificates.stamp(self._cluster)) != self._stamp:
            pair = certificates.read_pair(self._cluster, "gateway")
            self._credentials, self._stamp = certificates.channel_credentials(pair), files
        return grpc.aio.secure_channel(
            address, self._credentials, options=[*options, *certificates.CHANNEL_OPTIONS]
        )

    def address_of(self, address: str, process_address: str) -> str:
        """Return the address of a process for workers: the host's, with the process's port. Raises ValueError
        for a port that is none of its own."""
        place = parse_address(address)
        first = place.port + 1
        try:
            port = parse_address(process_address).port
        except ValueError:
            port = 0
        if first <= port < first + self.ports:
            return str(place._replace(port=port))
        raise ValueError(f"port {port} of a process is none of the {self.ports} after {address}")
