"""All features, in the order in which they open: one that others use opens first.

A feature is one folder, and one line here.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from proxy import storage
from proxy.feature import Feature
from proxy.features.cache import feature as cache
from proxy.features.clones import feature as clones
from proxy.features.consents import feature as consents
from proxy.features.erasure import feature as erasure
from proxy.features.lexicons import feature as lexicons
from proxy.features.marks import feature as marks
from proxy.features.models import feature as models
from proxy.features.own_voices import feature as own_voices
from proxy.storage.store import Store
from proxy.storage.tables import KERNEL_TABLES, Tables

FEATURES: tuple[Feature, ...] = (
    erasure.FEATURE,
    consents.FEATURE,
    own_voices.FEATURE,
    clones.FEATURE,
    lexicons.FEATURE,
    cache.FEATURE,
    marks.FEATURE,
    models.FEATURE,
)

TABLES: Tables = (*(table for feature in FEATURES for table in feature.tables), *KERNEL_TABLES)
"""Those of features that are left out, too: rows stay what they are."""


def open_store(url: str, folder: Path) -> AbstractAsyncContextManager[Store]:
    """Open the store with the tables of all features. See `storage.open_store`."""
    return storage.open_store(url, folder, TABLES)
