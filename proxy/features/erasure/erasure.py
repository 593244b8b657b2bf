"""The erasure of a voice, or of another record that has an owner.

The order: journal → tombstone, committed with the deletion of the rows → every worker forgets, breaks the
streams of that voice, and lets its hosts drop the recordings → hosts drop them again → files → recordings →
the database's old pages → providers delete their clones → the tombstone is complete. A kill at any moment
leaves the tombstone, or the line of the journal, and the next start goes on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
import structlog

from policies.tasks import SECOND_US
from proxy.api.server import ServerLink
from proxy.catalogue.erased_voices import ErasedVoices
from proxy.catalogue.erasing import DerivedData, ForgetEverywhere, OwnedRecord
from proxy.errors import NotFound
from proxy.features.erasure import tombstone_rows
from proxy.features.erasure.followers import exact_now, has_followers_behind, put_follower, remove_follower
from proxy.features.erasure.journal import ErasureJournal, JournalLine
from proxy.features.erasure.object_journal import ObjectJournal, replay_once_a_start
from proxy.file_store.vault import Vault
from proxy.queue.tasks import LEASE_S, Delayed, Done, Result, TaskKind
from proxy.storage import accounts, schema, tombstones
from proxy.storage.audit import Act
from proxy.storage.rows import LAST_MOMENT, encode_json, new_id
from proxy.storage.store import Condition, Statement, StorageFailed, Store
from proxy.storage.tombstones import Tombstone
from proxy.telemetry.background import RepeatingTask
from proxy.telemetry.metrics import Metrics
from speech_engine import EngineError
from speech_engine.host.cluster_messages import TombstonesRead

_RECEIPT_WAIT_S = 10.0
"""How long a request waits until its erasure is complete. The erasure goes on afterwards."""
_STREAMS_WAIT_S = 5.0
_HOSTS_WAIT_S = 7.0
_OTHER_SERVERS_WAIT_S = 6.0
_OTHER_SERVERS_LOOK_EVERY_S = 0.25
_RETRY_AFTER_S = 5.0
_FOLLOW_EVERY_S = 1.0
_NOTE_EVERY_US = 5 * SECOND_US
"""How often a server notes in the database that it is alive. During an erasure, each turn does."""
_OVERLAP_US = 60 * SECOND_US
"""A tombstone is committed at most so long after its time `began`."""
_UNLEASED_US = 60 * SECOND_US
"""For this time, a tombstone without a lease is left to servers of older versions, which take no leases."""
_NOT_COMPLETE = Condition("completed IS NULL", {})
_STEPS = ("workers", "hosts", "files", "recordings", "database", "providers")
"""The steps of an erasure, in their order. Their names are stored."""

_log = structlog.get_logger()

_Step = Callable[[], Awaitable[bool | None]]
"""A step of an erasure. It returns False if it is not done yet."""


class Erasure(TaskKind[Tombstone]):
    """The erasures of one worker. Each revision of the configuration sets `derived_data`."""

    name = "erasures that are not complete"
    table = tombstone_rows.TASKS
    # Many at once: each may wait for a provider that cannot be reached.
    most_at_once = 16
    may_outlive_worker = False

    def __init__(
        self,
        store: Store,
        vault: Vault,
        data: Path,
        forget_in_workers: ForgetEverywhere | None = None,
        erased: ErasedVoices | None = None,
        start: str = "",
        on_read: Callable[[], None] | None = None,
    ) -> None:
        """`start` is the id of this start of the server. `on_read` is called each time that the tombstones of
        others were read. Only a gateway with hosts in a cluster has it."""
        super().__init__(store)
        self.derived_data = DerivedData()
        self.erased = erased or ErasedVoices()
        self.replayed = 0
        """How many erasures of the journal the database lacked."""
        self._vault = vault
        self._object_journal = ObjectJournal(vault, data) if vault.is_shared else None
        self._journal: ErasureJournal | ObjectJournal = self._object_journal or ErasureJournal(data)
        self._forget_in_workers = forget_in_workers or self.forget
        # Tombstones of other servers by subject, until this worker has forgotten their data, with the time of
        # the loop at which each is tried again.
        self._to_forget: dict[str, tuple[Tombstone, float]] = {}
        self._follower_id = new_id("flw")
        # The processes of one server share it, since they get erasures from their supervisor.
        self._start_id = start or self._follower_id
        self._on_tombstones_read = on_read
        self._has_cluster = on_read is not None
        self._forgotten_until_us = self._noted_at_us = 0
        self._note_task: asyncio.Task[None] | None = None

    def set_derived_data(self, data: DerivedData) -> None:
        self.derived_data = data

    async def erase_voice(
        self, record: OwnedRecord, act: Act | None = None, *, by_owner: bool = False
    ) -> Tombstone:
        """Erase a voice: no request can use it when this returns. Raises NotFound if it is gone already."""
        receipt = await self.erase(record, act, by_owner=by_owner)
        if receipt is None:
            raise NotFound(f"The voice '{record.id}' does not exist.", param="voice", code="voice_not_found")
        return receipt

    async def erase(
        self, record: OwnedRecord, act: Act | None = None, *, by_owner: bool = False
    ) -> Tombstone | None:
        """Erase a record with an owner. None: it is gone already, or another record needs it."""
        tombstone = await self._commit_tombstone(record.id, record.account, act, by_owner=by_owner)
        return None if tombstone is None else await self._finish_soon(tombstone)

    async def erase_account(self, account: str) -> None:
        committed = []
        for id_ in await tombstone_rows.list_of_account(self._store, account):
            if (tombstone := await self._commit_tombstone(id_, account, None)) is not None:
                committed.append(tombstone)
        await asyncio.gather(*map(self._finish_soon, committed))
        await self._vault.drop_account(account)

    async def forget(self, tombstone: Tombstone) -> bool:
        """Forget a voice in this worker and its engines. Every worker calls this.

        Return whether this worker has stopped using it and sends its recordings to no host.
        """
        self.erased.note_erased(tombstone.subject)
        for memory in self.derived_data.memories:
            memory.forget_voice(tombstone.subject, tombstone.digests)
        is_dropped, is_silent = await asyncio.gather(
            _try_step("samples", lambda: self._drop_samples(tombstone)),
            self.erased.wait_until_silent(tombstone.subject, _STREAMS_WAIT_S),
        )
        return is_dropped and is_silent

    async def replay_journal(self) -> None:
        """Erase and count the journal's erasures that the database lacks. Call it before serving."""
        unknown = await self._journal.list_unknown(self._store)
        if any(not tombstone_rows.may_be_needed(self._store, line.subject) for line in unknown):
            # Such an erasure is never refused, so a database without it was restored, perhaps by PostgreSQL's
            # own tools, or a kill came between the journal and the commit. The rows tell both as a restore.
            restored = [sql for table in self._store.tables for sql in table.restored_with]
            await self._store.write(*map(Statement, restored))
        for line in unknown:
            digests = await tombstone_rows.digests_of(self._store, line.subject)
            tombstone = Tombstone(
                subject=line.subject,
                account=line.account,
                digests=tuple(sorted({*digests, *line.digests})),
                began=line.at,
                pending=_STEPS,
            )
            if await tombstone_rows.erase_subject(self._store, tombstone):
                self.replayed += 1

    async def sign_lines(self) -> None:
        """Sign the journal of a shared vault by the newest master key. Raises StorageFailed."""
        if self._object_journal is not None and (number := await self._object_journal.sign(self._store)):
            _log.info("erasure.journal.signed", number=number)

    async def list_unsigned(self) -> list[JournalLine]:
        """List the lines of the journal that count only once `accept_lines` has signed them."""
        return [] if self._object_journal is None else await self._object_journal.list_unsigned(self._store)

    async def accept_lines(self, lines: Iterable[JournalLine]) -> None:
        """Let unsigned lines of the journal count, and erase what they name."""
        if self._object_journal is not None:
            await self._object_journal.accept(lines)
            await self.replay_journal()
            self.look_now()

    async def repeat_for_older(self) -> None:
        """Erase and close once more what an older version has erased and closed on this newer database."""
        erased = await tombstone_rows.erase_again(self._store, _STEPS)
        closed = await accounts.close_again(self._store)
        if erased or closed:
            _log.info("erasure.repeat.complete", erased=erased, closed=closed)
            self.look_now()

    async def list_open(self, now: int) -> list[Tombstone]:
        # On a shared database, a server of an older version takes no lease for its new tombstones. Those of a
        # newer version are left to it: it may have more steps.
        unleased_before = now - _UNLEASED_US if self._store.is_shared else LAST_MOMENT
        is_for_us = Condition(
            "(lease > 0 OR due > 0 OR began < :before) AND by_schema <= :known",
            {"before": unleased_before, "known": schema.known_version()},
        )
        return await self.table.list_open(self._store, now, 2 * self.most_at_once, is_for_us)

    async def follow_others(self) -> None:
        """Forget the erased records of other servers on this database, and note the progress."""
        now = await exact_now(self._store)
        # From the last position on, since the database may have been out of reach for long.
        recent = await tombstone_rows.list_since(self._store, (self._forgotten_until_us or now) - _OVERLAP_US)
        if self._on_tombstones_read is not None:
            self._on_tombstones_read()
        for tombstone in recent:
            if not self.erased.is_erased(tombstone.subject):
                self._to_forget.setdefault(tombstone.subject, (tombstone, 0.0))
        loop_time = asyncio.get_running_loop().time()
        due = [tombstone for tombstone, try_at in self._to_forget.values() if loop_time >= try_at]
        await asyncio.gather(*map(self._follow, due))
        if not self._to_forget:
            self._forgotten_until_us = now
        if now - self._noted_at_us >= _NOTE_EVERY_US or any(each.completed is None for each in recent):
            await self._note_progress(now)

    async def _note_progress(self, now: int) -> None:
        # `stop_following` waits for this task: no write may come after the deletion of the row.
        row = self._follower_id, self._start_id, self._forgotten_until_us, now
        self._note_task = asyncio.create_task(put_follower(self._store, *row, has_hosts=self._has_cluster))
        await asyncio.shield(self._note_task)
        self._noted_at_us = now

    async def stop_following(self) -> None:
        """Delete this process's row, so that no erasure waits for it. The row of a gateway with a cluster
        stays: its hosts forget everything only some time after its end."""
        if self._note_task is not None:
            await asyncio.gather(self._note_task, return_exceptions=True)
            if not self._has_cluster:
                await _try_step("followers", lambda: remove_follower(self._store, self._follower_id))

    async def _follow(self, tombstone: Tombstone) -> None:
        is_forgotten = await self.forget(tombstone)
        if not await _try_step("files", lambda: self._remove_files(tombstone, is_late=True)):
            # A disk or a bucket that failed is not asked each second.
            again_at = asyncio.get_running_loop().time() + _RETRY_AFTER_S
            self._to_forget[tombstone.subject] = tombstone, again_at
        elif is_forgotten:
            self._to_forget.pop(tombstone.subject, None)

    async def _commit_tombstone(
        self, subject: str, account: str | None, act: Act | None, *, by_owner: bool = False
    ) -> Tombstone | None:
        """Write the journal, then the tombstone in one commit with the deletion. None: the record is gone, or
        another one needs it."""
        act_without_names = act and msgspec.structs.replace(act, details="{}")
        while True:
            recordings, now = await tombstones.list_recordings(self._store, subject), await self._store.now()
            tombstone = Tombstone(
                subject=subject,
                account=account or "",
                digests=tombstone_rows.digests_in(recordings),
                began=now,
                pending=_STEPS,
                lease=now + LEASE_S * SECOND_US,
            )
            await self._journal.write_down(tombstone)
            if await tombstone_rows.erase_subject(
                self._store, tombstone, act_without_names, recordings=recordings, by_owner=by_owner
            ):
                return tombstone
            # Try again if a recording was added meanwhile, since the tombstone must name it.
            if not await tombstones.list_recordings(self._store, subject) - recordings:
                break
        if tombstone_rows.may_be_needed(self._store, subject):
            # The erasure was refused, because something needs the record. A later start must not repeat it.
            await self._journal.write_down(tombstone, is_withdrawn=True)
        return None

    async def _finish_soon(self, tombstone: Tombstone) -> Tombstone:
        """Make the steps of an erasure, and return its newest state: after a while even if one is pending."""
        await asyncio.wait([self.start_held(tombstone)], timeout=_RECEIPT_WAIT_S)
        newest = await tombstones.get(self._store, tombstone.account, tombstone.subject)
        return newest or tombstone

    async def work(self, held: Tombstone) -> Result:
        due, pending = {*held.pending}, list[str]()
        for name, step in self._steps(held).items():
            # Late deletions leave old pages in the database again.
            is_again = name == "database" and bool((due & {"files", "recordings"}) - {*pending})
            work = partial(self._make_step, name, step, held.subject)
            if (name in due or is_again) and not await _try_step(name, work):
                pending.append(name)
        if pending:
            if (*pending,) != held.pending:
                _log.warning("erasure.finish.pending", pending=pending)
            return Delayed(after_s=_RETRY_AFTER_S, is_try=False, values={"pending": encode_json(pending)})
        return Done({"pending": "[]", "completed": await self._store.now()})

    def _steps(self, held: Tombstone) -> Mapping[str, _Step]:
        # After the first attempt, or by another server, the rows may be removed already.
        is_late = held.fence > 1 or self._store.is_shared
        return {
            "workers": lambda: self._forget_everywhere(held),
            # Again: a worker may have sent a recording to a host until it forgot it in the step before.
            "hosts": lambda: self._drop_samples(held),
            "files": lambda: self._remove_files(held, is_late=is_late),
            "recordings": lambda: self._vault.erase(held.account, held.digests),
            "database": self._store.forget_deleted,
            "providers": lambda: self.derived_data.wait_for_providers(held.subject),
        }

    def commit_condition(self, held: Tombstone) -> Condition:
        """A worker of an older version takes no lease, and may have completed the erasure meanwhile."""
        del held
        return _NOT_COMPLETE

    def after_attempt(self, held: Tombstone, result: Result) -> None:
        if isinstance(result, Done):
            _log.info("erasure.finish.complete")

    async def _make_step(self, name: str, step: _Step, subject: str) -> bool:
        return await step() is not False and not await tombstone_rows.has_remains(self._store, subject, name)

    async def _forget_everywhere(self, tombstone: Tombstone) -> bool:
        """Let every worker of this server forget, and wait a while for the other servers on this database."""
        if not self._store.is_shared:
            return await self._forget_in_workers(tombstone)
        committed = await exact_now(self._store)
        is_here, is_at_others = await asyncio.gather(
            self._forget_in_workers(tombstone), self._wait_for_other_servers(committed)
        )
        return is_here and is_at_others

    async def _wait_for_other_servers(self, committed: int) -> bool:
        """Wait until each server has forgotten what was erased up to this moment. False: not in time."""
        until = asyncio.get_running_loop().time() + _OTHER_SERVERS_WAIT_S
        while await has_followers_behind(self._store, self._start_id, committed):
            if asyncio.get_running_loop().time() > until:
                return False
            await asyncio.sleep(_OTHER_SERVERS_LOOK_EVERY_S)
        return True

    async def _remove_files(self, tombstone: Tombstone, *, is_late: bool) -> None:
        for files in self.derived_data.files:
            await files.remove_voice(tombstone.subject, is_late=is_late)

    async def _drop_samples(self, tombstone: Tombstone) -> None:
        if tombstone.digests:
            async with asyncio.timeout(_HOSTS_WAIT_S):
                await self.derived_data.drop(tombstone.digests)


