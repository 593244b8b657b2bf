"""A request with an Idempotency-Key is done once: a repeated request gets the first result.

The caller keeps the proof: the bytes of the answer, or a row whose id is made from the key.
"""

from __future__ import annotations

import hmac
from hashlib import sha256

import msgspec

from proxy.errors import IdempotencyKeyReused, RequestUnderWay

PARAM = "Idempotency-Key"


class Once(msgspec.Struct, frozen=True):
    """A request with a key: which account sent it, and a digest of what was sent."""

    request: str
    account: str
    key: str
    digest: bytes

    def __repr__(self) -> str:
        return f"<Once {self.request}>"

    def id_of(self, prefix: str) -> str:
        """Return the id of what this key of the account makes, where an id is the proof."""
        return f"{prefix}_{sha256(f'{prefix}{self.account}{self.key}'.encode()).hexdigest()[:24]}"

    def check(self, digest: bytes) -> None:
        """Raise IdempotencyKeyReused unless what was done is what is asked, by the digest of each."""
        if not hmac.compare_digest(self.digest, digest):
            raise IdempotencyKeyReused(
                "This Idempotency-Key was sent before with another body; a new request needs a new key.",
                param=PARAM,
            )

    def under_way(self) -> RequestUnderWay:
        """Return the failure of a request that comes again before it has ended."""
        return RequestUnderWay(
            "A request with this Idempotency-Key is still under way. Try again when it has ended.",
            param=PARAM,
        )


def digest_of_fields(fields: object, audio: bytes) -> bytes:
    """Return a digest of what was sent. Of a form it is of its fields: each try has another boundary."""
    return sha256(sha256(msgspec.msgpack.encode(fields)).digest() + audio).digest()
