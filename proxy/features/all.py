"""All features: a feature is one folder, and its name here, beside its commands.

To import this file loads none of them: a worker needs no commands, and `voxgate --help` nothing else.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from proxy.commands.command import Command, Group
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
    from proxy.features.lexicons.commands import LEXICONS
    from proxy.features.marks.commands import DETECT
    from proxy.features.marks.receipt_commands import RECEIPT
    from proxy.features.marks.ring_commands import RINGS
    from proxy.features.models.commands import MODELS, NATURAL
    from proxy.features.own_voices.commands import VOICES

    return FeatureCommands(
        commands=(DETECT,),
        key_groups=(RINGS,),
        groups=(VOICES, CLONES, NATURAL, CONSENTS, LEXICONS),
        last_groups=(MODELS, RECEIPT),
    )


_NAMES = (
    "erasure",
    "consents",
    "own_voices",
    "clones",
    "lexicons",
    "cache",
    "marks",
    "models",
)


@cache
def all_features() -> tuple[Feature, ...]:
    """Return all features, in the order in which they open: one that others use opens first."""
    return tuple(import_module(f"proxy.features.{name}.feature").FEATURE for name in _NAMES)


@cache
def all_tables() -> Tables:
    """Return all tables, those of features that are left out, too: rows stay what they are."""
    from proxy.storage.tables import KERNEL_TABLES

    return (*(table for feature in all_features() for table in feature.tables), *KERNEL_TABLES)


def open_store(url: str, folder: Path) -> AbstractAsyncContextManager[Store]:
    """Open the store with the tables of all features. See `storage.open_store`."""
    from proxy import storage

    return storage.open_store(url, folder, all_tables())
