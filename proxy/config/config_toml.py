"""Read config.toml into one frozen `Config`. An error names the file, the key, and the right form.

Precedence: shipped defaults < natural.toml < the file < VOXGATE_SECTION__KEY < the command line. The result
is plain data: the supervisor reads it once and sends it to every worker.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from proxy.config import addresses, defaults
from proxy.config.cluster_reader import check_clusters, read_clusters, read_host
from proxy.config.config_file import (
    early_server_text,
    merge_environment,
    parse_file,
    put_at_path,
    read_server,
    with_secrets,
)
from proxy.config.config_file import find_file as find_file
from proxy.config.engines import check_runners, read_engines, read_plugins
from proxy.config.feature_switches import NO_FEATURES, Needs, read_features_off
from proxy.config.model_names import put_defaults_first, read_models, with_dated
from proxy.config.plans import read_plans
from proxy.config.reader import ConfigError as ConfigError
from proxy.config.reader import Reader, Sections
from proxy.config.routes import read_routes, shipped_routes
from proxy.config.secret import KEY_FORM, is_key, named_secret, resolve, variables
from proxy.config.sections import PLUGIN_KINDS, LimitsStore, Server, Storage, Upstream, VaultSection
from proxy.config.sections import Config as Config
from proxy.config.voices import check_casts, read_consent, read_voices, shipped_voices

T = TypeVar("T")

_SECTIONS = (
    *("server", "storage", "limits", "upstream", "vault", "plans", "engines", "models", "routes", "voices"),
    *("consent", "host", "clusters", "features", *(f"{kind}s" for kind in PLUGIN_KINDS)),
)
# Keys that differ between machines, or that have an address: the digest leaves them out.
_MACHINE_KEYS = (
    *("server.host", "server.port", "server.data", "server.secrets_file", "server.metrics", "server.dev_key"),
    "server.links",
    *("storage.url", "limits.url", "upstream.proxy"),
)
_DIGEST_DIGITS = 12
_SECTIONS_FROM_ENVIRONMENT = (
    *("server", "storage", "limits", "upstream", "vault", "consent", "engines", "host", "clusters"),
    "features",
)


def load(
    sections: Sections,
    path: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    server: Mapping[str, Any] | None = None,
    read_layer: Callable[[Reader, Path], defaults.NoLayer] | None = None,
    needs: Needs = NO_FEATURES,
) -> Config:
    """Read the file, or VOXGATE_CONFIG, or ./config.toml, or only the defaults. Raises ConfigError.

    `sections` are those of features, and `server` has the keys of [server] from the command line.
    `read_layer` reads a layer in the data folder, and warns of what it leaves out. `needs` has all features,
    which [features] may turn off.
    """
    file = find_file(path, environ)
    raw = {} if file is None else parse_file(file)
    reader = Reader(str(file) if file else "defaults")
    _refuse_other_sections(reader, raw, (*_SECTIONS, *(section.name for section in sections)))
    folder = file.parent if file else Path()
    environ = with_secrets(reader, raw, environ, folder)
    data = str((server or {}).get("data") or early_server_text(raw, environ, "data", Server().data))
    layer = defaults.NoLayer() if read_layer is None else read_layer(reader, folder / data)
    effective_natural = layer.put_beneath(raw)
    feature_sections = (section.name for section in sections if section.from_environment)
    merge_environment(raw, environ, (*_SECTIONS_FROM_ENVIRONMENT, *feature_sections))
    for key, value in (server or {}).items():
        put_at_path(raw, ["server", key], value)
    digest = _digest(raw)
    config = _read_core_sections(reader, raw, environ, folder, layer)
    features = {
        section.name: section.read_from(reader, raw.get(section.name, {}), environ, folder)
        for section in sections
    }
    features_off = read_features_off(
        reader, raw.get("features", {}), needs, is_shared=addresses.is_postgres(config.storage.url)
    )
    reader.raise_if_wrong()
    return msgspec.structs.replace(
        config,
        features=features,
        features_off=features_off,
        data=str((folder / config.server.data).absolute()),
        source=str(file or config.source),
        natural=effective_natural,
        digest=digest,
        warnings=reader.warnings,
    )


def listener_of(config: Config) -> tuple[str, int] | None:
    """Return where a process listens. A `voxgate worker` does so for the links of hosts alone."""
    if config.serves:
        return config.server.host, config.server.port
    host, _, port = config.server.links.rpartition(":")
    return (host, int(port)) if host and config.used_clusters else None


def _digest(raw: Mapping[str, Any]) -> str:
    """Return a digest of the sections as they are written: `env:NAME`, not the secret. It leaves out what
    differs between machines, and addresses, which may have a password."""
    shared = {
        section: {key: value for key, value in table.items() if f"{section}.{key}" not in _MACHINE_KEYS}
        for section, table in raw.items()
        if isinstance(table, dict) and section != "host"
    }
    shared = {section: table for section, table in shared.items() if table}
    encoded = msgspec.json.encode((shared, raw.get("routes")), order="deterministic")
    return hashlib.sha256(encoded).hexdigest()[:_DIGEST_DIGITS]


def built_in_voices() -> frozenset[str]:
    return frozenset(defaults.shipped_defaults()["voices"])


def voices_to_bind() -> Mapping[str, Mapping[str, str]]:
    """Return the names that the operator may bind to a voice, each with its language and gender."""
    return dict(defaults.shipped_defaults()["voices_to_bind"])


def built_in_models() -> dict[str, list[str]]:
    return {alias: list(names) for alias, names in defaults.shipped_defaults()["models"].items()}


@cache
def known_names() -> Mapping[str, str | None]:
    """Return OpenAI's names of voices with their genders."""
    shipped = shipped_voices(defaults.shipped_defaults()["voices"], {})
    return {name: voice.gender for name, voice in shipped.items()}


