"""The identity of a vault in a bucket: servers that share a database must share it, too."""

from __future__ import annotations

from proxy.file_store.objects import Objects
from proxy.storage.rows import new_id

IDENTITY = "voxgate-vault"
"""The object with the random id of a vault, by which machines see that they share it."""
_MOST_IDENTITY_BYTES = 100


async def vault_identity(objects: Objects, *, may_make: bool = True) -> str:
    """Return the random id of a vault. Without one, make it if that is allowed, or return "". Two machines
    must not make it at once."""
    try:
        return (await objects.read(IDENTITY, 0, _MOST_IDENTITY_BYTES)).decode("ascii", "replace").strip()
    except FileNotFoundError:
        if not may_make:
            return ""
    await objects.put(IDENTITY, new_id("vlt").encode())
    return await vault_identity(objects)
