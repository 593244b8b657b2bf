"""One attempt to make or to delete a clone at a provider, by the holder of its row's lease."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
import structlog

from policies.plans import Terms
from proxy.catalogue.clones import CloneTarget
from proxy.engines.engine_list import LiveEngine
from proxy.engines.hosts.sample_source import SampleUnavailable
from proxy.errors import RequestFailed, UpstreamFailed
from proxy.features.clones import records, rules
from proxy.features.clones.bills import CloneBills
from proxy.features.clones.recordings import CloneRecordings
from proxy.features.clones.records import CloneRecord
from proxy.features.webhooks.delivery_tasks import DeliveryTasks
from proxy.queue.tasks import Delayed, Done, Failed, Result
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
"""The longest wait for the pace. The engine has its own limits for what its provider does."""


class ProviderClones:
    """The clones of one engine under one credential. Its methods raise EngineError.

    Each request waits for its key's rate limit. It takes no slot of speech, and its outcome does not count
    for the breaker.
    """

    def __init__(self, engine: LiveEngine, credential: str, tenant: str) -> None:
        self._engine = engine
        self._credential = credential
        self._tenant = tenant

    async def make(self, request: CloneRequest) -> str:
        found = _voice_in(await self._events(Clone, request=request))
        if found is None:
            raise EngineFailed("The engine made a voice without saying which one.")
        return found

    async def find_clone_id(self, name: str) -> str | None:
        """Return the id of the voice of this name, or None if there surely is none."""
        return _voice_in(await self._events(FindClone, name=name))

    async def list_(self, prefix: str) -> CloneList:
        """List the voices whose names begin like this, and the room that is left."""
        for event in await self._events(ListClones, prefix=prefix):
            if isinstance(event, ClonesListed):
                return event.listed
        raise EngineFailed("The engine listed its voices without an answer.")

    async def delete(self, voice: str) -> None:
        """Delete a voice. One that is gone already is as good."""
        try:
            await self._events(DeleteVoice, voice=voice)
        except VoiceNotFound:
            return

    async def _events(self, kind: Callable[..., Work], **more: object) -> list[Event]:
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


def _voice_in(events: list[Event]) -> str | None:
    return next((event.id for event in events if isinstance(event, VoiceMade)), None)


_FINAL = (UnusableSample, ContentRefused, EngineCannot)
"""Errors of a recording or an engine. Another try would end alike."""
_IN_DOUBT = (EngineTimeout, EngineFailed)
"""After these the provider may still be making the clone."""
_GAVE_WAY = "Another voice has its slot at the provider."
_STILL_THERE = "The provider still has a clone that it has deleted."
_UNKNOWN = "Nobody can tell whether the provider has made it. Ask the operator to look for it."

_NOT_NAMED = Done({"state": "wanted"})
"""A row that is to be deleted is leased at once."""

_log = structlog.get_logger()


class CloneAttempt:
    """An attempt at one place. `prefix` begins the names of this database's clones.

    `terms` are those of the account now, and `fee` is what the provider takes.
    """

    def __init__(
        self,
        store: Store,
        engine: LiveEngine,
        place: CloneTarget,
        prefix: str,
        bills: CloneBills,
        terms: Terms | None,
        fee: int | None,
        notices: DeliveryTasks,
    ) -> None:
        self._store = store
        self._engine = engine
        self._place = place
        self._prefix = prefix
        self._bills = bills
        self.terms = terms
        self._fee = fee
        self._notices = notices
        self._has_name = False

    async def make(self, held: CloneRecord, recordings: CloneRecordings, within_s: float) -> Result:
        """Make a clone. A failure is retried later, or ends with an error that the clone's owner can read."""
        return await self._within(within_s, self._make(held, recordings, within_s), held)

    async def delete(self, held: CloneRecord, within_s: float) -> Result:
        """Delete the provider's copy, then the row. A failure is retried without end."""
        return await self._within(within_s, self._delete(held), held)

    async def _within(self, within_s: float, work: Awaitable[Result], held: CloneRecord) -> Result:
        try:
            async with asyncio.timeout(within_s):
                return await work
        except TimeoutError:
            return await self._failed(held, EngineTimeout("The provider did not answer in time."))
        except SampleUnavailable:
            return await self._failed(held, EngineUnavailable("The recording cannot be read now."))
        except EngineError as error:
            return await self._failed(held, error)
        except UpstreamFailed as error:
            return await self._failed(held, EngineUnavailable(error.message))
        except RequestFailed as error:
            return Failed(error.message)

    async def _make(self, held: CloneRecord, recordings: CloneRecordings, within_s: float) -> Result:
        request, clones = await recordings.request(held, self._place, self.terms), self._clones(held)
        if request is None:
            # The task and the tombstone were committed at the same time.
            await records.doom(self._store, held)
            return await self.delete(held, within_s)
        voice = await self._settle(clones, held) if held.name else None
        if voice is None:
            await self._find_room(clones, held)
            if not self._place.info.is_local:
                await self._bills.reserve(held, self.terms)
            named = held if held.name else await self._named(held)
            if named is None:
                return _NOT_NAMED
            try:
                voice = await clones.make(msgspec.structs.replace(request, name=named.name))
            except CloneNameUsed:
                named = await self._named(named)
                if named is None:
                    return _NOT_NAMED
                voice = await clones.make(msgspec.structs.replace(request, name=named.name))
            held = named
        return await self._keep(held, voice)

    async def _settle(self, clones: ProviderClones, held: CloneRecord) -> str | None:
        try:
            return await clones.find_clone_id(held.name)
        except EngineCannot:
            raise EngineCannot(_UNKNOWN) from None

    async def _named(self, held: CloneRecord) -> CloneRecord | None:
        """Commit the name that the provider gets. None: the voice is erased, or the lease lost."""
        named = await records.begin(self._store, held, f"{self._prefix}{secrets.token_hex(10)}")
        self._has_name = named is not None
        return named

    async def _find_room(self, clones: ProviderClones, held: CloneRecord) -> None:
        """Raise NoCloneRoom unless there is room for one more clone, and make room where that is right."""
        try:
            listed = await clones.list_(self._prefix)
        except EngineCannot:
            return
        if listed.slots_left is None and listed.additions_left is None:
            return
        rows = await records.list_of_place(self._store, held.engine, held.credential)
        ready = {row.id: row for row in rows if row.state == "ready"}
        used = {record.id: record.used or record.made or 0 for record in ready.values()}
        now = await self._store.now()
        gives_way, refusal = rules.choose_slot(listed.slots_left, listed.additions_left, used, now)
        if refusal:
            raise NoCloneRoom(refusal)
        if gives_way is not None:
            if not await records.give_way(self._store, gives_way, _GAVE_WAY):
                raise NoCloneRoom("The slot that was to be free is not free any more.")
            await clones.delete(ready[gives_way].engine_voice)
            _log.info("clone.slot.given", engine=held.engine, credential=held.credential)

    async def _keep(self, held: CloneRecord, voice: str) -> Result:
        now = await self._store.now()
        expires = rules.expires_at(now, self._place.info.unused_clone_s)
        await self._settle_bill(held)
        outcome = await records.keep(self._store, held, voice, expires, self._notices)
        _log.info("clone.make.complete", engine=held.engine, binding=held.id, outcome=outcome)
        if outcome == "doomed":
            return await self._delete(msgspec.structs.replace(held, state="doomed", engine_voice=voice))
        return None

    async def _settle_bill(self, held: CloneRecord) -> None:
        """Charge before the clone is stored. After a kill in between, the clone is found, and charged
        once."""
        if not self._place.info.is_local:
            await self._bills.settle(held, self.terms, self._fee)

    async def _delete(self, held: CloneRecord) -> Result:
        clones = self._clones(held)
        voice = held.engine_voice or await self._made_in_doubt(clones, held)
        deleted = set[str]()
        # A request whose answer was lost may have made another voice of this name, so all of them go.
        while voice:
            await clones.delete(voice)
            deleted.add(voice)
            voice = None
            with suppress(EngineCannot):
                voice = await clones.find_clone_id(held.name)
            if voice in deleted:
                raise EngineFailed(_STILL_THERE)
        await self._bills.release(held)
        await records.remove(self._store, held)
        self._bills.ended.labels(held.engine, "deleted").inc()
        _log.info("clone.delete.complete", engine=held.engine, binding=held.id)
        return None

    async def _made_in_doubt(self, clones: ProviderClones, held: CloneRecord) -> str | None:
        """Return a clone whose answer was lost, and book its fee."""
        voice = await self._settle(clones, held) if held.name else None
        if voice is not None:
            await self._settle_bill(held)
            await records.keep(self._store, held, voice, None)
        return voice

    async def _failed(self, held: CloneRecord, error: EngineError) -> Result:
        _log.warning("clone.try.failed", engine=held.engine, binding=held.id, reason=error.reason)
        is_deleting, is_final = held.state == "doomed", isinstance(error, _FINAL)
        if is_final and not is_deleting:
            return Failed(error.message)
        if is_final:
            # Whether there is a clone is unknown, and nothing is charged for a doubt.
            await self._bills.release(held)
        # Until the lease ends no worker asks again, nor believes that there is nothing to delete.
        is_in_doubt = not is_deleting and (held.name or self._has_name) and isinstance(error, _IN_DOUBT)
        return Delayed(error.message, error.retry_after_s or 0.0, keeps_lease=bool(is_in_doubt))

    def _clones(self, held: CloneRecord) -> ProviderClones:
        return ProviderClones(self._engine, held.credential, held.account)
