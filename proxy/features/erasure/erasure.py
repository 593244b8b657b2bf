"""The erasure of a voice, or of what else is somebody's, wherever it is.

A tombstone comes first, then everything that is derived.

The order: journal → tombstone, committed with the deletion of the rows → every worker and its engines forget,
and break the streams of that voice → hosts drop its samples once more → files → recordings → the database's
old pages → the receipt.
A kill at any moment leaves the tombstone, or the line of the journal, and the next start goes on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from proxy.catalogue.derived_things import DerivedThings, OwnedRecord, no_hosts, no_providers
from proxy.catalogue.erased_voices import ErasedVoices
from proxy.catalogue.erasing import Spread
from proxy.errors import NotFound
from proxy.features.erasure.journal import ErasureJournal, list_unknown, write_down
from proxy.kept.vault import Vault
from proxy.storage import tombstones
from proxy.storage.audit import Act
from proxy.storage.rows import LAST_MOMENT
from proxy.storage.store import StorageFailed, Store
from proxy.storage.tombstones import Tombstone
from proxy.telemetry.background import RepeatingTask, repeat
from proxy.telemetry.metrics import Metrics
from speech_engine import EngineError

_WAITED_S = 10.0
"""For so long a request waits for its receipt to be complete. The erasure goes on without it."""
_SILENT_S = 5.0
_DROPPED_S = 7.0
_LOOK_EVERY_S = 5.0
_OVERLAP_US = 60 * 1_000_000
"""A tombstone may be committed later than its time says."""
_AT_ONCE = 16
_LEFT_OVER_US = 60 * 1_000_000
_STEPS = ("workers", "hosts", "files", "recordings", "database", "providers")

_log = structlog.get_logger()


Receipt = Tombstone
"""How far an erasure is: a tombstone without `pending` is complete."""


class Erasure:
    """The erasure of one worker. `things` are set anew by each revision of the configuration."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        data: Path,
        spread: Spread | None = None,
        erased: ErasedVoices | None = None,
    ) -> None:
        self.things = DerivedThings((), (), no_hosts, no_providers)
        self.erased = erased or ErasedVoices()
        self.replayed = 0
        self._store = store
        self._vault = vault
        self._journal = ErasureJournal(data)
        self._spread = spread or self.forget
        self._followed: dict[str, Tombstone] = {}
        self._finishing: dict[str, asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"<Erasure, {len(self._finishing)} under way, {self.erased!r}>"

    def reach(self, things: DerivedThings) -> None:
        """Say what there is of voices from now on."""
        self.things = things

    async def catch_up(self) -> None:
        """Finish what a killed server has left. On a shared database, other servers may be at it."""
        if not self._store.is_shared:
            await self.finish_left_over()

    def is_erased(self, voice_id: str) -> bool:
        return self.erased.is_erased(voice_id)

    async def erase_voice(self, record: OwnedRecord, act: Act | None = None) -> Receipt:
        """Erase a voice: nobody can use it when this returns. Raises NotFound if it is gone already."""
        receipt = await self.erase(record, act)
        if receipt is None:
            raise NotFound(f"The voice '{record.id}' does not exist.", param="voice", code="voice_not_found")
        return receipt

    async def erase(self, record: OwnedRecord, act: Act | None = None) -> Receipt | None:
        """Erase something that is somebody's. None: it is gone already, or something needs it."""
        tombstone = await self._bury(record, act)
        return None if tombstone is None else await self._receipt_soon(tombstone)

    async def erase_account(self, account: str) -> None:
        """Erase all that an account has which is closed, and the key of its digests."""
        buried = []
        for id_ in await tombstones.list_of_account(self._store, account):
            if (tombstone := await self._bury(_Owned(id_, account), None)) is not None:
                buried.append(tombstone)
        await asyncio.gather(*(self._receipt_soon(tombstone) for tombstone in buried))
        await self._vault.drop_account(account)

    async def receipt(self, account: str, subject: str) -> Receipt | None:
        """Return the receipt of something that this account had erased."""
        return await tombstones.get(self._store, account, subject)

    async def forget(self, tombstone: Tombstone) -> bool:
        """Forget a voice in this worker, and let its engines forget it. Every worker is told.

        Return whether nothing of this worker uses it any more, or brings its recordings to a host.
        """
        self.erased.note(tombstone.subject)
        for memory in self.things.memories:
            memory.forget_voice(tombstone.subject, tombstone.digests)
        is_dropped, is_silent = await asyncio.gather(
            _try("samples", lambda: self._drop_samples(tombstone)),
            self.erased.wait_until_silent(tombstone.subject, _SILENT_S),
        )
        return is_dropped and is_silent

    async def replay_journal(self) -> None:
        """Erase what the journal has and the database does not, and count it. Call it before serving."""
        for line in await list_unknown(self._journal, self._store):
            digests = await tombstones.digests_of(self._store, line.subject)
            tombstone = Tombstone(
                subject=line.subject,
                account=line.account,
                digests=tuple(sorted({*digests, *line.digests})),
                began=line.at,
                pending=_STEPS,
            )
            self.replayed += await tombstones.erase(self._store, tombstone)

    async def finish_left_over(self, older_than_us: int = 0) -> list[Receipt]:
        """Finish the erasures that others have begun: a killed server, or one that could not go on."""
        before = LAST_MOMENT if not older_than_us else await self._store.now() - older_than_us
        left = await tombstones.list_pending(self._store, before)
        receipts: list[Receipt] = []
        for first in range(0, len(left), _AT_ONCE):
            batch = left[first : first + _AT_ONCE]
            # Together: a provider that is away keeps each of them waiting.
            receipts += await asyncio.gather(*(self._receipt_soon(each, is_late=True) for each in batch))
        return receipts

    async def finish_others(self, metrics: Metrics) -> None:
        """Finish what was left over, at once and again and again. One worker of a server does it."""
        # Of a shared database, the newest ones may be another server's, which is at them.
        older_than_us = _LEFT_OVER_US if self._store.is_shared else 0

        async def turn() -> None:
            await self.finish_left_over(older_than_us)

        await repeat("erasures that are not complete", turn, _LOOK_EVERY_S, metrics)

    async def follow_others(self) -> None:
        """Forget what other servers on this database have erased."""
        recent = await tombstones.list_since(self._store, await self._store.now() - _OVERLAP_US)
        for tombstone in recent:
            if not self.erased.is_erased(tombstone.subject):
                self._followed[tombstone.subject] = tombstone
        # What fails stays for the next turn, however long ago it was.
        await asyncio.gather(*(self._follow(tombstone) for tombstone in tuple(self._followed.values())))

    async def _follow(self, tombstone: Tombstone) -> None:
        is_forgotten = await self.forget(tombstone)
        if await _try("files", lambda: self._remove_files(tombstone, is_late=True)) and is_forgotten:
            self._followed.pop(tombstone.subject, None)

    async def close(self) -> None:
        """Wait a moment for what is under way. The next start finishes the rest."""
        if self._finishing:
            await asyncio.wait(self._finishing.values(), timeout=_SILENT_S)
        for task in self._finishing.values():
            task.cancel()
        if self._finishing:
            await asyncio.wait(self._finishing.values())

    async def _bury(self, record: OwnedRecord, act: Act | None) -> Tombstone | None:
        """Write the journal, then the tombstone in one commit with the deletion. None: there is nothing."""
        tombstone = Tombstone(
            subject=record.id,
            account=record.account or "",
            digests=await tombstones.digests_of(self._store, record.id),
            began=await self._store.now(),
            pending=_STEPS,
        )
        await write_down(self._journal, tombstone)
        nameless = act and msgspec.structs.replace(act, details="{}")
        is_buried = await tombstones.erase(self._store, tombstone, nameless)
        if not is_buried and tombstones.may_be_needed(self._store, record.id):
            # Refused, because something needs it. A later start must not erase it without being asked.
            await write_down(self._journal, tombstone, is_withdrawn=True)
        return tombstone if is_buried else None

    async def _receipt_soon(self, tombstone: Tombstone, *, is_late: bool = False) -> Receipt:
        """Finish an erasure, and return the receipt: after a while even if it is not complete."""
        task = self._finishing.get(tombstone.subject)
        if task is None:
            task = asyncio.create_task(self._finish(tombstone, is_late=is_late))
            self._finishing[tombstone.subject] = task
            task.add_done_callback(lambda _done: self._finishing.pop(tombstone.subject, None))
        await asyncio.wait([task], timeout=_WAITED_S)
        found = await tombstones.get(self._store, tombstone.account, tombstone.subject)
        return found or tombstone

    async def _finish(self, tombstone: Tombstone, *, is_late: bool) -> None:
        steps: dict[str, Callable[[], Awaitable[bool]]] = {
            "workers": lambda: self._spread(tombstone),
            # Once more, when no worker brings a recording to a host any more.
            "hosts": lambda: self._drop_samples(tombstone),
            "files": lambda: self._remove_files(tombstone, is_late=is_late),
            "recordings": lambda: self._drop_recordings(tombstone),
            "database": self._store.forget_deleted,
            "providers": lambda: self.things.wait_for_providers(tombstone.subject),
        }
        due, pending = {*tombstone.pending}, list[str]()
        for name, step in steps.items():
            # What was deleted late is in the database's files again.
            is_again = name == "database" and bool((due & {"files", "recordings"}) - {*pending})
            work = partial(self._do, name, step, tombstone.subject)
            if (name in due or is_again) and not await _try(name, work):
                pending.append(name)
        if pending:
            _log.warning("erasure.finish.pending", pending=pending)
        if await _try("receipt", lambda: self._note(tombstone, pending)) and not pending:
            _log.info("erasure.finish.complete")

    async def _do(self, name: str, step: Callable[[], Awaitable[bool]], subject: str) -> bool:
        return await step() and not await tombstones.is_left(self._store, subject, name)

    async def _note(self, tombstone: Tombstone, pending: Sequence[str]) -> bool:
        if pending:
            await tombstones.note_pending(self._store, tombstone.subject, pending)
        else:
            await tombstones.complete(self._store, tombstone.subject)
        return True

    async def _remove_files(self, tombstone: Tombstone, *, is_late: bool) -> bool:
        for files in self.things.files:
            await files.remove_voice(tombstone.subject, is_late=is_late)
        return True

    async def _drop_samples(self, tombstone: Tombstone) -> bool:
        if tombstone.digests:
            async with asyncio.timeout(_DROPPED_S):
                await self.things.drop(tombstone.digests)
        return True

    async def _drop_recordings(self, tombstone: Tombstone) -> bool:
        await self._vault.drop(tombstone.account, tombstone.digests)
        return True


@asynccontextmanager
async def open_erasure(
    store: Store,
    vault: Vault,
    data: Path,
    metrics: Metrics,
    spread: Spread | None = None,
    erased: ErasedVoices | None = None,
) -> AsyncIterator[Erasure]:
    """Replay the journal, and follow other servers until the end of the block."""
    erasure = Erasure(store, vault, data, spread, erased)
    await erasure.replay_journal()
    if erasure.replayed:
        _log.warning("erasure.replay.complete", replayed=erasure.replayed)

    async def turn() -> None:
        if store.is_shared:
            await erasure.follow_others()

    following = RepeatingTask("erasures of other servers", turn, _LOOK_EVERY_S, metrics)
    try:
        yield erasure
    finally:
        await following.close()
        await erasure.close()


class _Owned(NamedTuple):
    id: str
    account: str | None


async def _try(step: str, work: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await work()
    except (OSError, StorageFailed, EngineError) as error:
        _log.warning("erasure.step.failed", step=step, reason=str(error))
        return False
