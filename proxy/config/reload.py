"""Reload of the configuration: which parts a running server can apply, and which need a restart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from proxy.config.reader import Sections
from proxy.config.sections import PLUGIN_KINDS, Config, Server

NEEDS_RESTART = (
    *("host", "port", "workers", "data", "stall_s", "least_bytes_per_s", "metrics", "dev_key", "detector"),
)
"""The keys of [server] that are read only at the start, as `_SECTIONS_OPENED_ONCE` are."""

_VAULT_LOCATION_KEYS = ("folder", "store", "endpoint", "region", "access_key", "secret_key", "allow_http")

_SECTIONS_OPENED_ONCE = (
    *("storage", "limits", "upstream", "consent", "host", "clusters", "engines", "plugins", "features_off"),
)
# [server] is compared by key, and a feature's section by the feature. The others are no sections.
_OTHER_FIELDS = (
    *("server", "features", "warnings", "secrets", "natural", "built_in_models", "data", "source", "serves"),
    "digest",
)


class Reload(NamedTuple):
    """The result of a reload. `config` is the new configuration, with old values where it `needs_restart`."""

    config: Config
    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]


def merge_config(running: Config, new: Config, sections: Sections) -> Reload:
    """Return the new configuration, with the running one's values where a restart is needed. `sections` are
    those of features."""
    changed_server_keys = [
        field
        for field in Server.__struct_fields__
        if getattr(running.server, field) != getattr(new.server, field)
    ]
    old_server_values = {field: getattr(running.server, field) for field in NEEDS_RESTART}
    old_sections = {
        name: getattr(running, name)
        for name in (
            *_SECTIONS_OPENED_ONCE,
            "data",
            "natural",
            "secrets",
            *_sections_waiting_for_engines(running, new),
        )
    }
    old_vault_location = {field: getattr(running.vault, field) for field in _VAULT_LOCATION_KEYS}
    old_feature_sections = {each.name: each.of(running) for each in sections if each.needs_restart}
    config = msgspec.structs.replace(
        new,
        server=msgspec.structs.replace(new.server, **old_server_values),
        vault=msgspec.structs.replace(new.vault, **old_vault_location),
        features=new.features | old_feature_sections,
        **old_sections,
    )
    running_sections, new_sections, merged_sections = (
        dict(_named_sections(each, sections)) for each in (running, new, config)
    )
    changed_sections = [name for name in running_sections if running_sections[name] != new_sections[name]]
    applied = [name for name in changed_sections if merged_sections[name] == new_sections[name]]
    changed = [f"server.{field}" for field in changed_server_keys if field not in NEEDS_RESTART] + applied
    needs_restart = [f"server.{field}" for field in changed_server_keys if field in NEEDS_RESTART]
    needs_restart += [name for name in changed_sections if name not in applied]
    if needs_restart:
        config = msgspec.structs.replace(config, digest=running.digest)
    return Reload(config, tuple(changed), tuple(needs_restart))


def _named_sections(config: Config, sections: Sections) -> Iterator[tuple[str, object]]:
    """Yield all sections except [server] with their names, in the order of a reload's result."""
    for name in config.__struct_fields__:
        if name == "plugins":
            for kind in PLUGIN_KINDS:
                yield f"{kind}s", config.plugins_of(kind)
        elif name == "features_off":
            yield "features", config.features_off
        elif name not in _OTHER_FIELDS:
            yield name, getattr(config, name)
    for section in sections:
        yield section.name, section.of(config)


def dropped_plans(running: Config, new: Config) -> tuple[str, ...]:
    return tuple(name for name in running.plans if name not in new.plans)


def _sections_waiting_for_engines(running: Config, new: Config) -> tuple[str, ...]:
    """Return the sections that wait for a restart, because they may name engines that are not open yet."""
    if running.engines == new.engines:
        return ()
    plan_engines = {engine for plan in new.plans.values() for engine in plan.engines or ()}
    waiting = ("models", "built_in_models", "routes", "voices")
    return waiting if plan_engines <= running.engines.keys() else (*waiting, "plans")
