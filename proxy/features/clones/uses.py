"""What speech shows of clones: that they spoke, which keeps some of them alive, or that they are lost.

A clone is named as an engine knows it: by the engine, the credential, and the id of the voice there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from proxy.storage.store import Params, Statement, Store

CloneId = tuple[str, str, str]
"""The engine, the credential, and the engine's id."""

_CLONE = "engine = :engine AND credential = :credential AND engine_voice = :engine_voice AND state = 'ready'"
# A provider that deletes what does not speak counts from the last time.
_USED = f"UPDATE bindings SET used = :now, expires = expires + (:now - used) WHERE {_CLONE} AND used < :now"
_LOST = f"UPDATE bindings SET state = 'expired', error = :error WHERE {_CLONE} RETURNING account"


async def note_uses(store: Store, uses: Mapping[CloneId, int]) -> None:
    """Note when clones last spoke."""
    statements = [Statement(_USED, {**_place(clone), "now": used}) for clone, used in uses.items()]
    if statements:
        await store.write(*statements)


async def note_losses(store: Store, lost: Collection[CloneId], error: str) -> set[str]:
    """Note that providers do not have these clones. Return the accounts whose clones they were.

    `error` is for their owners to read.
    """
    statements = [Statement(_LOST, {**_place(clone), "error": error}) for clone in lost]
    if not statements:
        return set()
    found = await store.write(*statements)
    return {row["account"] for rows in found for row in rows}


def _place(clone: CloneId) -> Params:
    engine, credential, engine_voice = clone
    return {"engine": engine, "credential": credential, "engine_voice": engine_voice}
