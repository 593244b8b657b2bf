"""Failed authentication, slowed: who guesses keys is told to wait, before the database is asked.

Counted for the address they come from, and for the beginning of what they try, since guesses at one key may
come from many addresses. A key that was good before is no guess: a neighbour's failures do not stop it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv6Address, IPv6Network, ip_address
from weakref import WeakValueDictionary

from policies import rate
from proxy.access.callers import Caller, Callers
from proxy.access.limits import Limit, Limits
from proxy.errors import InvalidKey, RateLimited, StorageUnavailable
from proxy.storage import api_key

MOST_BY_ADDRESS = 20
MOST_BY_PREFIX = 10
_PREFIX_LENGTH = 12
_LONGEST_ADDRESS = 64
_WAIT_S = 5.0


class Logins:
    """Identifies callers, and counts those that it cannot identify."""

    def __init__(self, callers: Callers, limits: Limits) -> None:
        self._callers = callers
        self._limits = limits
        # By address: no more are looked up at once than may fail, and the rest wait for how those end.
        self._looking: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def __repr__(self) -> str:
        return f"<Logins by {self._callers!r}>"

    async def identify(self, secret: str, address: str) -> Caller:
        """Raises InvalidKey, RateLimited where too many came before, and LimitsUnavailable for a key that
        is not known to be good while failures cannot be counted."""
        if (caller := self._callers.kept(secret)) is not None:
            return caller
        limits = _limits(secret, address)
        if self._callers.is_known(secret):
            return await self._look_up(secret, limits)
        await self._check(limits)
        async with self._looking_up(limits[0].name) as has_waited:
            if has_waited:
                # For lookups that may all have failed.
                await self._check(limits)
            return await self._look_up(secret, limits)

    @asynccontextmanager
    async def _looking_up(self, address: str) -> AsyncIterator[bool]:
        """Gives whether it had to wait; raises StorageUnavailable where those before do not end."""
        looking = self._looking.setdefault(address, asyncio.Semaphore(MOST_BY_ADDRESS))
        has_waited = looking.locked()
        try:
            async with asyncio.timeout(_WAIT_S):
                await looking.acquire()
        except TimeoutError:
            raise StorageUnavailable() from None
        try:
            yield has_waited
        finally:
            looking.release()

    async def _check(self, limits: list[Limit]) -> None:
        for limit in limits:
            if wait_s := await self._limits.wait_s(limit):
                raise _refusal(limit, wait_s)

    async def _look_up(self, secret: str, limits: list[Limit]) -> Caller:
        try:
            return await self._callers.identify(secret)
        except InvalidKey:
            # Those that came in the same moment were all let through: what is over is known only now.
            over = [limit for limit in limits if not await self._limits.take(limit)]
            if over:
                raise _refusal(over[0], await self._limits.wait_s(over[0])) from None
            raise


def _limits(secret: str, address: str) -> list[Limit]:
    limits = [Limit("failures-address", _network(address), MOST_BY_ADDRESS)]
    if api_key.is_well_formed(secret):
        # Something mistyped or foreign is no guess at a key of ours, and many send the same.
        prefix = hashlib.sha256(secret[:_PREFIX_LENGTH].encode()).hexdigest()
        limits.append(Limit("failures-prefix", prefix, MOST_BY_PREFIX))
    return limits


def _network(address: str) -> str:
    """Who has one address of IPv6 has all of its /64; an IPv4 one is the same however it is written."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:_LONGEST_ADDRESS]  # a trusted proxy's own name for somebody
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((parsed.packed[:8] + bytes(8), 64)))


def _refusal(limit: Limit, wait_s: float) -> RateLimited:
    whole_s = rate.retry_after_s(wait_s)
    whose = "from your address" if limit.kind == "failures-address" else "that begin like this one"
    return RateLimited(
        f"Too many wrong API keys {whose}: more than {limit.most} within a minute. Try again in {whole_s} s.",
        retry_after_s=whole_s,
    )
