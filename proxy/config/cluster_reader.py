"""Read [host] and [clusters.NAME], and check engines with a `cluster`. Nothing here opens a certificate."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from proxy.config import addresses
from proxy.config.clusters import ClusterSection, HostSection, TlsFiles, parse_address
from proxy.config.reader import Reader, did_you_mean
from proxy.config.secret import named_secret
from proxy.config.sections import EngineSection, Storage

S = TypeVar("S", bound=TlsFiles)

_TLS_KEYS = TlsFiles.__struct_fields__
_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_KEYS_OF_HOSTS = ("hosted", "runner", "processes", "device", "memory_gb", "on_demand")
"""The keys of an engine that its hosts have in their own files."""


def read_host(reader: Reader, value: object, environ: Mapping[str, str], folder: Path) -> HostSection:
    section = reader.section(HostSection, value, "host") or HostSection()
    if section.listen and _are_addresses(reader, "host.listen", [section.listen]):
        last = 65535 - section.ports
        if parse_address(section.listen).port > last:
            reader.fault("host.listen", f"must have a port up to {last}: the host.ports follow it")
        if section.announced_address.name in ("0.0.0.0", "::"):
            reader.fault("host.address", "is missing: where others reach this machine")
        section = _with_absolute_files(reader, section, "host", folder, [section.listen])
    elif section.authority:
        # It is that of the gateways that this host dials.
        section = replace(section, authority=str((folder / section.authority).absolute()))
    for one, other in (("gateways", "api_key"), ("api_key", "gateways")):
        if getattr(section, one) and not getattr(section, other):
            reader.fault(f"host.{other}", f"is missing: host.{one} needs it")
    key = section.api_key and named_secret(reader, "host.api_key", section.api_key, environ, folder, "a key")
    return replace(section, api_key=key)


def read_clusters(reader: Reader, value: object, folder: Path, storage: Storage) -> dict[str, ClusterSection]:
    clusters: dict[str, ClusterSection] = {}
    for name, cluster_value in reader.table(value, "clusters").items():
        key = f"clusters.{name}"
        if not _NAME.fullmatch(name):
            reader.fault(key, "a cluster's name has at most 64 lower-case letters, digits, - and _")
        clusters[name] = ClusterSection()
        if (section := reader.section(ClusterSection, cluster_value, key)) is None:
            continue
        if section.announced and not addresses.is_postgres(storage.url):
            reader.fault(f"{key}.announced", "needs PostgreSQL, where announced hosts are noted: storage.url")
        for network in section.networks:
            try:
                ip_network(network)
            except ValueError:
                reader.fault(f"{key}.networks", f'{network!r} is no network such as "10.0.5.0/24"')
        if _are_addresses(reader, f"{key}.hosts", section.hosts):
            # An announced host is never this machine.
            hosts = (*section.hosts, *(["announced:1"] if section.announced else ()))
            clusters[name] = _with_absolute_files(reader, section, key, folder, hosts)
    return clusters


def check_clusters(
    reader: Reader, engines: Mapping[str, EngineSection], clusters: Mapping[str, ClusterSection]
) -> None:
    """Report faults of engines with a cluster."""
    defaults = EngineSection(plugin="")
    for name, section in engines.items():
        cluster = section.cluster
        if cluster and cluster not in clusters:
            why = f"there is no [clusters.{cluster}]; {did_you_mean(cluster, clusters)}"
            reader.fault(f"engines.{name}.cluster", why)
        for key in _KEYS_OF_HOSTS if cluster else ():
            if getattr(section, key) != getattr(defaults, key):
                why = f"must be left out beside cluster: the hosts of {cluster} have their own"
                reader.fault(f"engines.{name}.{key}", why)


def _are_addresses(reader: Reader, key: str, texts: Iterable[str]) -> bool:
    try:
        return all(parse_address(text) for text in texts)
    except ValueError as error:
        reader.fault(key, f'must be "NAME:PORT", such as "gpu1:7070"; {error}')
        return False


def _with_absolute_files(reader: Reader, section: S, key: str, folder: Path, hosts: Iterable[str]) -> S:
    """Return the section with absolute paths. Report missing files: without TLS, nothing leaves this
    machine."""
    files = {name: getattr(section, name) for name in _TLS_KEYS}
    is_local = all(addresses.is_local(parse_address(place).name) for place in hosts)
    if any(files.values()) or not is_local:
        why = "the other two need it" if is_local else "only loopback does without TLS"
        for name in (name for name in _TLS_KEYS if not files[name]):
            reader.fault(f"{key}.{name}", f"is missing: {why}; voxgate certificates make FOLDER makes it")
    return replace(section, **{name: str((folder / file).absolute()) for name, file in files.items() if file})
