"""Decide whether one more request may begin now: the streams of account and key, and the credits.

Where several workers share a database, it decides by the same rows, of which `storage/holds.py` builds its
SQL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from policies.plans import Terms
from policies.quota import CreditStanding, Split, split


class Live(msgspec.Struct, frozen=True):
    """The requests under way: those of the account, and those of this key among them."""

    account: int
    key: int


class StreamLimit(msgspec.Struct, frozen=True):
    """A limit of the requests under way. `name` is also its column in the database, and `counted` says
    in SQL which holds count, where `{key}` is the key that asks."""

    name: Literal["streams", "key_streams"]
    most: Callable[[Terms], int | None]
    live: Callable[[Live], int]
    counted: str


STREAM_LIMITS = (
    # A hold without a key is a job's, and no stream.
    StreamLimit("streams", lambda terms: terms.streams, lambda live: live.account, "key <> ''"),
    StreamLimit("key_streams", lambda terms: terms.key.streams, lambda live: live.key, "key = {key}"),
)
"""In the order in which they are checked."""


class Refusal(msgspec.Struct, frozen=True):
    """The limit that is reached. `limit` counts streams, or the micro-credits that are available.

    If the account owes credits, the number is below zero.
    """

    reason: Literal["streams", "key_streams", "credits"]
    limit: int


def admit(amount: int, terms: Terms, live: Live, standing: CreditStanding) -> Split | Refusal:
    """Return how the request's hold is split, or the first limit that the request would break. Streams are
    checked first: a stream is free again in a moment, and credits are not."""
    for limit in STREAM_LIMITS:
        most = limit.most(terms)
        if most is not None and limit.live(live) >= most:
            return Refusal(limit.name, most)
    hold = split(amount, standing)
    return Refusal("credits", standing.available or 0) if hold is None else hold
