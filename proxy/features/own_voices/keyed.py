"""What an Idempotency-Key makes here has an id that the key makes, so it is made once, and for good."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from proxy.errors import Conflict
from proxy.kept.once import PARAM, Once
from proxy.storage import tombstones
from proxy.storage.store import Store

Find = Callable[[str, str], Awaitable[str | None]]
"""Returns the digest of the request that made what an account has under an id, or None if it is not there."""

REPLAYED = {"x-voxgate-replayed": "true"}


class KeyedMaking:
    """The making of one kind of thing. `prefix` begins its ids, and `what` names it for its owner."""

    def __init__(self, store: Store, prefix: str, what: str, find: Find) -> None:
        self._store = store
        self._prefix = prefix
        self._what = what
        self._find = find
        self._under_way: set[str] = set()

    async def run(self, once: Once, make: Callable[[str, str], Awaitable[object]]) -> tuple[str, bool]:
        """Make it, with its id and the digest of its request, and return the id, and whether it was there.

        Raises RequestUnderWay, IdempotencyKeyReused, Conflict if it was deleted, and what `make` raises.
        """
        id_ = once.id_of(self._prefix)
        # Many of one request would each be decoded, and only one of them can make it.
        if id_ in self._under_way:
            raise once.under_way()
        self._under_way.add(id_)
        try:
            if await self._was_made(once, id_):
                return id_, True
            try:
                await make(id_, once.digest.hex())
            except Conflict:
                # Another worker may have had the same request, and have made it.
                if await self._was_made(once, id_):
                    return id_, True
                raise
            return id_, False
        finally:
            self._under_way.remove(id_)

    async def _was_made(self, once: Once, id_: str) -> bool:
        digest = await self._find(once.account, id_)
        if digest is not None:
            once.check(bytes.fromhex(digest))
        elif await tombstones.get(self._store, once.account, id_) is not None:
            what = self._what
            raise Conflict(
                f"The {what} that this Idempotency-Key made was deleted; a new {what} needs a new key.",
                param=PARAM,
            )
        return digest is not None
