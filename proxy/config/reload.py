"""SIGHUP: which part of a newly read configuration a running server can take on, and which it cannot."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from proxy.config.sections import Config, Server

NEEDS_RESTART = ("host", "port", "workers", "data", "stall_s", "metrics", "dev_key", "detector")
"""Of [server]: what was bound, opened or started once. So are all of [storage], [limits], [upstream],
[engines], [front_ends] and [detectors]."""

_OPENED_ONCE = ("storage", "limits", "upstream", "engines", "front_ends", "detectors")


class Reload(NamedTuple):
    """`config` is what to run from now on: the new one, with the old in place of what `needs_restart`."""

    config: Config
    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]


def merge(running: Config, read: Config) -> Reload:
    differing = [
        field
        for field in Server.__struct_fields__
        if getattr(running.server, field) != getattr(read.server, field)
    ]
    kept = {field: getattr(running.server, field) for field in NEEDS_RESTART}
    kept_sections = {
        name: getattr(running, name)
        for name in (*_OPENED_ONCE, "data", "secrets", *_waiting_for_engines(running, read))
    }
    config = msgspec.structs.replace(
        read, server=msgspec.structs.replace(read.server, **kept), **kept_sections
    )
    differs = [
        name
        for name in (*_OPENED_ONCE, "cache", "plans", "models", "routes", "voices", "lexicons")
        if getattr(running, name) != getattr(read, name)
    ]
    taken_on = [name for name in differs if name not in kept_sections]
    changed = [f"server.{field}" for field in differing if field not in NEEDS_RESTART] + taken_on
    waiting = [f"server.{field}" for field in differing if field in NEEDS_RESTART]
    waiting += [name for name in differs if name in kept_sections]
    return Reload(config, tuple(changed), tuple(waiting))


def dropped_plans(running: Config, read: Config) -> tuple[str, ...]:
    """The plans that would be gone: where an account has one of them, nothing may change."""
    return tuple(name for name in running.plans if name not in read.plans)


def _waiting_for_engines(running: Config, read: Config) -> tuple[str, ...]:
    """What names engines: taken on without theirs, it would leave clients with nothing."""
    if running.engines == read.engines:
        return ()
    named = {engine for plan in read.plans.values() for engine in plan.engines or ()}
    waiting = ("models", "routes", "voices")
    return waiting if named <= running.engines.keys() else (*waiting, "plans")
