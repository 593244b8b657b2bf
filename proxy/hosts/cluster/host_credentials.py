"""The credentials that a host of a cluster shows to gateways. Only `voxgate host` has a port for them."""

from __future__ import annotations

from typing import Any

import grpc
import structlog

from proxy.config.clusters import TlsFiles
from proxy.hosts.cluster.certificates import UnusableCertificates, read_pair, stamp

_log = structlog.get_logger()


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Return what a host shows to gateways. It admits only them.

    The files are read again when their stamp has changed. Files that have become unusable are reported, and
    the last usable ones stay. Raises UnusableCertificates if they are so now.
    """
    last = stamp(files)

    # gRPC calls this for each connection, in a thread of its own.
    def read_again() -> Any:
        nonlocal last
        before, last = last, stamp(files)
        if last == before:
            return None
        try:
            return configuration()
        except UnusableCertificates as error:
            _log.error("host.certificates.unusable", reason=str(error))
            return None

    def configuration() -> Any:
        pair = read_pair(files, "host")
        return grpc.ssl_server_certificate_configuration([(pair.key, pair.certificate)], pair.authority)

    return grpc.dynamic_ssl_server_credentials(configuration(), read_again, True)  # clients must show theirs
