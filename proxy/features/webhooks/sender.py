"""One try: a POST to an address that is looked up once, checked, and connected to, whatever DNS says later.
It uses no proxy, which would look the name up itself, follows no redirect, and keeps no connection."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from proxy.engines.http.http1 import ConnectionPool, LookUp
from proxy.engines.http.http1_connection import Http1Answer
from proxy.engines.http.http1_request import new_request_head
from proxy.engines.http.request_limiter import Places
from proxy.features.webhooks import rules
from proxy.helpers.lazy_value import LazyValue
from speech_engine import EngineError, EngineTimeout

_HEAD_S = 8.0
_BODY_S = 2.0
MOST_S = _HEAD_S + _BODY_S
MOST_ANSWER_BYTES = 64 * 1024
_MOST_LOOK_UPS, _MOST_LOOK_UPS_OF_ACCOUNT = 32, 4
_MOST_ADDRESSES = 4

NOT_REACHED = "It could not be reached at a public address."
"""The reason for every fault before a public address has answered. A more exact reason would tell an account
about the names and services of our network."""
NOT_REACHED_THERE = "It could not be reached."
"""The reason for a host that the operator allows: the account may know it."""
NO_ANSWER = f"It did not answer within {_HEAD_S:g} seconds."
BAD_ANSWER = "Its answer was broken off, or is no HTTP."
REDIRECT = "It answered with a redirect, which is not followed."


class TryOutcome(NamedTuple):
    """The result of a try. `reason` is for the account, `detail` for the operator."""

    status: int | None
    reason: str
    detail: str
    retry_after_s: float = 0.0


class WebhookRequest(NamedTuple):
    """A request for an account, and its target. If the operator allows its host, any address is allowed."""

    account: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    is_allowed: bool

    def __repr__(self) -> str:
        return "<WebhookRequest>"  # its address may hold a key


class Sender:
    """Sends requests. `look_up` finds the addresses of a host."""

    def __init__(self, ca_file: str = "", look_up: LookUp | None = None) -> None:
        self._trust = LazyValue(partial(_trusted_context, ca_file))
        self._look_up = look_up
        self._threads = LookUpThreads()

    async def send(self, request: WebhookRequest) -> TryOutcome:
        """Send once, within `MOST_S` seconds. Every failure is an outcome, never an exception."""
        trust = await self._trust.get()
        look_up = self._look_up or self._threads.of(request.account)
        if not request.is_allowed:
            look_up = _only_public(look_up)
        pool = ConnectionPool(Places(1), 1, trust, look_up)
        deadline = asyncio.get_running_loop().time() + _HEAD_S
        try:
            head = new_request_head("POST", request.url, tuple(request.headers.items()))
            connection = await pool.take(head.origin, deadline)
        except EngineError as error:
            await pool.close()
            return TryOutcome(None, NOT_REACHED_THERE if request.is_allowed else NOT_REACHED, error.message)
        try:
            return await _read_answer(connection.begin(head.with_body(request.body), _BODY_S), deadline)
        finally:
            await pool.close()


async def _read_answer(answer: Http1Answer, deadline: float) -> TryOutcome:
    try:
        await answer.wait_for_head(deadline)
    except EngineError as error:
        reason = NO_ANSWER if isinstance(error, EngineTimeout) else BAD_ANSWER
        return TryOutcome(None, reason, error.message)
    # A receiver may fail while its answer is read. Its status counts anyway.
    with suppress(EngineError):
        await answer.read(MOST_ANSWER_BYTES)
    return _outcome(answer)


def _outcome(answer: Http1Answer) -> TryOutcome:
    status = answer.status
    if 200 <= status < 300:
        return TryOutcome(status, "", "")
    if 300 <= status < 400:
        return TryOutcome(status, REDIRECT, "redirect")
    wanted = answer.headers.get("retry-after", "")
    retry_after_s = float(wanted) if wanted.isascii() and wanted.isdecimal() and len(wanted) < 7 else 0.0
    return TryOutcome(status, f"It answered with HTTP {status}.", f"HTTP {status}", retry_after_s)


def _only_public(look_up: LookUp) -> LookUp:
    async def look_up_public(host: str, port: int) -> Sequence[Any]:
        found = list(await look_up(host, port))[:_MOST_ADDRESSES]
        # With one private address, all of them are refused.
        if not found or not all(rules.is_public(str(sockaddr[0])) for *_, sockaddr in found):
            raise OSError(errno.EACCES, "its address is not public")
        return found

    return look_up_public


class LookUpThreads:
    """Looks up hosts in daemon threads, so that a silent name server delays neither other work nor the end of
    the process. Their number is limited, in all and for each account, since a look-up cannot be cancelled."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_MOST_LOOK_UPS)
        self._count_by_account = Counter[str]()

    def of(self, account: str) -> LookUp:
        async def look_up(host: str, port: int) -> Sequence[Any]:
            if self._count_by_account[account] >= _MOST_LOOK_UPS_OF_ACCOUNT:
                raise OSError(errno.EAGAIN, "earlier look-ups of this account still wait")
            # A look-up that waits for a slot counts, too: else one account could get all slots.
            self._count_by_account[account] += 1
            try:
                await self._slots.acquire()
            except asyncio.CancelledError:
                self._count_by_account[account] -= 1
                raise
            return await self._look_up(account, host, port)

        return look_up

    def _look_up(self, account: str, host: str, port: int) -> asyncio.Future[Sequence[Any]]:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Sequence[Any]] = loop.create_future()

        def finish(addresses: Sequence[Any], error: Exception | None) -> None:
            self._slots.release()
            self._count_by_account[account] -= 1
            self._count_by_account += Counter()  # without those at zero
            if found.done():
                return
            if error is None:
                found.set_result(addresses)
            else:
                found.set_exception(error)

        def resolve() -> None:
            addresses: Sequence[Any] = ()
            failed: Exception | None = None
            try:
                addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError) as error:
                failed = error
            # The loop may have ended meanwhile.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(finish, addresses, failed)

        try:
            threading.Thread(target=resolve, name="look-up", daemon=True).start()
        except RuntimeError:
            finish((), OSError(errno.EAGAIN, "the machine has no thread left for a look-up"))
        return found


def _trusted_context(ca_file: str) -> ssl.SSLContext:
    """Trust the machine's authorities, and those of the operator's file."""
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context
