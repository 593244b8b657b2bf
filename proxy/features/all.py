"""All features: a feature is one folder, and its name here, beside its commands and its section.

To import this file loads none of them: a worker needs no commands, `voxgate --help` nothing else, and a
command beside a server the sections alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from proxy.commands.command import Command, Group
    from proxy.config.config_toml import Config
    from proxy.config.reader import Sections
    from proxy.feature import Feature
    from proxy.storage.store import Store
    from proxy.storage.tables import Tables


class FeatureCommands(NamedTuple):
    """The commands of all features, in the order of the help. `key_groups` are those of keys that are no
    account's, and come before those of accounts. `last_groups` come at the end."""

    commands: tuple[Command, ...]
    key_groups: tuple[Group, ...]
    groups: tuple[Group, ...]
    last_groups: tuple[Group, ...]


def all_commands() -> FeatureCommands:
    """Return all commands of features."""
    from proxy.features.clones.commands import CLONES
    from proxy.features.consents.commands import CONSENTS
    from proxy.features.jobs.commands import JOBS
    from proxy.features.lexicons.commands import LEXICONS
    from proxy.features.marks.commands import DETECT, RECEIPT, RINGS
    from proxy.features.models.commands import MODELS, NATURAL
    from proxy.features.own_voices.commands import VOICES
    from proxy.features.webhooks.commands import WEBHOOKS

    return FeatureCommands(
        commands=(DETECT,),
        key_groups=(RINGS,),
        groups=(VOICES, CLONES, NATURAL, CONSENTS, LEXICONS, JOBS, WEBHOOKS),
        last_groups=(MODELS, RECEIPT),
    )


def all_sections() -> Sections:
    """Return the sections of all features."""
    from proxy.features.cache.section import CACHE
    from proxy.features.jobs.section import JOBS
    from proxy.features.lexicons.section import LEXICONS
    from proxy.features.marks.section import MARKING
    from proxy.features.webhooks.section import WEBHOOKS

    return (CACHE, JOBS, MARKING, LEXICONS, WEBHOOKS)


def load_config(
    path: Path | None = None, environ: Mapping[str, str] = os.environ, server: Mapping[str, Any] | None = None
) -> Config:
    """Read the configuration with the sections of all features. See `config_toml.load`."""
    from proxy.config import config_toml

    return config_toml.load(all_sections(), path, environ, server, natural_plugins)


def natural_plugins() -> Mapping[str, str]:
    """Return the plugins whose engines natural.toml may have, as `natural.read` takes them."""
    from proxy.engines import registry
    from proxy.features.models.listing import pullable

    return pullable(registry.load())


_NAMES = (
    "erasure",
    "webhooks",
    "consents",
    "models",
    "own_voices",
    "clones",
    "lexicons",
    "cache",
    "marks",
    "conversions",
    "jobs",
)


@cache
def all_features() -> tuple[Feature, ...]:
    """Return all features, in the order in which they open: a later one may import an earlier one."""
    return tuple(import_module(f"proxy.features.{name}.feature").FEATURE for name in _NAMES)


@cache
def all_tables() -> Tables:
    """Return all tables of the features and of the kernel."""
    from proxy.storage.kernel_tables import KERNEL_TABLES

    return (*(table for feature in all_features() for table in feature.tables), *KERNEL_TABLES)


def open_store(url: str, folder: Path) -> AbstractAsyncContextManager[Store]:
    """Open the store with the tables of all features. See `storage.open_store`."""
    from proxy import storage

    return storage.open_store(url, folder, all_tables())
