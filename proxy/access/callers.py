"""Find the caller by API key: the first step of a request, before its body is read.

A caller is cached for at most five seconds, so a revoked key fails in every worker after that time, and what
is open with it ends. The worker that revokes a key calls `forget`, so that this happens there at once. Keys
in use are looked up together.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
from starlette.types import Scope

from policies.limits import Caps
from policies.plans import AgreedTerms, plan_at
from proxy.errors import AccountSuspended, InvalidKey, RequestFailed
from proxy.storage import api_key, key_records
from proxy.storage.key_records import KeyStatus, Role
from proxy.storage.read_cache import MOST_TOGETHER, ReadCache
from proxy.storage.store import Store

CACHED_S = 5.0
_MOST_STORED = 10_000
_MOST_READ = 1024
"""The streams that are checked by one read: their rows hold the event loop."""
_Open = tuple[Mapping[str, Any], Callable[[RequestFailed], None]]
_MASKED = re.compile(r"(sk-)?[!-~]{8,}[0-9A-Za-z]{4}")


class Caller(msgspec.Struct, frozen=True):
    """The account and the key of a request, by their ids, without any secret.

    `expires` belongs to the key, in microseconds UTC. The account's cycles are counted from `anchor`.
    `agreed` changes the terms of the plan for the account, `caps` changes them for this key. The
    `preferred_voice` is the voice of a request that names none.
    """

    account: str
    key: str
    plan: str
    role: Role
    expires: int | None = None
    anchor: int = 0
    agreed: AgreedTerms = AgreedTerms()
    caps: Caps = Caps()
    is_suspended: bool = False
    has_paid: bool = False
    preferred_voice: str = ""


def caller_of(scope: Scope) -> Caller:
    caller: Caller = scope["state"]["caller"]
    return caller


def caller_or_none(scope: Scope) -> Caller | None:
    """Return the caller of an endpoint that also answers without a key, or None."""
    caller: Caller | None = scope["state"].get("caller")
    return caller


class _KeyAnswer(NamedTuple):
    """A caller and how many seconds the answer is good for, or a sentence that says why the key is bad."""

    caller: Caller | None
    good_for_s: float = 0.0
    fault: str = ""


async def _no_ended_sessions(_ids: Collection[str]) -> Collection[str]:
    return ()


class OpenStreams:
    """The answers and sockets of one worker that are `open`, each with the state of its request and with what
    ends it: what was sent is charged. `ended_sessions` says which of these sessions are over."""

    def __init__(self, store: Store) -> None:
        self.open: dict[object, _Open] = {}
        self.ended_sessions: Callable[[Collection[str]], Awaitable[Collection[str]]] = _no_ended_sessions
        self._store = store
        self._is_due = asyncio.Event()

    def check_soon(self) -> None:
        self._is_due.set()

    async def check_next(self) -> None:
        """Wait for the next check, and end what is open with a key or a session that is no good any more."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CACHED_S):
                await self._is_due.wait()
        self._is_due.clear()
        seen = list(self.open.items())
        for at in range(0, len(seen), _MOST_READ):
            await self._check(dict(seen[at : at + _MOST_READ]))

    async def _check(self, seen: Mapping[object, _Open]) -> None:
        keys = {state["caller"].key for state, _ in seen.values()}
        records, now = await key_records.find_by_ids(self._store, keys), await self._store.now()
        sessions = {state["session"].id for state, _ in seen.values() if "session" in state}
        ended = await self.ended_sessions(sessions) if sessions else ()
        for stream, (state, end) in seen.items():
            failure = _refusal(records.get(state["caller"].key), now)
            if "session" in state and state["session"].id in ended:
                failure = InvalidKey("The session has ended.")
            # Removed first: if `end` raises, the next check goes on with the others.
            if failure is not None and stream in self.open:
                del self.open[stream]
                end(failure)


def _refusal(record: KeyStatus | None, now: int) -> RequestFailed | None:
    fault = "No such key exists here." if record is None else key_fault(record, now)
    if fault is not None:
        return InvalidKey(fault)
    return AccountSuspended() if record is not None and record.suspended is not None else None


