"""The Idempotency-Key of a request, and the seam to the feature `vault`, which stores the answers."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from policies.plans import Terms
from proxy.errors import IDEMPOTENCY_KEY, InvalidRequest
from proxy.http.connection import Connection
from proxy.http.endpoint import Header

_KEY_PATTERN = re.compile(r"[ -~]{1,255}")

KEY_FIELD = b"idempotency-key"
KEY_HEADER = Header(
    IDEMPOTENCY_KEY,
    "A request that comes again with the same key is answered with the same bytes, and charged once.",
    "^[ -~]{1,255}$",
)

Respond = Callable[[Connection], Awaitable[None]]


class RepeatedRequests:
    """Answers a request that has an Idempotency-Key, and may come again. This one stores nothing, as with
    `idempotency_mb = 0`: the key has no effect, so a request that comes again is spoken and charged again.
    """

    async def answer_with_key(
        self,
        connection: Connection,
        state: dict[str, Any],
        terms: Terms,
        digest: Callable[[], bytes],
        respond: Respond,
    ) -> None:
        """Send what is stored for the request's key, else call `respond`. `digest` returns the digest of its
        content: a key may come again only with the same request."""
        del state, terms, digest
        await respond(connection)


def read_key(values: Sequence[str]) -> str | None:
    """Return the key by the values of its header, None without one. Raises InvalidRequest."""
    if not values:
        return None
    if len(values) > 1 or not _KEY_PATTERN.fullmatch(values[0]):
        raise InvalidRequest(
            f"Invalid header '{IDEMPOTENCY_KEY}': it must come once, with 1 to 255 printable ASCII "
            "characters.",
            param=IDEMPOTENCY_KEY,
        )
    return values[0]
