"""Channels of a gateway to the hosts of one cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc

from proxy.config.clusters import ClusterSection
from proxy.engines.cluster import certificates
from speech_engine.host import messages


class Channels:
    """Opens a channel to an address. The cluster's files are read again for each one."""

    def __init__(self, cluster: ClusterSection) -> None:
        self._cluster = cluster

    def open(self, address: str, options: Sequence[tuple[str, int]] = messages.CHANNEL_OPTIONS) -> Any:
        """Return a channel. Raises UnusableCertificates."""
        if not self._cluster.certificate:
            return grpc.aio.insecure_channel(address, options=list(options))
        pair = certificates.read_pair(self._cluster, "gateway")
        return grpc.aio.secure_channel(
            address,
            certificates.channel_credentials(pair),
            options=[*options, *certificates.CHANNEL_OPTIONS],
        )
