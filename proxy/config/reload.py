"""Reload of the configuration: which parts a running server can apply, and which need a restart."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from proxy.config.sections import SECTIONS, Config, Server

NEEDS_RESTART = (
    *("host", "port", "workers", "data", "stall_s", "least_bytes_per_s", "metrics", "dev_key", "detector"),
)
"""The keys of [server] that count only at the start. All keys of `_OPENED_ONCE` do, too."""

_OPENED_ONCE = (
    *("storage", "limits", "upstream", "consent", "engines", "front_ends", "detectors", "comparers", "marks"),
)


class Reload(NamedTuple):
    """The result of a reload. `config` is the new configuration, with old values where it `needs_restart`."""

    config: Config
    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]


def merge(running: Config, read: Config) -> Reload:
    """Merge the running configuration with the one that was read."""
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
    config = msgspec.structs.replace(
        read, server=msgspec.structs.replace(read.server, **old_values), **old_sections
    )
    differs = [
        name for name in SECTIONS if name != "server" and getattr(running, name) != getattr(read, name)
    ]
    applied = [name for name in differs if name not in old_sections]
    changed = [f"server.{field}" for field in differing if field not in NEEDS_RESTART] + applied
    waiting = [f"server.{field}" for field in differing if field in NEEDS_RESTART]
    waiting += [name for name in differs if name in old_sections]
    return Reload(config, tuple(changed), tuple(waiting))


def dropped_plans(running: Config, read: Config) -> tuple[str, ...]:
    """Return the plans that a reload would remove. If an account has one of them, the reload is refused."""
    return tuple(name for name in running.plans if name not in read.plans)


def _waiting_for_engines(running: Config, read: Config) -> tuple[str, ...]:
    """Return the sections that must wait for a restart, because they name engines that wait, too."""
    if running.engines == read.engines:
        return ()
    plan_engines = {engine for plan in read.plans.values() for engine in plan.engines or ()}
    waiting = ("models", "routes", "voices")
    return waiting if plan_engines <= running.engines.keys() else (*waiting, "plans")
