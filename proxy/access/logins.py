"""Slow down failed logins: a client that guesses keys must wait, before the database is read.

Failures are counted by address, and by the first characters of the key, since guesses at one key may come
from many addresses. These limits do not apply to a key that was good before, so that failures of other
clients do not stop it.
"""

from __future__ import annotations

import hashlib

from proxy.access.callers import Caller, Callers
from proxy.access.limits import Limits
from proxy.access.windows import FullWindow, Limit, address_limits
from proxy.errors import InvalidKey, RateLimited
from proxy.storage import api_key

MOST_BY_ADDRESS = 20
MOST_BY_PREFIX = 10
_PREFIX_LENGTH = 12


class Logins:
    def __init__(self, callers: Callers, limits: Limits) -> None:
        self._callers, self.streams = callers, callers.streams.open
        self._limits = limits

    async def identify(self, secret: str, address: str) -> Caller:
        """Return the caller. Raises InvalidKey, and RateLimited after too many failures.

        If failures cannot be counted, a key that was never good raises LimitsUnavailable.
        """
        if (caller := self._callers.recent_caller(secret)) is not None:
            return caller
        limits = _limits(secret, address)
        if not self._callers.is_known(secret) and (full := await self._limits.find_full(*limits)) is not None:
            raise _rate_limited(full)
        try:
            return await self._callers.identify(secret)
        except InvalidKey:
            # Concurrent requests all passed the check, so those over the limit are found only now.
            if (full := await self._limits.count_request(*limits)) is not None:
                raise _rate_limited(full) from None
            raise


def _limits(secret: str, address: str) -> list[Limit]:
    limits = [*address_limits("failures-address", address, MOST_BY_ADDRESS)]
    if api_key.is_well_formed(secret):
        # A mistyped or foreign key is no guess at one of our keys, and many clients send the same one.
        prefix = hashlib.sha256(secret[:_PREFIX_LENGTH].encode()).hexdigest()
        limits.append(Limit("failures-prefix", prefix, MOST_BY_PREFIX))
    return limits


def _rate_limited(full: FullWindow) -> RateLimited:
    whose = "from your address" if full.limit.kind == "failures-address" else "that begin like this one"
    return full.refusal(f"Too many wrong API keys {whose}: more than {full.limit.most} within a minute.")
