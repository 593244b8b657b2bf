"""One signing process and the turns at it: started at the first need, and ended when nobody needs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from proxy.audio.recordings.account_turns import AccountTurns
from proxy.provenance.signing import Signed, SignRequest, Unsigned
from proxy.provenance.signing_process import SigningProcess

MOST_WAITING = 32
MOST_OF_ACCOUNT = 16
LARGE_BYTES = 2 * 2**20
"""Above, a file takes the process for longer than ten others."""
IDLE_S = 120.0

_MOST_LIVES = 2


class SigningLane:
    """Signs requests one by one. With `has_network`, its process may ask for time stamps."""

    def __init__(self, *, has_network: bool) -> None:
        self._turn = asyncio.Lock()
        self._large = asyncio.Lock()
        self._of_accounts = AccountTurns(MOST_WAITING, 0, MOST_OF_ACCOUNT)
        self._has_network = has_network
        self._child: SigningProcess | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._preparing: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<SigningLane, {self._child!r}>"

    def prepare(self) -> None:
        """Start the process beside a speech whose file will need it, if there is none."""
        if self._child is None and not self._turn.locked() and self._preparing is None:
            self._preparing = asyncio.create_task(self._prepare())

    @asynccontextmanager
    async def turn(self, account: str | None, size: int) -> AsyncIterator[None]:
        """Wait for the turn to `ask` about so many bytes, for an account (None: for nobody), and have it.

        Files of one account go one by one. One large file at a time waits with the small ones, so these
        wait for one of them at most. Raises DecoderBusy if too many files of the account wait.
        """
        async with AsyncExitStack() as turns:
            if account is not None:
                await turns.enter_async_context(self._of_accounts.turn(account))
            if size > LARGE_BYTES:
                await turns.enter_async_context(self._large)
            await turns.enter_async_context(self._turn)
            yield

    async def ask(self, request: SignRequest, within_s: float) -> Signed | Unsigned:
        """Ask the process, and a second one if the first dies. The caller has the turn. Raises OSError."""
        for _ in range(_MOST_LIVES):
            child, answer = await self._ready_child(), None
            try:
                async with asyncio.timeout(within_s):
                    answer = await child.ask(request)
            except TimeoutError:
                return Unsigned("the signing process did not answer in time")
            finally:
                # What was cancelled or late leaves an answer in the pipe, which is nobody's.
                if answer is None:
                    self._drop_child()
            if answer is not None:
                return answer
        return Unsigned("the signing process died twice")

    async def close(self) -> None:
        """End the process. Nobody may have the turn any more, or wait for it."""
        if self._preparing is not None:
            self._preparing.cancel()
            await asyncio.wait([self._preparing])
        self._drop_child()
        while self._ending:
            await asyncio.wait(self._ending)

    async def _prepare(self) -> None:
        try:
            async with self._turn:
                await self._ready_child()
        except OSError:
            pass  # the signature tries again, and says what is wrong
        finally:
            self._preparing = None

    async def _ready_child(self) -> SigningProcess:
        child = self._child
        if child is not None and child.is_dead:
            self._drop_child()
            child = None
        if child is None:
            self._child = child = await SigningProcess.begin(has_network=self._has_network)
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._drop_idle_child)
        return child

    def _drop_idle_child(self) -> None:
        if not self._turn.locked():
            self._drop_child()

    def _drop_child(self) -> None:
        """End the process in the background: nobody waits for that, and a caller may be cancelled."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        child, self._child = self._child, None
        if child is not None:
            ending = asyncio.create_task(child.end())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
