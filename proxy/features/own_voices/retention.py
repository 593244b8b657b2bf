"""Notes the day on which each voice last spoke, and erases voices that were unused for longer than their plan
allows.

It also erases the voices of closed accounts: the server may have been killed while it closed an account.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import cache, partial

import structlog

from policies.plans import Plan
from policies.routing import Voice
from proxy.catalogue.erasing import Erasing
from proxy.catalogue.voice_records import DAY_US
from proxy.errors import NotFound
from proxy.features.own_voices import records
from proxy.speech.call import OpenObserver, SpeechCall
from proxy.speech.observer import Observer
from proxy.speech.planning import SpeechPlan
from proxy.speech.speech_request import SpeechRequest
from proxy.storage import accounts
from proxy.storage.disk_names import UnsafeName
from proxy.storage.rows import NEWEST, PagePlace
from proxy.storage.store import StorageFailed, Store
from proxy.storage.tables import Tables, whole_tables
from proxy.telemetry.background import RepeatingTask, repeat
from proxy.telemetry.metrics import Metrics

ERASE_EVERY_S = 86_400.0
_NOTE_EVERY_S = 60.0
_BATCH = 100

_log = structlog.get_logger()


class VoiceUse:
    """The ids of voices that spoke since the last write. The observers of requests add to them. A task writes
    each voice once a day."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ids: set[str] = set()
        # Ids of voices with the beginning of the day that is written for them.
        self._noted: set[tuple[str, int]] = set()

    def opener(self, _request: SpeechRequest, plan: SpeechPlan) -> OpenObserver | None:
        return partial(_VoiceUseObserver, self) if plan.own_voices else None

    def note_voice(self, voice: Voice) -> None:
        """Note a voice that just spoke, if it was recorded, trained or mixed: other voices are never
        erased."""
        if voice.samples or voice.trained or voice.mix:
            self._ids.update((voice.id, *(id_ for id_, _ in voice.mix)))

    async def write_uses(self) -> None:
        if not self._ids:
            return
        ids: set[str] = set()
        try:
            # Read the time before the ids are taken: if this fails, the next call writes them.
            now = await self._store.now()
            ids, self._ids = self._ids, set()
            day = now - now % DAY_US
            new = [id_ for id_ in ids if (id_, day) not in self._noted]
            await records.note_voices_used(self._store, new, day)
        except (StorageFailed, asyncio.CancelledError):
            self._ids |= ids
            raise
        noted_today = {(id_, noted_day) for id_, noted_day in self._noted if noted_day == day}
        self._noted = noted_today | {(id_, day) for id_ in new}


@asynccontextmanager
async def open_voice_use(store: Store, metrics: Metrics) -> AsyncIterator[VoiceUse]:
    use = VoiceUse(store)
    noting = RepeatingTask("note of voices that spoke", use.write_uses, _NOTE_EVERY_S, metrics)
    try:
        yield use
    finally:
        await noting.aclose()
        with suppress(StorageFailed):
            await use.write_uses()


class Retention:
    """Erases voices that were unused for longer than their plan allows, and the voices of closed accounts.

    Each revision of the configuration sets `plans`, the plans in force.
    """

    def __init__(self, store: Store, plans: Mapping[str, Plan], erasing: Erasing, metrics: Metrics) -> None:
        self.plans = plans
        self._store = store
        self._erasing = erasing
        self._metrics = metrics

    async def run(self) -> None:
        async def erase() -> None:
            await erase_unused(self._store, self.plans, self._erasing)

        await repeat("erasure of unused voices", erase, ERASE_EVERY_S, self._metrics, tidies=True)


async def erase_unused(store: Store, plans: Mapping[str, Plan], erasing: Erasing) -> int:
    """Erase the voices of closed accounts, and unused voices of other accounts. Return the number of the
    unused ones."""
    for account_id in await list_closed_owners(store):
        try:
            await erasing.erase_account(account_id)
        except UnsafeName as unsafe:  # one row must not delay the others
            _log.warning("voice.retention.unsafe", reason=str(unsafe))
    days_of = {name: days for name, plan in plans.items() if (days := plan.voices_unused_days) is not None}
    erased, place = 0, NEWEST
    while days_of and (page := await accounts.list_page(store, place, _BATCH)):
        for account in page:
            # A suspended account cannot use its voices, so their days count from its resumption.
            is_in_use = account.closed is None and account.suspended is None
            if is_in_use and account.plan in days_of:
                before = await store.now() - days_of[account.plan] * DAY_US
                if account.resumed <= before:
                    erased += await _erase_unused_of(store, account.id, before, erasing)
        place = PagePlace(page[-1].created, page[-1].id)
    if erased:
        _log.info("voice.retention.complete", voices=erased)
    return erased


async def _erase_unused_of(store: Store, account: str, before: int, erasing: Erasing) -> int:
    erased = 0
    while batch := await records.list_unused(store, account, before, _BATCH):
        for record in batch:
            with suppress(NotFound):  # its owner has deleted it
                await erasing.erase_voice(record)
                erased += 1
    return erased


class _VoiceUseObserver(Observer):
    """Observes an answer that speaks with saved voices."""

    def __init__(self, use: VoiceUse, call: SpeechCall) -> None:
        self._use = use
        self._call = call

    def end(self, error: BaseException | None) -> None:
        """Note the use even if the client left: the answer is charged."""
        if self._call.totals.samples:
            for part in self._call.plan.parts:
                for voice in part.named_voices:
                    self._use.note_voice(voice)


@cache
def _closed_owners(tables: Tables) -> str:
    # The key of a closed account is deleted last.
    owning = (*(table.name for table in whole_tables(tables)), "account_keys")
    has_one = " OR ".join(f"EXISTS (SELECT 1 FROM {name} WHERE account = accounts.id)" for name in owning)
    return f"SELECT id FROM accounts WHERE closed IS NOT NULL AND ({has_one}) ORDER BY id"


async def list_closed_owners(store: Store) -> list[str]:
    """List the closed accounts that still have rows to erase."""
    return [row["id"] for row in await store.read_long(_closed_owners(store.tables))]
