"""The erasure of a voice, or of another record that has an owner.

The order: journal → tombstone, committed with the deletion of the rows → every worker and its engines forget,
and break the streams of that voice → hosts drop its samples once more → files → recordings → the database's
old pages → providers delete their clones → the receipt. A kill at any moment leaves the tombstone, or the
line of the journal, and the next start goes on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
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
"""How long a request waits for a complete receipt. The erasure goes on afterwards."""
_SILENCE_WAIT_S = 5.0
_DROP_WAIT_S = 7.0
_LOOK_EVERY_S = 5.0
_FOLLOW_EVERY_S = 1.0
_NOTE_EVERY_US = 5 * SECOND_US
"""How often a follower notes in the database that it is alive. During an erasure, each turn does."""
_OTHERS_WAIT_S = 6.0
_OTHERS_LOOK_EVERY_S = 0.25
_OVERLAP_US = 60 * SECOND_US
"""A tombstone is committed at most so long after its time `began`."""
_ABANDONED_US = 60 * SECOND_US
_NOT_COMPLETE = Condition("completed IS NULL", {})
_STEPS = ("workers", "hosts", "files", "recordings", "database", "providers")

_log = structlog.get_logger()

_Step = Callable[[], Awaitable[bool | None]]
"""A step of an erasure. It returns False if it is not done yet."""
Receipt = Tombstone
"""The progress of an erasure. Without `pending`, it is complete."""


class Erasure(TaskKind[Tombstone]):
    """The erasure of one worker. Each revision of the configuration sets `things`."""

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
        spread: ForgetEverywhere | None = None,
        erased: ErasedVoices | None = None,
        machine: str = "",
        on_read: Callable[[], None] | None = None,
    ) -> None:
        """`on_read` is called each time that the tombstones of others were read. Only a gateway with hosts
        elsewhere has it."""
        super().__init__(store)
        self._on_read = on_read
        self.things = DerivedData()
        self.erased = erased or ErasedVoices()
        self.replayed = 0
        self._vault = vault
        self.lines = ObjectJournal(vault, data) if vault.is_shared else None
        self._journal: ErasureJournal | ObjectJournal = self.lines or ErasureJournal(data)
        self._spread = spread or self.forget
        # Tombstones of others by subject, with the time of the loop at which each is tried again.
        self._followed: dict[str, tuple[Tombstone, float]] = {}
        self._id = new_id("flw")
        # The processes of one server share this, since they get erasures from their supervisor.
        self._life = machine or self._id
        self._seen_until = self._noted_at = 0
        self._noting: asyncio.Task[None] | None = None

    def reach(self, things: DerivedData) -> None:
        self.things = things

    def is_erased(self, voice_id: str) -> bool:
        return self.erased.is_erased(voice_id)

    async def erase_voice(
        self, record: OwnedRecord, act: Act | None = None, *, by_owner: bool = False
    ) -> Receipt:
        """Erase a voice: no request can use it when this returns. Raises NotFound if it is gone already."""
        receipt = await self.erase(record, act, by_owner=by_owner)
        if receipt is None:
            raise NotFound(f"The voice '{record.id}' does not exist.", param="voice", code="voice_not_found")
        return receipt

    async def erase(
        self, record: OwnedRecord, act: Act | None = None, *, by_owner: bool = False
    ) -> Receipt | None:
        """Erase a record with an owner. None: it is gone already, or another record needs it."""
        tombstone = await self._commit_tombstone(record.id, record.account, act, by_owner=by_owner)
        return None if tombstone is None else await self._receipt_soon(tombstone)

    async def erase_account(self, account: str) -> None:
        buried = []
        for id_ in await tombstone_rows.list_of_account(self._store, account):
            if (tombstone := await self._commit_tombstone(id_, account, None)) is not None:
                buried.append(tombstone)
        await asyncio.gather(*(self._receipt_soon(tombstone) for tombstone in buried))
        await self._vault.drop_account(account)

    async def receipt(self, account: str, subject: str) -> Receipt | None:
        return await tombstones.get(self._store, account, subject)

    async def forget(self, tombstone: Tombstone) -> bool:
        """Forget a voice in this worker and its engines. Every worker calls this.

        Return whether this worker has stopped using it and sends its recordings to no host.
        """
        self.erased.note_erased(tombstone.subject)
        for memory in self.things.memories:
            memory.forget_voice(tombstone.subject, tombstone.digests)
        is_dropped, is_silent = await asyncio.gather(
            _try_step("samples", lambda: self._drop_samples(tombstone)),
            self.erased.wait_until_silent(tombstone.subject, _SILENCE_WAIT_S),
        )
        return is_dropped and is_silent

    async def replay_journal(self) -> None:
        """Erase and count the journal's erasures that the database lacks. Call it before serving."""
        unknown = await self._journal.list_unknown(self._store)
        if any(not tombstone_rows.may_be_needed(self._store, line.subject) for line in unknown):
            # Nothing can refuse such an erasure, so the database that lacks it is older: it was restored,
            # perhaps by PostgreSQL's own tools. A kill in an erasure looks the same.
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
            self.replayed += await tombstone_rows.erase_subject(self._store, tombstone)

    async def sign_lines(self) -> None:
        """Sign the journal of a shared vault by the newest master key. Raises StorageFailed."""
        if self.lines is not None and (number := await self.lines.sign(self._store)):
            _log.info("erasure.journal.signed", number=number)

    async def list_unsigned(self) -> list[JournalLine]:
        """List the lines of the journal that count only once `accept_lines` has signed them."""
        return [] if self.lines is None else await self.lines.list_unsigned(self._store)

    async def accept_lines(self, lines: Iterable[JournalLine]) -> None:
        """Let unsigned lines of the journal count, and erase what they name."""
        if self.lines is not None:
            await self.lines.accept(lines)
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
        # On a shared database, a server of an older version works on new tombstones without a lease.
        before = now - _ABANDONED_US if self._store.is_shared else LAST_MOMENT
        # Tombstones of a newer version are left to it: it may have more steps.
        not_theirs = Condition(
            "(lease > 0 OR due > 0 OR began < :before) AND by_schema <= :known",
            {"before": before, "known": schema.known_version()},
        )
        return await self.table.list_open(self._store, now, 2 * self.most_at_once, not_theirs)

    async def follow_others(self) -> None:
        """Forget the erased records of other servers on this database, and record the progress."""
        now = await exact_now(self._store)
        # From the last position on, since the database may have been out of reach for long.
        recent = await tombstone_rows.list_since(self._store, (self._seen_until or now) - _OVERLAP_US)
        if self._on_read is not None:
            self._on_read()
        for tombstone in recent:
            if not self.erased.is_erased(tombstone.subject):
                self._followed.setdefault(tombstone.subject, (tombstone, 0.0))
        # Failed ones stay for a later turn.
        moment = asyncio.get_running_loop().time()
        due = [tombstone for tombstone, after in self._followed.values() if moment >= after]
        await asyncio.gather(*map(self._follow, due))
        if not self._followed:
            self._seen_until = now
        if now - self._noted_at >= _NOTE_EVERY_US or any(each.completed is None for each in recent):
            # Kept as a task, so that `stop_following` can wait for it: no write may come after the deletion.
            has_hosts = self._on_read is not None
            self._noting = asyncio.create_task(
                put_follower(self._store, self._id, self._life, self._seen_until, now, has_hosts=has_hosts)
            )
            await asyncio.shield(self._noting)
            self._noted_at = now

    async def stop_following(self) -> None:
        """Delete this process's row, so that no erasure waits for it. That of a gateway with hosts elsewhere
        stays: they have forgotten everything only some time after its end."""
        if self._noting is not None:
            await asyncio.gather(self._noting, return_exceptions=True)
            if self._on_read is None:
                await _try_step("followers", lambda: remove_follower(self._store, self._id))

    async def _follow(self, tombstone: Tombstone) -> None:
        is_forgotten = await self.forget(tombstone)
        if not await _try_step("files", lambda: self._remove_files(tombstone, is_late=True)):
            # A disk or a bucket that failed is not asked each second.
            again_at = asyncio.get_running_loop().time() + _LOOK_EVERY_S
            self._followed[tombstone.subject] = tombstone, again_at
        elif is_forgotten:
            self._followed.pop(tombstone.subject, None)

    async def _commit_tombstone(
        self, subject: str, account: str | None, act: Act | None, *, by_owner: bool = False
    ) -> Tombstone | None:
        """Write the journal, then the tombstone in one commit with the deletion. None: there is no record."""
        nameless = act and msgspec.structs.replace(act, details="{}")
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
                self._store, tombstone, nameless, recordings=recordings, by_owner=by_owner
            ):
                return tombstone
            # Try again if a recording was added meanwhile, since the tombstone must name it.
            if not await tombstones.list_recordings(self._store, subject) - recordings:
                break
        if tombstone_rows.may_be_needed(self._store, subject):
            # The erasure was refused, because something needs the record. A later start must not repeat it.
            await self._journal.write_down(tombstone, is_withdrawn=True)
        return None

    async def _receipt_soon(self, tombstone: Tombstone) -> Receipt:
        """Finish an erasure, and return the receipt: after a while even if it is incomplete."""
        await asyncio.wait([self.start_held(tombstone)], timeout=_RECEIPT_WAIT_S)
        found = await tombstones.get(self._store, tombstone.account, tombstone.subject)
        return found or tombstone

    async def work(self, held: Tombstone) -> Result:
        steps: dict[str, _Step] = {
            "workers": lambda: self._spread_everywhere(held),
            # Once more: since the step before, no worker sends the recording to a host.
            "hosts": lambda: self._drop_samples(held),
            # Another server may have removed the rows already.
            "files": lambda: self._remove_files(held, is_late=held.fence > 1 or self._store.is_shared),
            "recordings": lambda: self._vault.erase(held.account, held.digests),
            "database": self._store.forget_deleted,
            "providers": lambda: self.things.wait_for_providers(held.subject),
        }
        due, pending = {*held.pending}, list[str]()
        for name, step in steps.items():
            # Late deletions leave old pages in the database again.
            is_again = name == "database" and bool((due & {"files", "recordings"}) - {*pending})
            work = partial(self._run_step, name, step, held.subject)
            if (name in due or is_again) and not await _try_step(name, work):
                pending.append(name)
        if pending:
            if (*pending,) != held.pending:
                _log.warning("erasure.finish.pending", pending=pending)
            return Delayed(after_s=_LOOK_EVERY_S, is_try=False, values={"pending": encode_json(pending)})
        return Done({"pending": "[]", "completed": await self._store.now()})

    def commit_condition(self, held: Tombstone) -> Condition:
        """A worker of an older version takes no lease, and may have completed the erasure meanwhile."""
        del held
        return _NOT_COMPLETE

    def after_attempt(self, held: Tombstone, result: Result) -> None:
        if isinstance(result, Done):
            _log.info("erasure.finish.complete")

    async def _run_step(self, name: str, step: _Step, subject: str) -> bool:
        return await step() is not False and not await tombstone_rows.has_remains(self._store, subject, name)

    async def _spread_everywhere(self, tombstone: Tombstone) -> bool:
        """Let every worker of this server forget, and wait a while for the other servers on this database."""
        if not self._store.is_shared:
            return await self._spread(tombstone)
        committed = await exact_now(self._store)
        is_here, is_remote = await asyncio.gather(
            self._spread(tombstone), self._is_forgotten_remotely(committed)
        )
        return is_here and is_remote

    async def _is_forgotten_remotely(self, committed: int) -> bool:
        until = asyncio.get_running_loop().time() + _OTHERS_WAIT_S
        while await has_followers_behind(self._store, self._life, committed):
            if asyncio.get_running_loop().time() > until:
                return False
            await asyncio.sleep(_OTHERS_LOOK_EVERY_S)
        return True

    async def _remove_files(self, tombstone: Tombstone, *, is_late: bool) -> None:
        for files in self.things.files:
            await files.remove_voice(tombstone.subject, is_late=is_late)

    async def _drop_samples(self, tombstone: Tombstone) -> None:
        if tombstone.digests:
            async with asyncio.timeout(_DROP_WAIT_S):
                await self.things.drop(tombstone.digests)


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
    machine = link.machine if link else ""
    on_read = partial(link.tell_cluster, TombstonesRead()) if link and has_clusters else None
    erasure = Erasure(store, vault, data, link and link.spread_tombstone, erased, machine, on_read)
    if vault.is_shared and machine:
        await replay_once_a_start(data, machine, erasure.replay_journal)
    else:
        await erasure.replay_journal()
    if erasure.replayed:
        _log.warning("erasure.replay.complete", replayed=erasure.replayed)

    async def turn() -> None:
        if store.is_shared:
            await erasure.follow_others()

    following = RepeatingTask("erasures of other servers", turn, _FOLLOW_EVERY_S, metrics)
    try:
        yield erasure
    finally:
        await following.close()
        await erasure.stop_following()


async def _try_step(step: str, work: _Step) -> bool:
    try:
        return await work() is not False
    except (OSError, StorageFailed, EngineError) as error:
        _log.warning("erasure.step.failed", step=step, reason=str(error))
        return False
