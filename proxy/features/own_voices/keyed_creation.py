"""Creates an object at most once for an Idempotency-Key, from which it gets its id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

from proxy.errors import IDEMPOTENCY_KEY, Conflict
from proxy.file_store.once import FindDigest, Once
from proxy.storage import tombstones
from proxy.storage.store import Store


class KeyedResult(NamedTuple):
    """The id of an object. `is_replayed`: an earlier request with the same key had created it."""

    id: str
    is_replayed: bool


class KeyedCreation:
    """Creates objects of one kind. Their ids begin with `prefix`, and messages call one `noun`. `find`
    returns the digest of the request that created an object, or None."""

    def __init__(self, store: Store, prefix: str, noun: str, find: FindDigest) -> None:
        self._store = store
        self._prefix = prefix
        self._noun = noun
        self._find = find
        self._under_way: set[str] = set()

    async def create_once(self, once: Once, make: Callable[[str, str], Awaitable[object]]) -> KeyedResult:
        """Call `make` with the id of the object and the digest of its request, unless the object exists.

        Raises RequestUnderWay, IdempotencyKeyReused, Conflict if the object was deleted, and the errors of
        `make`.
        """
        id_ = once.id_of(self._prefix)
        # Simultaneous copies of a request would all be decoded, and only one of them can create the object.
        if id_ in self._under_way:
            raise once.under_way_failure()
        self._under_way.add(id_)
        try:
            making = partial(make, id_, once.digest.hex())
            return KeyedResult(id_, await once.make(id_, self._find_or_refuse, making, Conflict))
        finally:
            self._under_way.remove(id_)

    async def _find_or_refuse(self, account: str, id_: str) -> str | None:
        """Return the request digest of an object. Raises Conflict if the object was deleted."""
        digest = await self._find(account, id_)
        if digest is None and await tombstones.get(self._store, account, id_) is not None:
            noun = self._noun
            raise Conflict(
                f"The {noun} that this Idempotency-Key made was deleted; a new {noun} needs a new key.",
                param=IDEMPOTENCY_KEY,
            )
        return digest
