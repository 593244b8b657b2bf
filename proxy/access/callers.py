"""API key → Caller: the first thing that happens to a request, before its body is read.

A good answer is kept for at most five seconds, so a revoked key is dead within them in every worker; the
worker that revokes it calls `forget`, and there it is dead at once.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from policies.limits import Caps
from policies.plans import Overrides
from proxy.errors import InvalidKey
from proxy.storage import api_key, key_records
from proxy.storage.key_records import KeyStanding, Role
from proxy.storage.store import Store

KEPT_S = 5.0
_MOST_KEPT = 10_000
_MASKED = re.compile(r"(sk-)?[!-~]{8,}[0-9A-Za-z]{4}")


class Caller(msgspec.Struct, frozen=True):
    """Who asks: ids only, no secret. `expires` is the key's, in microseconds UTC; `anchor` is where the
    account's cycles are counted from; `agreed` and `caps` change its plan's word for it and for this key."""

    account: str
    key: str
    plan: str
    role: Role
    expires: int | None = None
    anchor: int = 0
    agreed: Overrides = Overrides()
    caps: Caps = Caps()


class _Kept(NamedTuple):
    caller: Caller
    until: float


_Answer = Caller | str
"""A caller, or the sentence that says why the key is not good."""


class Callers:
    """Identifies callers; one for each worker. `clock` counts seconds and never goes back."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        # By digest, so that no secret stays in memory; the least recently used first.
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._asked: dict[tuple[int, str], asyncio.Task[_Answer]] = {}
        self._revision = 0

    def __repr__(self) -> str:
        return f"<Callers {len(self._kept)} kept, {len(self._asked)} being read>"

    async def identify(self, secret: str) -> Caller:
        """Raises InvalidKey; its message shows the last four characters of what was sent and no more."""
        if (caller := self.kept(secret)) is not None:
            return caller
        if not api_key.is_well_formed(secret):
            raise InvalidKey(_message(secret, _why_malformed(secret)))
        digest = api_key.digest(secret)
        # Shielded: whoever asked first may hang up, and the others still want the answer.
        answer = await asyncio.shield(self._ask_once(digest))
        if isinstance(answer, Caller):
            return answer
        raise InvalidKey(_message(secret, answer))

    def kept(self, secret: str) -> Caller | None:
        """Whose key it is, where that was looked up within the last seconds."""
        if not secret.isascii():
            return None
        digest = api_key.digest(secret)
        kept = self._kept.get(digest)
        if kept is None or self._clock() >= kept.until:
            return None
        self._kept.move_to_end(digest)
        return kept.caller

    def is_known(self, secret: str) -> bool:
        """Whether the key was good when it was last looked at: who sends such a one is not guessing."""
        return api_key.digest(secret) in self._kept

    def forget(self, id_: str) -> None:
        """Drops what is kept of a key or of a whole account, by its id. Call it after the commit."""
        # Reads under way may have seen the state before: their answers are not kept, and no later
        # request joins them.
        self._revision += 1
        for digest, kept in list(self._kept.items()):
            if id_ in (kept.caller.key, kept.caller.account):
                del self._kept[digest]

    def _ask_once(self, digest: str) -> asyncio.Task[_Answer]:
        """The read for this key, which all requests share that come while it runs."""
        flight = (self._revision, digest)
        task = self._asked.get(flight)
        if task is None:
            task = self._asked[flight] = asyncio.create_task(self._ask(digest))
            task.add_done_callback(lambda done: self._landed(flight, done))
        return task

    def _landed(self, flight: tuple[int, str], task: asyncio.Task[_Answer]) -> None:
        del self._asked[flight]
        # Looked at, so that a failed read whose requests have all hung up is not reported as lost.
        if not task.cancelled():
            task.exception()

    async def _ask(self, digest: str) -> _Answer:
        # Both before the read: the five seconds count from when the row was still true.
        revision, asked_at = self._revision, self._clock()
        standing = await key_records.by_hash(self._store, digest)
        if standing is None:
            return "No such key exists here."
        now = await self._store.now()
        if (fault := _fault(standing, now)) is not None:
            self._kept.pop(digest, None)
            return fault
        caller = _caller(standing)
        if revision == self._revision:
            left_s = KEPT_S if standing.expires is None else (standing.expires - now) / 1e6
            self._keep(digest, _Kept(caller, asked_at + min(KEPT_S, left_s)))
        return caller

    def _keep(self, digest: str, kept: _Kept) -> None:
        self._kept[digest] = kept
        self._kept.move_to_end(digest)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)


def _caller(standing: KeyStanding) -> Caller:
    return Caller(
        account=standing.account,
        key=standing.id,
        plan=standing.plan,
        role=standing.role,
        expires=standing.expires,
        anchor=standing.anchor,
        agreed=standing.agreed,
        caps=standing.caps,
    )


def _fault(standing: KeyStanding, now: int) -> str | None:
    if standing.revoked is not None:
        return "It was revoked."
    if standing.expires is not None and standing.expires <= now:
        return "It has expired."
    if standing.closed is not None:
        return "Its account is closed."
    return None


def _message(secret: str, reason: str) -> str:
    # Only from something long enough to be a key: four characters of a short word would be most of it.
    match = _MASKED.fullmatch(secret)
    masked = f": {match[1] or ''}…{secret[-4:]}" if match else ""
    return f"Incorrect API key provided{masked}. {reason}"


def _why_malformed(secret: str) -> str:
    if secret.startswith(api_key.PREFIX):
        return "Check that it was copied whole."
    return f"This server's keys begin with {api_key.PREFIX}."
