"""Manifests beside clips: signed when they are first fetched, and stored as long as their usage row."""

from __future__ import annotations

from base64 import b64decode, b64encode

import msgspec

from proxy.storage.store import Params, Statement, Store
from proxy.storage.tables import Table
from speech_engine.redacted import Redacted

# `tried` is the moment of the signature.
_FIND = "SELECT manifest, tried, stamped FROM manifests WHERE request = :request"
# A request whose usage row was deleted in the meantime gets none. A stamped manifest is never replaced.
_SAVE = """
INSERT INTO manifests (request, manifest, tried, stamped)
SELECT :request, :manifest, CAST(:tried AS BIGINT), CAST(:stamped AS BIGINT)
WHERE EXISTS (SELECT 1 FROM usage WHERE id = :request)
ON CONFLICT (request) DO UPDATE
SET manifest = excluded.manifest, tried = excluded.tried, stamped = excluded.stamped
WHERE manifests.stamped = 0
"""


TABLE = Table("manifests", request="request")


class StoredManifest(Redacted, msgspec.Struct, frozen=True):
    """A manifest, the moment of its signature in microseconds, and whether that has a time stamp."""

    data: bytes
    signed_at: int
    is_stamped: bool


async def find_manifest(store: Store, request: str) -> StoredManifest | None:
    rows = await store.read(_FIND, {"request": request})
    if not rows:
        return None
    (row,) = rows
    return StoredManifest(b64decode(row["manifest"]), row["tried"], bool(row["stamped"]))


async def save_manifest(store: Store, request: str, manifest: StoredManifest) -> None:
    row: Params = {
        "request": request,
        "manifest": b64encode(manifest.data).decode(),
        "tried": manifest.signed_at,
        "stamped": int(manifest.is_stamped),
    }
    await store.write(Statement(_SAVE, row))
