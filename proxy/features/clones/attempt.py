"""One attempt to make or to delete a clone at a provider. The caller holds the lease of the clone's row."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
import structlog

from policies.plans import Terms
from proxy.catalogue.clones import CloneTarget
from proxy.engines.hosts.sample_source import SampleUnavailable
from proxy.engines.source import LiveEngine
from proxy.errors import RequestFailed, UpstreamFailed
from proxy.features.clones import records, rules
from proxy.features.clones.bills import CloneBills
from proxy.features.clones.recordings import CloneRecordings
from proxy.features.clones.records import CloneRecord
from proxy.features.webhooks.delivery_tasks import DeliveryTasks
from proxy.queue.tasks import Delayed, Done, Result, TaskFailed
from proxy.storage.store import Store
from speech_engine import (
    Clone,
    CloneList,
    CloneNameUsed,
    CloneRequest,
    ClonesListed,
    ContentRefused,
    DeleteVoice,
    EngineCannot,
    EngineError,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    Event,
    FindClone,
    ListClones,
    NoCloneRoom,
    UnusableSample,
    VoiceMade,
    VoiceNotFound,
    Work,
)

_QUEUE_S = 30.0
"""The longest wait for the credential's rate limit. The engine itself limits the time of its provider."""


class ProviderClones:
    """Requests about clones to one engine with one credential. Its methods raise EngineError.

    Each request waits for the credential's rate limit. It takes no slot of speech, and its outcome does not
    count for the circuit breaker.
    """

    def __init__(self, engine: LiveEngine, credential: str, tenant: str) -> None:
        self._engine = engine
        self._credential = credential
        self._tenant = tenant

    async def make_clone(self, request: CloneRequest) -> str:
        found = _made_voice(await self._collect_events(Clone, request=request))
        if found is None:
            raise EngineFailed("The engine made a voice without saying which one.")
        return found

    async def find_clone_id(self, name: str) -> str | None:
        """Return the id of the voice with this name. None: there certainly is none."""
        return _made_voice(await self._collect_events(FindClone, name=name))

    async def list_clones(self, prefix: str) -> CloneList:
        """List the voices whose names begin with `prefix`, and the slots that are left."""
        for event in await self._collect_events(ListClones, prefix=prefix):
            if isinstance(event, ClonesListed):
                return event.listed
        raise EngineFailed("The engine listed its voices without an answer.")

    async def delete_clone(self, voice: str) -> None:
        """Delete a voice. It is no error if the voice is not there."""
        try:
            await self._collect_events(DeleteVoice, voice=voice)
        except VoiceNotFound:
            return

    async def _collect_events(self, kind: Callable[..., Work], **more: object) -> list[Event]:
        stream = self._engine.open(
            kind(
                id=f"clone_{secrets.token_hex(8)}",
                tenant=self._tenant,
                deadline_s=_QUEUE_S,
                credential=self._credential,
                **more,
            )
        )
        events: list[Event] = []
        try:
            while (event := await stream.next_event()) is not None:
                events.append(event)
        finally:
            await stream.close()
        return events


def _made_voice(events: list[Event]) -> str | None:
    return next((event.id for event in events if isinstance(event, VoiceMade)), None)


_FINAL = (UnusableSample, ContentRefused, EngineCannot)
"""Errors of a recording or an engine. Another try would fail in the same way."""
_IN_DOUBT = (EngineTimeout, EngineFailed)
"""After these the provider may still be making the clone."""
_GAVE_WAY = "Another voice has its slot at the provider."
_STILL_THERE = "The provider still has a clone that it has deleted."
_UNKNOWN = "Nobody can tell whether the provider has made it. Ask the operator to look for it."

_NOT_NAMED = Done({"state": "wanted"})
"""The result if the request's name could not be written. If the voice was erased, the next attempt deletes
the clone."""

_log = structlog.get_logger()