def _refuse_other_sections(reader: Reader, raw: Mapping[str, Any], section_names: Sequence[str]) -> None:
    for section in raw:
        if section not in section_names:
            reader.fault_unknown_key(section, section, section_names)


def _read_core_sections(
    reader: Reader,
    raw: Mapping[str, Any],
    environ: Mapping[str, str],
    folder: Path,
    layer: defaults.NoLayer,
) -> Config:
    """Read the sections that belong to no feature. The aliases of `layer` need no entry in the file."""
    shipped = defaults.shipped_defaults()
    server = read_server(reader, raw.get("server", {}))
    storage = read_storage(reader, raw.get("storage", {}), environ, folder)
    limits = read_limits(reader, raw.get("limits", {}), environ, folder)
    check_workers_share_state(reader, server, storage, limits)
    engines = read_engines(reader, raw.get("engines", shipped["engines"]), environ, folder)
    clusters = read_clusters(reader, raw.get("clusters", {}))
    check_clusters(reader, engines, clusters)
    built_in = layer.candidates_by_alias(engines)
    voices = _add_shipped(
        read_voices(reader, raw.get("voices", {}), engines, shipped["voices"]),
        shipped_voices(shipped["voices"], engines),
    )
    check_casts(reader, voices, raw.get("voices", {}), engines)
    plugins = {
        kind: read_plugins(reader, raw.get(f"{kind}s", {}), f"{kind}s", environ, folder)
        for kind in PLUGIN_KINDS
    }
    check_runners(reader, engines, plugins["runner"])
    shipped_aliases = {**built_in, **defaults.hearing_candidates(engines)}
    named_models = read_models(reader, raw.get("models", {}), engines)
    file_models = with_dated(named_models, shipped_aliases)
    shipped_models = read_models(Reader("defaults"), shipped_aliases, engines)
    models = put_defaults_first(_add_shipped(file_models, shipped_models), built_in, engines)
    return Config(
        server=server,
        storage=storage,
        limits=limits,
        upstream=read_upstream(reader, raw.get("upstream", {}), environ, folder),
        vault=read_vault(reader, raw.get("vault", {}), environ, folder),
        host=read_host(reader, raw.get("host", {}), environ, folder),
        clusters=clusters,
        consent=read_consent(reader, raw.get("consent", {})),
        plans=read_plans(reader, raw.get("plans", shipped["plans"]), engines),
        engines=engines,
        models=models,
        # A line `default = true` also changes the order, by the operator's choice.
        built_in_models=frozenset(
            name
            for name, full_names in shipped_models.items()
            if name not in file_models and models[name] == full_names
        ),
        routes=read_routes(reader, raw.get("routes", []), engines, shipped_routes(shipped["routes"])),
        plugins=plugins,
        voices=voices,
        secrets=tuple(sorted(set(variables(raw)))),
    )


