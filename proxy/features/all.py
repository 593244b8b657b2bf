"""All features: a feature is one folder, and its name here, beside its commands.

To import this file loads their commands alone, because `voxgate --help` has to be quick.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.commands.command import Command, Group
from proxy.features.clones.commands import CLONES
from proxy.features.consents.commands import CONSENTS
from proxy.features.lexicons.commands import LEXICONS
from proxy.features.marks.commands import DETECT
from proxy.features.marks.receipt_commands import RECEIPT
from proxy.features.marks.ring_commands import RINGS
from proxy.features.models.commands import MODELS, NATURAL
from proxy.features.own_voices.commands import VOICES

if TYPE_CHECKING:
    from proxy.feature import Feature
    from proxy.storage.store import Store
    from proxy.storage.tables import Tables

COMMANDS: tuple[Command, ...] = (DETECT,)
KEY_GROUPS: tuple[Group, ...] = (RINGS,)
"""Those of keys that are no account's. They come before those of accounts."""
GROUPS: tuple[Group, ...] = (VOICES, CLONES, NATURAL, CONSENTS, LEXICONS)
LAST_GROUPS: tuple[Group, ...] = (MODELS, RECEIPT)
"""Those that the help names at its end."""


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
