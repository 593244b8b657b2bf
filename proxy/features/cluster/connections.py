"""The connections of all workers to one PostgreSQL."""

from __future__ import annotations

from proxy.storage.store import Store

_MOST_SHARE = 0.8


async def connections_note(store: Store, connections: int, workers: int) -> str:
    """Return "what was found; what to do" if these workers may take most connections of PostgreSQL, or ""."""
    (row,) = await store.read("SELECT CAST(current_setting('max_connections') AS BIGINT) AS most")
    if connections * workers <= _MOST_SHARE * row["most"]:
        return ""
    return (
        f"{workers} worker(s) may open {connections * workers} connections, and PostgreSQL's max_connections "
        f"is {row['most']}; raise it, or lower [storage] connections"
    )
