"""Read [server], [storage] and [limits]: what processes open, and what they must share."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from pathlib import Path

from proxy.config import addresses
from proxy.config.reader import Reader
from proxy.config.secret import SecretMissing, resolve
from proxy.config.sections import LimitsStore, Server, Storage


def read_server(reader: Reader, value: object) -> Server:
    server = reader.section(Server, value, "server") or Server()
    for entry in server.trusted_proxies:
        try:
            ipaddress.ip_network(entry)
        except ValueError as error:
            right = 'must be IP addresses or networks, such as "10.0.0.0/8"'
            reader.fault("server.trusted_proxies", f"{right}; {entry!r} is none: {error}")
    return server


def read_storage(reader: Reader, value: object, environ: Mapping[str, str], folder: Path) -> Storage:
    section = reader.section(Storage, value, "storage") or Storage()
    return Storage(_Url(reader, "storage.url", addresses.check_storage).read(section.url, environ, folder))


def read_limits(reader: Reader, value: object, environ: Mapping[str, str], folder: Path) -> LimitsStore:
    section = reader.section(LimitsStore, value, "limits") or LimitsStore()
    return LimitsStore(_Url(reader, "limits.url", addresses.check_limits).read(section.url, environ, folder))


class _Url:
    """The reader of one `url` key. A fault never repeats the address, which may hold a password."""

    def __init__(self, reader: Reader, key: str, check: Callable[[str], None]) -> None:
        self._reader = reader
        self._key = key
        self._check = check

    def read(self, written: str, environ: Mapping[str, str], folder: Path) -> str:
        try:
            url = resolve(written, environ, folder)
            self._check(url)
        except (SecretMissing, ValueError) as error:
            self._reader.fault(self._key, str(error))
            return written
        return url


def check_shared(reader: Reader, server: Server, storage: Storage, limits: LimitsStore) -> None:
    """Check that several workers have a store and limits that all of them can use."""
    if server.workers == 1:
        return
    missing: list[str] = []
    if storage.url == "sqlite":
        missing.append("storage.url to a PostgreSQL's address (SQLite takes one writer)")
    if addresses.is_memory(limits.url):
        missing.append("limits.url to a Redis's (in memory each worker would count alone)")
    if missing:
        what = " and ".join(missing)
        reader.fault(
            "server.workers", f"{server.workers} workers share one state: set {what}; or workers = 1"
        )
