"""The name of this database, which marks what it has elsewhere among what others have."""

from __future__ import annotations

from proxy.storage.store import Statement, Store

_INSTALL = "INSERT INTO installation (number, id) VALUES (1, :id) ON CONFLICT DO NOTHING"
_INSTALLATION = "SELECT id FROM installation"


async def installation_id(store: Store, new: str) -> str:
    """Return the name of this database. The first call makes it the `new` one."""
    rows = await store.read(_INSTALLATION)
    if not rows:
        await store.write(Statement(_INSTALL, {"id": new}))
        rows = await store.read(_INSTALLATION)
    return str(rows[0]["id"])
