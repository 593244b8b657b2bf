"""The saved voices of a store as the kernel asks for them, sealed ones closed; and casts, saved at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxy.catalogue.voice_records import VoiceRecord
from proxy.config.sections import VaultSection
from proxy.features.consents.grants import Grants
from proxy.features.own_voices import records
from proxy.features.own_voices.saved_voices import SavedVoices
from proxy.file_store.vault import Vault
from proxy.storage.audit import Act
from proxy.storage.rows import new_id
from proxy.storage.store import Store
from tests.features.consents.granted import granted

_ANA = {"Ana": "nova"}


def saved(store: Store, grants: Grants | None = None) -> SavedVoices:
    return SavedVoices(store, Vault(store, VaultSection(), Path()), grants or granted(store))


async def add_cast(
    store: Store,
    account: str | None,
    name: str,
    members: Mapping[str, str] = _ANA,
    act: Act | None = None,
    most: int | None = None,
    other_name: str | None = None,
    **described: Any,
) -> VoiceRecord | None:
    """Save a cast that nobody has checked."""
    record = VoiceRecord(
        id=act.subject if act else new_id("voice"),
        account=account,
        name=name,
        kind="cast",
        revision=1,
        created=act.at if act else await store.now(),
        members=members,
        **described,
    )
    return await records.add_voice(store, record, other_name=other_name, most=most, act=act)
