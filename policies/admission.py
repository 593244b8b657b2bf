"""Whether one more request of an account may begin now: its streams, its key's streams, its credits."""

from __future__ import annotations

from typing import Literal

import msgspec

from policies.plans import Terms
from policies.quota import CreditStanding, Split, split


class Live(msgspec.Struct, frozen=True):
    """Requests under way: the account's, and this key's among them."""

    account: int
    key: int


class Refusal(msgspec.Struct, frozen=True):
    """`limit` is the one that is reached: so many streams; or for `credits` what is available, in
    micro-credits, and below zero for who owes some."""

    reason: Literal["streams", "key_streams", "credits"]
    limit: int


def admit(amount: int, terms: Terms, live: Live, standing: CreditStanding) -> Split | Refusal:
    """Return how the request's hold is split, or the first limit that the request would break. Streams are
    checked first: a stream is free again in a moment, and credits are not."""
    if terms.streams is not None and live.account >= terms.streams:
        return Refusal("streams", terms.streams)
    if terms.key.streams is not None and live.key >= terms.key.streams:
        return Refusal("key_streams", terms.key.streams)
    held = split(amount, standing)
    if held is None:
        return Refusal("credits", standing.available or 0)
    return held