class Callers:
    """The callers of one worker, by their keys. `forget_sessions` forgets those that come by a session."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self.streams = OpenStreams(store)
        self.forget_sessions: Callable[[str], object] = lambda _id: None
        self._store = store
        # By digest, so that no secret stays in memory.
        self._answers: ReadCache[str, _KeyAnswer] = ReadCache(
            self._read,
            lambda answer: answer.good_for_s,
            max_weight=_MOST_STORED,
            most_together=MOST_TOGETHER,
            gathers_unknown=True,
            clock=clock,
        )

    async def identify(self, secret: str) -> Caller:
        """Return the caller. Raises InvalidKey, which shows only the last four characters of the key."""
        if not api_key.is_well_formed(secret):
            is_ours = secret.startswith(api_key.PREFIX)
            prefix_hint = f"This server's keys begin with {api_key.PREFIX}."
            raise InvalidKey(
                _invalid_key_message(secret, "Check that it was copied whole." if is_ours else prefix_hint)
            )
        answer = await self._answers.get(api_key.digest(secret))
        if answer.caller is None:
            raise InvalidKey(_invalid_key_message(secret, answer.fault))
        return answer.caller

    async def by_id(self, key: str, *, may_be_suspended: bool = False, may_be_over: bool = False) -> Caller:
        """Return the caller of a key by its id, as it is now. Raises InvalidKey and AccountSuspended. With
        `may_be_over`, the key may be revoked or expired: it only names the payer of work that was done."""
        record, now = await key_records.find_by_id(self._store, key), await self._store.now()
        known = None if record is None or may_be_over else key_fault(record, now)
        fault = "No such key exists here." if record is None else known
        if record is None or fault is not None:
            raise InvalidKey(f"The key {key} is no good any more. {fault}")
        caller = to_caller(record, now)
        if caller.is_suspended and not may_be_suspended:
            raise AccountSuspended
        return caller

    def recent_caller(self, secret: str) -> Caller | None:
        """Return the caller with this key, if it was looked up within the last seconds."""
        answer = self._answers.cached(api_key.digest(secret)) if secret.isascii() else None
        return None if answer is None else answer.caller

    def is_known(self, secret: str) -> bool:
        """Tell whether the key was good at its last lookup. Such a client does not guess keys."""
        return self._answers.last_known(api_key.digest(secret)) is not None

    def forget(self, id_: str) -> None:
        """Forget a key or a whole account, by its id, and end what is open with it if it is no good any more.
        Call this after the commit."""
        self._answers.forget_if(
            lambda answer: answer.caller is not None and id_ in (answer.caller.key, answer.caller.account)
        )
        self.forget_sessions(id_)
        self.streams.check_soon()

    async def _read(self, digests: Sequence[str]) -> dict[str, _KeyAnswer]:
        records = await key_records.find_by_hashes(self._store, digests)
        now = await self._store.now()
        return {digest: self._answer(digest, records.get(digest), now) for digest in digests}

    def _answer(self, digest: str, record: KeyStatus | None, now: int) -> _KeyAnswer:
        if record is None:
            return _KeyAnswer(None, fault="No such key exists here.")
        if (fault := key_fault(record, now)) is not None:
            return _KeyAnswer(None, fault=fault)
        caller, last_answer = to_caller(record, now), self._answers.last_known(digest)
        if last_answer is not None and last_answer.caller == caller:
            # Return the same object, so that its cached terms and plans stay valid.
            caller = last_answer.caller
        return _KeyAnswer(caller, valid_for_s(record, now))


def valid_for_s(record: KeyStatus, now: int) -> float:
    """Return how long a caller may be cached: until its key expires, or its plan ends."""
    ends = [end for end in (record.expires, record.paid_until) if end is not None and end > now]
    return min((CACHED_S, *((end - now) / 1e6 for end in ends)))


def to_caller(record: KeyStatus, now: int) -> Caller:
    return Caller(
        account=record.account,
        key=record.id,
        plan=plan_at(now, record.plan, record.paid_until, record.lapsed_plan),
        role=record.role,
        expires=record.expires,
        anchor=record.anchor,
        agreed=record.agreed,
        caps=record.caps,
        is_suspended=record.suspended is not None,
        has_paid=record.has_paid,
        preferred_voice=record.preferred_voice,
    )


def key_fault(record: KeyStatus, now: int) -> str | None:
    if record.revoked is not None:
        return "It was revoked."
    if record.expires is not None and record.expires <= now:
        return "It has expired."
    if record.closed is not None:
        return "Its account is closed."
    return None


def _invalid_key_message(secret: str, reason: str) -> str:
    # Only a text as long as a key is masked: four characters of a short word would be most of it.
    match = _MASKED.fullmatch(secret)
    masked = f": {match[1] or ''}…{secret[-4:]}" if match else ""
    return f"Incorrect API key provided{masked}. {reason}"
