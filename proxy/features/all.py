"""All features: a feature is one folder, and its lines here.

To import this file loads their commands alone, because `voxgate --help` has to be quick.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import cache
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


@cache
def all_features() -> tuple[Feature, ...]:
    """Return all features, in the order in which they open: one that others use opens first."""
    from proxy.features.cache import feature as cache
    from proxy.features.clones import feature as clones
    from proxy.features.consents import feature as consents
    from proxy.features.erasure import feature as erasure
    from proxy.features.lexicons import feature as lexicons
    from proxy.features.marks import feature as marks
    from proxy.features.models import feature as models
    from proxy.features.own_voices import feature as own_voices

    return (
        erasure.FEATURE,
        consents.FEATURE,
        own_voices.FEATURE,
        clones.FEATURE,
        lexicons.FEATURE,
        cache.FEATURE,
        marks.FEATURE,
        models.FEATURE,
    )


@cache
def all_tables() -> Tables:
    """Return all tables, those of features that are left out, too: rows stay what they are."""
    from proxy.storage.tables import KERNEL_TABLES

    return (*(table for feature in all_features() for table in feature.tables), *KERNEL_TABLES)


def open_store(url: str, folder: Path) -> AbstractAsyncContextManager[Store]:
    """Open the store with the tables of all features. See `storage.open_store`."""
    from proxy import storage

    return storage.open_store(url, folder, all_tables())