def _add_shipped(from_file: dict[str, T], shipped: dict[str, T]) -> dict[str, T]:
    """Return the file's entries, then the shipped entries of other names."""
    return from_file | {name: value for name, value in shipped.items() if name not in from_file}


def read_vault(reader: Reader, value: object, environ: Mapping[str, str], folder: Path) -> VaultSection:
    section = reader.section(VaultSection, value, "vault") or VaultSection()

    def read_key(setting: str, name: str) -> str:
        return _read_master_key(reader, setting, f"vault.{name}", environ, folder)

    def read_secret(setting: str, name: str) -> str:
        return named_secret(reader, f"vault.{name}", setting, environ, folder, "a key") if setting else ""

    _check_store(reader, section)
    return replace(
        section,
        access_key=read_secret(section.access_key, "access_key"),
        secret_key=read_secret(section.secret_key, "secret_key"),
        master_key=read_key(section.master_key, "master_key") if section.master_key else "",
        old_master_keys=tuple(read_key(each, "old_master_keys") for each in section.old_master_keys),
        folder=str((folder / section.folder).absolute()) if section.folder else "",
    )


def _check_store(reader: Reader, section: VaultSection) -> None:
    if section.store and section.folder:
        reader.fault("vault.store", "excludes vault.folder: recordings are in one place")
    if section.store and find_spec("obstore") is None:
        reader.fault("vault.store", 'needs the extra s3: pip install "voxgate[s3]"')
    address = urlsplit(section.endpoint)
    if address.scheme == "http" and not (section.allow_http or addresses.is_local(address.hostname or "")):
        reader.fault("vault.endpoint", "is not encrypted; take https://, or set vault.allow_http = true")


def _read_master_key(reader: Reader, setting: str, key: str, environ: Mapping[str, str], folder: Path) -> str:
    secret = named_secret(reader, key, setting, environ, folder, "a key")
    if secret and not is_key(secret):
        reader.fault(key, f"{setting} {KEY_FORM}")
        return ""
    return secret


def read_upstream(reader: Reader, value: object, environ: Mapping[str, str], folder: Path) -> Upstream:
    section = reader.section(Upstream, value, "upstream") or Upstream()
    return replace(
        section,
        proxy=_read_proxy(reader, section.proxy, environ, folder),
        ca_file=_check_ca_file(reader, section.ca_file, folder),
    )


def _read_proxy(reader: Reader, setting: str, environ: Mapping[str, str], folder: Path) -> str:
    """Return the proxy's address. A fault never repeats it, because it may hold a password."""
    try:
        url = resolve(setting, environ, folder)
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ConfigError as error:
        reader.fault("upstream.proxy", str(error))
        return ""
    except ValueError:
        is_address = False
    if url and not is_address:
        reader.fault("upstream.proxy", 'must be an address, "http://USER:PASSWORD@HOST:PORT"')
    return url


def _check_ca_file(reader: Reader, setting: str, folder: Path) -> str:
    if not setting:
        return ""
    file = (folder / setting).absolute()
    try:
        ssl.create_default_context(cafile=file)
    except ssl.SSLError:
        reader.fault("upstream.ca_file", f"{setting!r} has no certificate, or one that cannot be read")
    except OSError as error:
        reader.fault("upstream.ca_file", f"{setting!r} cannot be read: {error.strerror}")
    return str(file)


def read_storage(reader: Reader, value: object, environ: Mapping[str, str], folder: Path) -> Storage:
    section = reader.section(Storage, value, "storage") or Storage()
    url = _read_address(reader, "storage.url", section.url, addresses.check_storage, environ, folder)
    return msgspec.structs.replace(section, url=url)


def read_limits(reader: Reader, value: object, environ: Mapping[str, str], folder: Path) -> LimitsStore:
    section = reader.section(LimitsStore, value, "limits") or LimitsStore()
    return LimitsStore(
        _read_address(reader, "limits.url", section.url, addresses.check_limits, environ, folder)
    )


def _read_address(
    reader: Reader,
    key: str,
    setting: str,
    check: Callable[[str], None],
    environ: Mapping[str, str],
    folder: Path,
) -> str:
    """Return the address that `setting` names. A fault never repeats it, because it may hold a password."""
    try:
        url = resolve(setting, environ, folder)
        check(url)
    except (ConfigError, ValueError) as error:
        reader.fault(key, str(error))
        return setting
    return url


def check_workers_share_state(reader: Reader, server: Server, storage: Storage, limits: LimitsStore) -> None:
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
