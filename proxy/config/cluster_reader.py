"""Read [host] and [clusters.NAME], and check engines with a `cluster`. Nothing here opens a certificate."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from proxy.config import addresses
from proxy.config.clusters import ClusterSection, HostAddress, HostSection, TlsFiles, address_of
from proxy.config.reader import Reader, hint
from proxy.config.secret import named_secret
from proxy.config.sections import EngineSection, Storage

S = TypeVar("S", HostSection, ClusterSection)

_TLS = ("certificate", "key", "authority")
_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_OF_LOCAL_HOSTS = ("hosted", "runner", "processes", "device", "memory_gb", "on_demand")
"""The keys of an engine that are the agent's to say where it has a cluster."""


def read_host(reader: Reader, value: object, environ: Mapping[str, str], folder: Path) -> HostSection:
    section = reader.section(HostSection, value, "host") or HostSection()
    listen = _address(reader, "host.listen", section.listen) if section.listen else None
    if listen is not None:
        _check_listen(reader, section, listen)
    for one, other in (("gateways", "api_key"), ("api_key", "gateways")):
        if getattr(section, one) and not getattr(section, other):
            reader.fault(f"host.{other}", f"is missing: host.{one} needs it")
    key = section.api_key and named_secret(reader, "host.api_key", section.api_key, environ, folder, "a key")
    return _absolute(replace(section, api_key=key), folder)


def _check_listen(reader: Reader, section: HostSection, listen: HostAddress) -> None:
    if listen.port + section.ports > 65535:
        last = 65535 - section.ports
        reader.fault("host.listen", f"must have a port up to {last}: host.ports = {section.ports} follow it")
    where = section.announced
    if where.is_any:
        reader.fault("host.address", f"is missing: others cannot reach {where.name}")
    _check_tls(reader, section, "host", [listen])


def read_clusters(reader: Reader, value: object, folder: Path, storage: Storage) -> dict[str, ClusterSection]:
    clusters: dict[str, ClusterSection] = {}
    for name, written in reader.table(value, "clusters").items():
        key = f"clusters.{name}"
        if not _NAME.fullmatch(name):
            reader.fault(key, "a cluster's name has at most 64 lower-case letters, digits, - and _")
        section = reader.section(ClusterSection, written, key)
        if section is None:
            clusters[name] = ClusterSection()
            continue
        found = [_address(reader, f"{key}.hosts", host) for host in section.hosts]
        if not found and not section.announced:
            reader.fault(f"{key}.hosts", f"is missing: name hosts, or set {key}.announced = true")
        if section.announced and not addresses.is_postgres(storage.url):
            reader.fault(f"{key}.announced", "needs PostgreSQL, where announced hosts are noted: storage.url")
        # An announced host is never this machine.
        remote = [HostAddress("", 0)] if section.announced else []
        _check_tls(reader, section, key, [*remote, *(each for each in found if each is not None)])
        clusters[name] = _absolute(section, folder)
    return clusters


def check_clusters(
    reader: Reader, engines: Mapping[str, EngineSection], clusters: Mapping[str, ClusterSection]
) -> None:
    """Report faults of engines with a cluster. What an agent decides is not written at its gateways."""
    defaults = EngineSection(plugin="")
    for name, section in engines.items():
        if not section.cluster:
            continue
        if section.cluster not in clusters:
            known = hint(section.cluster, clusters)
            reader.fault(f"engines.{name}.cluster", f"there is no [clusters.{section.cluster}]; {known}")
        for key in _OF_LOCAL_HOSTS:
            if getattr(section, key) != getattr(defaults, key):
                where = f"the hosts of {section.cluster} have their own"
                reader.fault(f"engines.{name}.{key}", f"must be left out beside cluster: {where}")


def _address(reader: Reader, key: str, text: str) -> HostAddress | None:
    try:
        return address_of(text)
    except ValueError:
        reader.fault(key, f'must be "NAME:PORT", such as "gpu1:7070"; got {text!r}')
        return None


def _check_tls(reader: Reader, section: TlsFiles, key: str, places: Iterable[HostAddress]) -> None:
    """Report files that are missing. Plain TCP never leaves a machine."""
    missing = [name for name in _TLS if not getattr(section, name)]
    remote = next((place for place in places if not place.is_local), None)
    if len(missing) < len(_TLS) or remote is not None:
        for name in missing:
            why = "the other two files are there" if remote is None else "only loopback does without TLS"
            reader.fault(f"{key}.{name}", f"is missing: {why}; voxgate certificates make FOLDER makes it")


def _absolute(section: S, folder: Path) -> S:
    paths = {name: getattr(section, name) for name in _TLS}
    found = {name: str((folder / path).absolute()) for name, path in paths.items() if path}
    return replace(section, **found)
