"""The saved voices of a store as the kernel asks for them. What is sealed stays closed."""

from __future__ import annotations

from pathlib import Path

from proxy.catalogue.grants import Grants, NoGrants
from proxy.config.secret_sections import VaultSection
from proxy.features.own_voices.saved_voices import SavedVoices
from proxy.kept.vault import Vault
from proxy.storage.store import Store


def saved(store: Store, grants: Grants | None = None) -> SavedVoices:
    return SavedVoices(store, Vault(store, VaultSection(), Path()), grants or NoGrants())
