"""All features in the order in which they open. A feature is a folder in `features/`, and one line here.

A folder has `FEATURE` in `feature.py`. It may have `COMMANDS` in `commands.py`, `SECTION` in `section.py`,
`likeness` in `likeness.py`, and, if `SUPERVISOR_PARTS` names it, `open_part` in `supervisor.py`.
The import of this file loads none of them. A worker needs no commands, `voxgate --help` needs nothing else,
and a command beside a server needs the sections alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxy.config.config_toml import Config
    from proxy.config.reader import Sections
    from proxy.feature import Feature
    from proxy.storage.store import Store
    from proxy.storage.tables import Tables
    from proxy.supervisor_part import SupervisorPart, SupervisorTools


FEATURES: dict[str, tuple[str, ...]] = {
    "vault": (),
    "pages": (),
    "voice_list": (),
    "admin": ("voice_list",),
    "front": ("voice_list", "admin"),
    "erasure": (),
    "webhooks": (),
    "mail": ("webhooks",),
    "users": ("pages", "voice_list", "admin", "mail"),
    "history": (),
    "transcriptions": ("history",),
    "heard": ("voice_list",),
    "consents": ("voice_list",),
    "models": (),
    "own_voices": ("voice_list", "consents", "models"),
    "clones": ("webhooks", "consents", "own_voices"),
    "lexicons": (),
    "cache": (),
    "marks": (),
    "conversions": ("consents",),
    "jobs": ("webhooks", "mail", "transcriptions", "consents", "own_voices", "marks", "conversions"),
    "dubs": ("transcriptions", "marks", "jobs"),
    "estimates": ("voice_list", "admin", "jobs"),
    "books": ("jobs",),
    "payments": ("pages", "voice_list", "admin", "mail", "users"),
    "monitoring": (),
    "alerts": ("mail",),
    "cluster": ("marks",),
    "samples": ("voice_list",),
    "sockets": (),
    "elevenlabs_api": ("voice_list", "admin", "sockets"),
    "console": ("pages",),
}
"""Each feature, with the features that it imports. Those come before it. Most find the vault of the first."""


def _has_local_engine(tools: SupervisorTools) -> bool:
    """Tell whether an engine may run in a host, or train in a process that shares the devices with hosts."""
    from speech_engine import Hosted

    plugins = tools.registry.plugins("engine")
    found = [plugins.get(section.plugin) for section in tools.config.engines.values()]
    return any(plugin is not None and isinstance(plugin.create, Hosted) for plugin in found)


SUPERVISOR_PARTS: dict[str, Callable[[SupervisorTools], bool]] = {
    "proxy.features.monitoring": lambda tools: bool(tools.config.server.metrics),
    "proxy.hosts": _has_local_engine,
}
"""The folders with a part of the supervisor, and whether a configuration asks for it."""


def feature_modules(part: str) -> list[ModuleType]:
    """Return the modules of this name, such as `section`, of all features that have one."""
    names = (f"proxy.features.{name}.{part}" for name in FEATURES)
    return [import_module(name) for name in names if find_spec(name)]


@cache
def all_sections() -> Sections:
    """Return the sections of all features that have one."""
    return tuple(module.SECTION for module in feature_modules("section"))


def load_config(
    path: Path | None = None, environ: Mapping[str, str] = os.environ, server: Mapping[str, Any] | None = None
) -> Config:
    """Read the configuration with the sections of all features, above a layer. See `config_toml.load`."""
    from proxy.config import config_toml

    has_natural = "models" in FEATURES
    read_layer = import_module("proxy.features.models.natural").layer_of if has_natural else None
    return config_toml.load(all_sections(), path, environ, server, read_layer, FEATURES)


def supervisor_parts(tools: SupervisorTools) -> list[SupervisorPart]:
    """Open the parts for which the configuration asks."""
    asked = [folder for folder, asks in SUPERVISOR_PARTS.items() if asks(tools)]
    return [import_module(f"{folder}.supervisor").open_part(tools) for folder in asked]


@cache
def all_features() -> tuple[Feature, ...]:
    """Return all features, in the order in which they open: a later one may import an earlier one."""
    return tuple(import_module(f"proxy.features.{name}.feature").FEATURE for name in FEATURES)


def features_of(config: Config) -> tuple[Feature, ...]:
    """Return the features of a configuration: those that [features] does not turn off."""
    return tuple(feature for feature in all_features() if feature.name not in config.features_off)


@cache
def all_tables() -> Tables:
    """Return the tables of the kernel and of all features, also of those that are off."""
    from proxy.storage.kernel_tables import KERNEL_TABLES

    return (*(table for feature in all_features() for table in feature.tables), *KERNEL_TABLES)


def open_store(url: str, folder: Path) -> AbstractAsyncContextManager[Store]:
    """Open the store with the tables of all features. See `storage.open_store`."""
    from proxy import storage
    from proxy.config.sections import Storage

    return storage.open_store(Storage(url), folder, all_tables())
