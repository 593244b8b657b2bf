"""Decide whether one more request may begin now: the streams of account and key, and the credits."""

from __future__ import annotations

from typing import Literal

import msgspec

from policies.plans import Terms
from policies.quota import CreditStanding, Split, split


class Live(msgspec.Struct, frozen=True):
    """The requests under way: those of the account, and those of this key among them."""

    account: int
    key: int


class Refusal(msgspec.Struct, frozen=True):
    """The limit that is reached. `limit` counts streams, or the micro-credits that are available.

    If the account owes credits, the number is below zero.
    """

    reason: Literal["streams", "key_streams", "credits"]
    limit: int


def admit(amount: int, terms: Terms, live: Live, standing: CreditStanding) -> Split | Refusal:
    """Return how the request's hold is split, or the first limit that the request would break. Streams are
    checked first: a stream is free again in a moment, and credits are not."""
    if terms.streams is not None and live.account >= terms.streams:
        return Refusal("streams", terms.streams)
    if terms.key.streams is not None and live.key >= terms.key.streams:
        return Refusal("key_streams", terms.key.streams)
    hold = split(amount, standing)
    return Refusal("credits", standing.available or 0) if hold is None else hold
