"""Read [host] and [clusters.NAME], and check engines with a `cluster`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from proxy.config.clusters import ClusterSection, HostSection
from proxy.config.reader import Reader, did_you_mean
from proxy.config.secret import named_secret
from proxy.config.sections import EngineSection

_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_KEYS_OF_HOSTS = ("hosted", "runner", "processes", "device", "memory_gb", "on_demand")
"""The keys of an engine that its hosts have in their own files."""
_GONE_OF_HOST = ("listen", "address", "ports", "certificate", "key")
_GONE_OF_CLUSTER = (
    *("hosts", "ports", "announced", "networks"),
    *("certificate", "key", "authority"),
)


def read_host(reader: Reader, value: object, environ: Mapping[str, str], folder: Path) -> HostSection:
    line = (
        'a host dials since 0.2.0: write gateways = ["https://GATEWAY"] and api_key = "env:VOXGATE_HOST_KEY"'
    )
    section = reader.section(HostSection, _without(reader, value, "host", _GONE_OF_HOST, line), "host")
    section = section or HostSection()
    if section.authority:
        section = replace(section, authority=str((folder / section.authority).absolute()))
    for one, other in (("gateways", "api_key"), ("api_key", "gateways")):
        if getattr(section, one) and not getattr(section, other):
            reader.fault(f"host.{other}", f"is missing: host.{one} needs it")
    key = section.api_key and named_secret(reader, "host.api_key", section.api_key, environ, folder, "a key")
    kind, _, name = section.api_key.partition(":")
    if key and kind == "file":  # it is read again at each dial
        key = f"file:{(folder / name).absolute()}"
    return replace(section, api_key=key)


def read_clusters(reader: Reader, value: object) -> dict[str, ClusterSection]:
    clusters: dict[str, ClusterSection] = {}
    for name, cluster_value in reader.table(value, "clusters").items():
        key = f"clusters.{name}"
        if not _NAME.fullmatch(name):
            reader.fault(key, "a cluster's name has at most 64 lower-case letters, digits, - and _")
        line = (
            "hosts dial since 0.2.0: leave it out, and give each the key of"
            f" voxgate keys create --role host --cluster {name}"
        )
        cluster_value = _without(reader, cluster_value, key, _GONE_OF_CLUSTER, line)
        clusters[name] = reader.section(ClusterSection, cluster_value, key) or ClusterSection()
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


def _without(reader: Reader, value: object, key: str, gone: tuple[str, ...], line: str) -> object:
    """Return a section without keys that earlier versions had. Each is a fault, whose text has the line that
    replaces it."""
    if not isinstance(value, dict):
        return value
    for name in gone:
        if name in value:
            reader.fault(f"{key}.{name}", line)
    return {name: each for name, each in value.items() if name not in gone}
