"""Requests with an Idempotency-Key, which are done once: a repeated request gets the first result.

Callers store a proof that it was done: the bytes of the answer, or a row whose id is made from the key.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from hashlib import sha256

import msgspec

from proxy.errors import IDEMPOTENCY_KEY, IdempotencyKeyReused, RequestUnderWay
from speech_engine.redacted import Redacted

REPLAYED = {"x-voxgate-replayed": "true"}

FindDigest = Callable[[str, str], Awaitable[str | None]]
"""Takes an account and an id. Returns the digest of the request that made the row with this id, or None if
the account has no such row."""


class Once(Redacted, msgspec.Struct, frozen=True):
    """A request with a key: its account, and a digest of its content."""

    request: str
    account: str
    key: str
    digest: bytes

    def id_of(self, prefix: str) -> str:
        """Return the id of the row that a request with this key makes."""
        return f"{prefix}_{sha256(f'{prefix}{self.account}{self.key}'.encode()).hexdigest()[:24]}"

    def check_digest(self, digest: bytes) -> None:
        """Raise IdempotencyKeyReused unless the earlier request has the same digest."""
        if not hmac.compare_digest(self.digest, digest):
            raise IdempotencyKeyReused(
                "This Idempotency-Key was sent before with another body; a new request needs a new key.",
                param=IDEMPOTENCY_KEY,
            )

    async def make(
        self, id_: str, find: FindDigest, make: Callable[[], Awaitable[object]], conflict: type[Exception]
    ) -> bool:
        """Make the row with the id of this key, and return whether it existed before.

        `make` raises `conflict` if another worker has made it meanwhile, maybe for the same request. Raises
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

    def under_way_failure(self) -> RequestUnderWay:
        """Return the failure of a request that comes again before it has ended."""
        return RequestUnderWay(
            "A request with this Idempotency-Key is still under way. Try again when it has ended.",
            param=IDEMPOTENCY_KEY,
        )


def digest_of_fields(fields: object, audio: bytes) -> bytes:
    """Return a digest of the sent fields. Each try of a form has another boundary, so its bytes do not
    count."""
    return sha256(sha256(msgspec.msgpack.encode(fields)).digest() + audio).digest()
