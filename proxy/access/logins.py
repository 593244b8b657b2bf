"""Slow down failed logins: a client that guesses keys must wait, before the database is read.

Failures are counted by address, and by the first characters of the key: guesses at one key may come from many
addresses. A key that was good before is not checked, so that other clients' failures do not stop it.
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
from proxy.access.limits import Limits
from proxy.access.windows import Limit
from proxy.errors import InvalidKey, RateLimited, SessionEnded, StorageUnavailable
from proxy.storage import api_key

MOST_BY_ADDRESS = 20
MOST_BY_PREFIX = 10
MOST_ENDED = 60
"""The most lookups of sessions that have ended, a minute and network. They are no failed logins."""
_PREFIX_LENGTH = 12
_LONGEST_ADDRESS = 64
_WAIT_S = 5.0


class Logins:
    def __init__(self, callers: Callers, limits: Limits) -> None:
        self._callers = callers
        self._limits = limits
        # By address. As many lookups run at once as may fail. The others wait until those have ended.
        self._lookups: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def identify(self, secret: str, address: str) -> Caller:
        """Return the caller. Raises InvalidKey, and RateLimited after too many failures.

        If failures cannot be counted, a key that was never good raises LimitsUnavailable.
        """
        if (caller := self._callers.recent_caller(secret)) is not None:
            return caller
        limits = _limits(secret, address)
        if self._callers.is_known(secret):
            return await self._look_up(secret, limits)
        await self._check(limits)
        async with self._lookup_turn(limits[0].name) as has_waited:
            if has_waited:
                # All earlier lookups may have failed meanwhile.
                await self._check(limits)
            return await self._look_up(secret, limits)

    @asynccontextmanager
    async def session_lookup(self, address: str) -> AsyncIterator[None]:
        """Look a session up, whose cookie anyone may have invented. Raises RateLimited before the database is
        read."""
        limit = Limit("ended-sessions-address", client_network(address), MOST_ENDED)
        if wait_s := await self._limits.wait_s(limit):
            whole_s = rate.retry_after_s(wait_s)
            raise RateLimited(
                f"Too many sessions from your address have ended. Try again in {whole_s} s.",
                retry_after_s=whole_s,
            )
        try:
            yield
        except SessionEnded:
            await self._limits.take(limit)
            raise

    @asynccontextmanager
    async def _lookup_turn(self, address: str) -> AsyncIterator[bool]:
        """Wait for a turn, and say whether there was a wait.

        Raises StorageUnavailable if the lookups before do not end.
        """
        turns = self._lookups.setdefault(address, asyncio.Semaphore(MOST_BY_ADDRESS))
        has_waited = turns.locked()
        try:
            async with asyncio.timeout(_WAIT_S):
                await turns.acquire()
        except TimeoutError:
            raise StorageUnavailable() from None
        try:
            yield has_waited
        finally:
            turns.release()

    async def _check(self, limits: list[Limit]) -> None:
        for limit in limits:
            if wait_s := await self._limits.wait_s(limit):
                raise _refusal(limit, wait_s)

    async def _look_up(self, secret: str, limits: list[Limit]) -> Caller:
        try:
            return await self._callers.identify(secret)
        except InvalidKey:
            # Concurrent requests all passed the check, so those over the limit are found only now.
            over = [limit for limit in limits if not await self._limits.take(limit)]
            if over:
                raise _refusal(over[0], await self._limits.wait_s(over[0])) from None
            raise


def _limits(secret: str, address: str) -> list[Limit]:
    limits = [Limit("failures-address", client_network(address), MOST_BY_ADDRESS)]
    if api_key.is_well_formed(secret):
        # A mistyped or foreign key is no guess at one of our keys, and many clients send the same one.
        prefix = hashlib.sha256(secret[:_PREFIX_LENGTH].encode()).hexdigest()
        limits.append(Limit("failures-prefix", prefix, MOST_BY_PREFIX))
    return limits


def client_network(address: str) -> str:
    """Return the network that one client may use: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:_LONGEST_ADDRESS]  # a name that a trusted proxy gives to a client
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
