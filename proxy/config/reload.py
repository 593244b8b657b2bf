"""Reload of the configuration: which parts a running server can apply, and which need a restart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from proxy.config.reader import Sections
from proxy.config.sections import KINDS, Config, Server

NEEDS_RESTART = (
    *("host", "port", "workers", "data", "stall_s", "least_bytes_per_s", "metrics", "dev_key", "detector"),
)
"""The keys of [server] that count only at the start. All keys of `_OPENED_ONCE` do, too."""

_PLACE_OF_VAULT = ("folder", "store", "endpoint", "region", "access_key", "secret_key", "allow_http")

_OPENED_ONCE = (
    *("storage", "limits", "upstream", "consent", "host", "clusters", "engines", "plugins", "features_off"),
)
_NO_SECTIONS = (
    *("server", "features", "warnings", "secrets", "natural", "built_in_models", "data", "source", "serves"),
    "digest",
)


class Reload(NamedTuple):
    """The result of a reload. `config` is the new configuration, with old values where it `needs_restart`."""

    config: Config
    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]


def merge(running: Config, read: Config, sections: Sections) -> Reload:
    """Merge the running configuration with the new one. `sections` are those of features."""
    differing = [
        field
        for field in Server.__struct_fields__
        if getattr(running.server, field) != getattr(read.server, field)
    ]
    old_values = {field: getattr(running.server, field) for field in NEEDS_RESTART}
    old_sections = {
        name: getattr(running, name)
        for name in (*_OPENED_ONCE, "data", "natural", "secrets", *_waiting_for_engines(running, read))
    }
    old_place = {field: getattr(running.vault, field) for field in _PLACE_OF_VAULT}
    of_features = {each.name: each.of(running) for each in sections if each.needs_restart}
    config = msgspec.structs.replace(
        read,
        server=msgspec.structs.replace(read.server, **old_values),
        vault=msgspec.structs.replace(read.vault, **old_place),
        features=read.features | of_features,
        **old_sections,
    )
    before, after, merged = (dict(_parts(each, sections)) for each in (running, read, config))
    differs = [name for name in before if before[name] != after[name]]
    applied = [name for name in differs if merged[name] == after[name]]
    changed = [f"server.{field}" for field in differing if field not in NEEDS_RESTART] + applied
    waiting = [f"server.{field}" for field in differing if field in NEEDS_RESTART]
    waiting += [name for name in differs if name not in applied]
    if waiting:
        config = msgspec.structs.replace(config, digest=running.digest)
    return Reload(config, tuple(changed), tuple(waiting))


def _parts(config: Config, sections: Sections) -> Iterator[tuple[str, object]]:
    """Yield all sections except [server] with their names, in the order of a reload's result."""
    for name in config.__struct_fields__:
        if name == "plugins":
            for kind in KINDS:
                yield f"{kind}s", config.plugins_of(kind)
        elif name == "features_off":
            yield "features", config.features_off
        elif name not in _NO_SECTIONS:
            yield name, getattr(config, name)
    for section in sections:
        yield section.name, section.of(config)


def dropped_plans(running: Config, read: Config) -> tuple[str, ...]:
    return tuple(name for name in running.plans if name not in read.plans)


def _waiting_for_engines(running: Config, read: Config) -> tuple[str, ...]:
    """Return the sections that must wait for a restart, because they name engines that wait, too."""
    if running.engines == read.engines:
        return ()
    plan_engines = {engine for plan in read.plans.values() for engine in plan.engines or ()}
    waiting = ("models", "built_in_models", "routes", "voices")
    return waiting if plan_engines <= running.engines.keys() else (*waiting, "plans")
