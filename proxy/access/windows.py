"""The interface of moving windows of a minute, in which requests are counted, in memory or in Redis; and the
state of a provider's key, which gateways exchange over Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from policies import rate
from policies.networks import WIDER_TIMES, networks_of
from proxy.errors import RateLimited


class Limit(msgspec.Struct, frozen=True):
    """A limit of `most` requests a minute, for a kind (such as "account") and a name within it.

    Kind and name alone name the window: a change of `most` keeps the count. A request counts as `cost`
    requests, and never as more than `most`.
    """

    kind: str
    name: str
    most: int
    cost: int = 1


def address_limits(kind: str, address: str, most: int) -> tuple[Limit, ...]:
    """Return the limits for a client without a key: that of its network, and that of the wider network."""
    near, wide = networks_of(address)
    return (Limit(kind, near, most), *((Limit(kind, wide, WIDER_TIMES * most),) if wide != near else ()))


class FullWindow(NamedTuple):
    """A limit that is reached. `wait_s` is the time until one more request may pass, and `reset_s` the time
    until the whole limit is free again."""

    limit: Limit
    wait_s: float
    reset_s: float

    def refusal(self, reason: str, headers: dict[str, str] | None = None) -> RateLimited:
        wait_s = rate.retry_after_s(self.wait_s)
        return RateLimited(f"{reason} Try again in {wait_s} s.", retry_after_s=wait_s, headers=headers)


class KeyState(NamedTuple):
    """The state of a key that a worker sends or receives. `news` is the state of its breaker, or empty, and
    is `age_s` old. `pause_s` is left of a pause, and `quiet_s` of the quiet time after the provider spoke."""

    news: bytes
    age_s: float
    pause_s: float
    quiet_s: float


class KeyStates(Protocol):
    """The states of providers' keys that gateways exchange. While they are away, each worker has its own.

    `count_key_request` returns the seconds until a request may pass, 0 for one that was counted, or None if
    they are away. `claim_probe` returns False if another worker has the probe of this account.
    """

    is_away: bool
    has_news: asyncio.Event

    async def exchange(self, reports: Mapping[str, KeyState], /) -> dict[str, KeyState]: ...
    async def count_key_request(self, name: str, most: int, /) -> float | None: ...
    async def claim_probe(self, name: str, account: str, /) -> bool: ...
    def end_claim(self, name: str, account: str, /) -> None: ...


class Windows(Protocol):
    """The windows of all limits. Each method may raise LimitsUnavailable."""

    async def count(self, limits: Sequence[Limit]) -> list[int] | FullWindow:
        """Count one request for each limit, and return how many more each one takes.

        If a limit is reached, return its window. Then no limit counts the request.
        """
        ...

    async def find_full(self, limits: Sequence[Limit]) -> FullWindow | None:
        """Return the window of the first limit that is reached, if any."""
        ...

    async def check_writable(self) -> None: ...