class CloneAttempt:
    """An attempt at one target. The names of this database's clones begin with `prefix`.

    `terms` are the present terms of the account. `fee_micro_usd` is the provider's fee for one clone.
    """

    def __init__(
        self,
        store: Store,
        engine: LiveEngine,
        target: CloneTarget,
        prefix: str,
        bills: CloneBills,
        terms: Terms | None,
        fee_micro_usd: int | None,
        notices: DeliveryTasks,
    ) -> None:
        self._store = store
        self._engine = engine
        self._target = target
        self._prefix = prefix
        self._bills = bills
        self.terms = terms
        self._fee_micro_usd = fee_micro_usd
        self._notices = notices
        self._has_name = False

    async def run_making(self, clone: CloneRecord, recordings: CloneRecordings, within_s: float) -> Result:
        """Make a clone. A failure is retried later, or ends the task with an error for the clone's owner."""
        return await self._run_within(within_s, self._make(clone, recordings), clone)

    async def run_deletion(self, clone: CloneRecord, within_s: float) -> Result:
        """Delete the provider's copy, then the row. A failure is retried for ever."""
        return await self._run_within(within_s, self._delete(clone), clone)

    async def _run_within(self, within_s: float, work: Awaitable[Result], clone: CloneRecord) -> Result:
        try:
            async with asyncio.timeout(within_s):
                return await work
        except TimeoutError:
            return await self._after_failure(clone, EngineTimeout("The provider did not answer in time."))
        except SampleUnavailable:
            return await self._after_failure(clone, EngineUnavailable("The recording cannot be read now."))
        except EngineError as error:
            return await self._after_failure(clone, error)
        except UpstreamFailed as error:
            return await self._after_failure(clone, EngineUnavailable(error.message))
        except RequestFailed as error:
            return TaskFailed(error.message)

    async def _make(self, clone: CloneRecord, recordings: CloneRecordings) -> Result:
        request = await recordings.build_request(clone, self._target, self.terms)
        provider = self._provider(clone)
        if request is None:
            # The voice was erased while the clone was ordered. The next attempt deletes the clone.
            await records.mark_for_deletion(self._store, clone)
            return None
        voice = await self._find_existing(provider, clone) if clone.name else None
        if voice is None:
            await self._find_room(provider, clone)
            if not self._target.info.is_local:
                await self._bills.reserve(clone, self.terms)
            named_clone = clone if clone.name else await self._write_new_name(clone)
            if named_clone is None:
                return _NOT_NAMED
            try:
                voice = await provider.make_clone(msgspec.structs.replace(request, name=named_clone.name))
            except CloneNameUsed:
                named_clone = await self._write_new_name(named_clone)
                if named_clone is None:
                    return _NOT_NAMED
                voice = await provider.make_clone(msgspec.structs.replace(request, name=named_clone.name))
            clone = named_clone
        return await self._store_clone(clone, voice)

    async def _find_existing(self, provider: ProviderClones, clone: CloneRecord) -> str | None:
        try:
            return await provider.find_clone_id(clone.name)
        except EngineCannot:
            raise EngineCannot(_UNKNOWN) from None

    async def _write_new_name(self, clone: CloneRecord) -> CloneRecord | None:
        """Commit a new name for the request to the provider. None: the voice is erased, or the lease lost."""
        named_clone = await records.write_request_name(
            self._store, clone, f"{self._prefix}{secrets.token_hex(10)}"
        )
        self._has_name = named_clone is not None
        return named_clone

    async def _find_room(self, provider: ProviderClones, clone: CloneRecord) -> None:
        """Make sure that there is a slot for one more clone: if needed, delete the clone that was idle for
        longest. Raises NoCloneRoom."""
        try:
            listed = await provider.list_clones(self._prefix)
        except EngineCannot:
            return
        if listed.slots_left is None and listed.additions_left is None:
            return
        rows = await records.list_of_place(self._store, clone.engine, clone.credential)
        ready = {row.id: row for row in rows if row.state == "ready"}
        used = {record.id: record.used or record.made or 0 for record in ready.values()}
        now = await self._store.now()
        gives_way, refusal = rules.choose_slot(listed.slots_left, listed.additions_left, used, now)
        if refusal:
            raise NoCloneRoom(refusal)
        if gives_way is not None:
            if not await records.give_up_slot(self._store, gives_way, _GAVE_WAY):
                raise NoCloneRoom("The slot that was to be free is not free any more.")
            await provider.delete_clone(ready[gives_way].engine_voice)
            _log.info("clone.slot.given", engine=clone.engine, credential=clone.credential)

    async def _store_clone(self, clone: CloneRecord, voice: str) -> Result:
        now = await self._store.now()
        expires = rules.expires_at(now, self._target.info.unused_clone_s)
        await self._settle_bill(clone)
        outcome = await records.store_clone(self._store, clone, voice, expires, self._notices)
        _log.info("clone.make.complete", engine=clone.engine, binding=clone.id, outcome=outcome)
        if outcome == "doomed":
            return await self._delete(msgspec.structs.replace(clone, state="doomed", engine_voice=voice))
        return None  # the row is written already

    async def _settle_bill(self, clone: CloneRecord) -> None:
        """Charge for a clone before it is stored. After a kill in between, the next attempt finds the clone,
        and does not charge it again."""
        if not self._target.info.is_local:
            await self._bills.settle(clone, self.terms, self._fee_micro_usd)

    async def _delete(self, clone: CloneRecord) -> Result:
        provider = self._provider(clone)
        voice = clone.engine_voice or await self._find_unrecorded(provider, clone)
        deleted = set[str]()
        # A request whose answer was lost may have made another voice of this name, so all of them are
        # deleted.
        while voice:
            await provider.delete_clone(voice)
            deleted.add(voice)
            voice = None
            with suppress(EngineCannot):
                voice = await provider.find_clone_id(clone.name)
            if voice in deleted:
                raise EngineFailed(_STILL_THERE)
        await self._bills.release(clone)
        await records.delete_row(self._store, clone)
        self._bills.ended_clones.labels(clone.engine, "deleted").inc()
        _log.info("clone.delete.complete", engine=clone.engine, binding=clone.id)
        return None

    async def _find_unrecorded(self, provider: ProviderClones, clone: CloneRecord) -> str | None:
        """Find a clone whose answer was lost. Charge it and write its id, then return the id."""
        voice = await self._find_existing(provider, clone) if clone.name else None
        if voice is not None:
            await self._settle_bill(clone)
            await records.store_clone(self._store, clone, voice, None)
        return voice

    async def _after_failure(self, clone: CloneRecord, error: EngineError) -> Result:
        _log.warning("clone.try.failed", engine=clone.engine, binding=clone.id, reason=error.reason)
        is_deleting, is_final = clone.state == "doomed", isinstance(error, _FINAL)
        if is_final and not is_deleting:
            return TaskFailed(error.message)
        if is_final:
            # It is unknown whether the provider has made a clone, so nothing is charged.
            await self._bills.release(clone)
        # The provider may still be making the clone. Until the lease ends, no worker asks for it: the answer
        # could be that there is none.
        is_in_doubt = not is_deleting and (clone.name or self._has_name) and isinstance(error, _IN_DOUBT)
        return Delayed(error.message, error.retry_after_s or 0.0, keeps_lease=bool(is_in_doubt))

    def _provider(self, clone: CloneRecord) -> ProviderClones:
        return ProviderClones(self._engine, clone.credential, clone.account)
