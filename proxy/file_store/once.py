"""A request with an Idempotency-Key is done once: a repeated request gets the first result.

The caller stores the proof: the bytes of the answer, or a row whose id is made from the key.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import sha256

import msgspec

from proxy.errors import Conflict, IdempotencyKeyReused, RequestUnderWay
from proxy.storage import tombstones
from proxy.storage.store import Store
from speech_engine.redacted import Redacted

PARAM = "Idempotency-Key"
REPLAYED = {"x-voxgate-replayed": "true"}

Find = Callable[[str, str], Awaitable[str | None]]
"""Returns the digest of the request that made the thing with this id, or None if the account has no such
thing."""


class Once(Redacted, msgspec.Struct, frozen=True):
    """A request with a key: its account, and a digest of its content."""

    request: str
    account: str
    key: str
    digest: bytes

    def id_of(self, prefix: str) -> str:
        """Return the id of the thing that this key of the account makes, where an id is the proof."""
        return f"{prefix}_{sha256(f'{prefix}{self.account}{self.key}'.encode()).hexdigest()[:24]}"

    def check_digest(self, digest: bytes) -> None:
        """Raise IdempotencyKeyReused unless the earlier request has the same digest."""
        if not hmac.compare_digest(self.digest, digest):
            raise IdempotencyKeyReused(
                "This Idempotency-Key was sent before with another body; a new request needs a new key.",
                param=PARAM,
            )

    async def make(
        self, id_: str, find: Find, make: Callable[[], Awaitable[object]], conflict: type[Exception]
    ) -> bool:
        """Make the row with the id of this key, and return whether it was there.

        `make` raises `conflict` if another worker made it meanwhile, maybe for the same request. Raises
        IdempotencyKeyReused, and the errors of `find` and `make`.
        """
        failure: Exception | None = None
        while (digest := await find(self.account, id_)) is None:
            if failure is not None:
                raise failure
            try:
                await make()
            except conflict as error:
                failure = error
            else:
                return False
        self.check_digest(bytes.fromhex(digest))
        return True

    def under_way(self) -> RequestUnderWay:
        """Return the failure of a request that comes again before it has ended."""
        return RequestUnderWay(
            "A request with this Idempotency-Key is still under way. Try again when it has ended.",
            param=PARAM,
        )


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
                param=PARAM,
            )
        return digest


def digest_of_fields(fields: object, audio: bytes) -> bytes:
    """Return a digest of the sent fields. Each try of a form has another boundary, so its bytes do not
    count."""
    return sha256(sha256(msgspec.msgpack.encode(fields)).digest() + audio).digest()