@asynccontextmanager
async def open_erasure(
    store: Store,
    vault: Vault,
    data: Path,
    metrics: Metrics,
    link: ServerLink | None = None,
    erased: ErasedVoices | None = None,
    *,
    has_clusters: bool = False,
) -> AsyncIterator[Erasure]:
    """Replay the journal, and follow other servers until the end of the block."""
    start = link.machine if link else ""
    on_read = partial(link.tell_cluster, TombstonesRead()) if link and has_clusters else None
    erasure = Erasure(store, vault, data, link and link.spread_tombstone, erased, start, on_read)
    if vault.is_shared and start:
        await replay_once_a_start(data, start, erasure.replay_journal)
    else:
        await erasure.replay_journal()
    if erasure.replayed:
        _log.warning("erasure.replay.complete", replayed=erasure.replayed)

    async def follow_once() -> None:
        if store.is_shared:
            await erasure.follow_others()

    following = RepeatingTask("erasures of other servers", follow_once, _FOLLOW_EVERY_S, metrics)
    try:
        yield erasure
    finally:
        await following.aclose()
        await erasure.stop_following()


async def _try_step(step: str, work: _Step) -> bool:
    """Return whether a step is done. A failure is logged, and the caller tries again later."""
    try:
        return await work() is not False
    except (OSError, StorageFailed, EngineError) as error:
        _log.warning("erasure.step.failed", step=step, reason=str(error))
        return False
