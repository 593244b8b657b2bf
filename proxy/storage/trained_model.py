"""A model that was trained for a voice, as a row. `file_store/vault.py` opens its sealed file."""

from __future__ import annotations

from typing import Literal

import msgspec

from proxy.storage.store import Store

Origin = Literal["import", "training"]
_BYTES = "SELECT bytes FROM trained_models WHERE account = :account AND digest = :digest LIMIT 1"


class TrainedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model of a voice, which has at most one for each format. `digest` names its sealed file."""

    id: str
    voice: str
    account: str
    format: str
    digest: str
    bytes: int
    origin: Origin
    created: int


async def find_size(store: Store, account: str, digest: str) -> int | None:
    """Return the bytes of a model's file, or None if no voice of the account has it."""
    rows = await store.read(_BYTES, {"account": account, "digest": digest})
    return int(rows[0]["bytes"]) if rows else None
