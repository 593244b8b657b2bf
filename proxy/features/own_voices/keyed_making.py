"""The making of a thing whose id comes from the Idempotency-Key of its request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from proxy.errors import Conflict
from proxy.file_store.once import HEADER_NAME, FindDigest, Once
from proxy.storage import tombstones
from proxy.storage.store import Store


class KeyedMaking:
    """The making of one kind of thing. `prefix` begins its ids, and `what` names it for its owner."""

    def __init__(self, store: Store, prefix: str, what: str, find: FindDigest) -> None:
        self._store = store
        self._prefix = prefix
        self._what = what
        self._find = find
        self._under_way: set[str] = set()

    async def run(self, once: Once, make: Callable[[str, str], Awaitable[object]]) -> tuple[str, bool]:
        """Make it, with its id and the digest of its request, and return the id, and whether it was there.

        Raises RequestUnderWay, IdempotencyKeyReused, Conflict if it was deleted, and the errors of `make`.
        """
        id_ = once.id_of(self._prefix)
        # Concurrent copies of a request would each be decoded, and only one of them can make the thing.
        if id_ in self._under_way:
            raise once.under_way()
        self._under_way.add(id_)
        try:
            making = partial(make, id_, once.digest.hex())
            return id_, await once.make(id_, self._find_or_refuse, making, Conflict)
        finally:
            self._under_way.remove(id_)

    async def _find_or_refuse(self, account: str, id_: str) -> str | None:
        digest = await self._find(account, id_)
        if digest is None and await tombstones.get(self._store, account, id_) is not None:
            what = self._what
            raise Conflict(
                f"The {what} that this Idempotency-Key made was deleted; a new {what} needs a new key.",
                param=HEADER_NAME,
            )
        return digest
