"""One attempt to make or to delete a clone at a provider, by the holder of its row's lease."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Mapping

import msgspec
import structlog

from policies import bindings as rules
from policies.bindings import SECOND, SlotHolder
from policies.plans import Plan
from proxy.config.model_names import CLONE
from proxy.engines.engine_list import LiveEngine
from proxy.engines.sample_source import SampleUnavailable
from proxy.errors import RequestFailed, UpstreamFailed
from proxy.storage import binding_lists, bindings
from proxy.storage.bindings import BindingRecord
from proxy.storage.costs import Cost
from proxy.storage.store import Store
from proxy.voices.clone_places import ClonePlace
from proxy.voices.clone_recordings import CloneRecordings, VoiceGone
from proxy.voices.provider_clones import ProviderClones
from speech_engine import (
    CloneNameUsed,
    CloneRequest,
    ContentRefused,
    EngineCannot,
    EngineError,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    NoCloneRoom,
    UnusableSample,
)

_FINAL = (UnusableSample, ContentRefused, EngineCannot)
"""Errors of a recording or an engine. Another try would end alike."""
_IN_DOUBT = (EngineTimeout, EngineFailed)
"""After these the provider may still be making what it was asked for."""
_GAVE_WAY = "Another voice has its slot at the provider."
_STILL_THERE = "The provider still has a clone that it has deleted."
_UNKNOWN = "Nobody can tell whether the provider has made it. Ask the operator to look for it."

_log = structlog.get_logger()


class CloneAttempt:
    """An attempt at one place. `prefix` begins the names of this database's clones. `fee` is their price."""

    def __init__(
        self, store: Store, engine: LiveEngine, place: ClonePlace, prefix: str, fee: int | None
    ) -> None:
        self._store = store
        self._engine = engine
        self._place = place
        self._prefix = prefix
        self._fee = fee

    def __repr__(self) -> str:
        return f"<CloneAttempt at {self._place.engine}, {self._place.credential}>"

    async def make(
        self,
        held: BindingRecord,
        recordings: CloneRecordings,
        plans: Mapping[str, Plan],
        within_s: float,
    ) -> None:
        """Make a clone. What fails is tried later, or gives up with an error that its owner can read."""
        try:
            request = await recordings.request(held, self._place, plans)
        except VoiceGone:
            # The wish and the tombstone were committed side by side.
            await bindings.doom(self._store, held)
            await self.delete(held, within_s)
            return
        except UpstreamFailed as error:
            await self._failed(held, EngineUnavailable(error.message))
            return
        except RequestFailed as error:
            await self._give_up(held, error.message)
            return
        except SampleUnavailable:
            await self._failed(held, EngineUnavailable("The recording cannot be read now."))
            return
        except EngineError as error:
            await self._failed(held, error)
            return
        await self._within(within_s, self._make(held, request), held)

    async def delete(self, held: BindingRecord, within_s: float) -> None:
        """Delete the provider's copy of a doomed clone, then its row. What fails is tried again, for ever."""
        await self._within(within_s, self._delete(held), held)

    async def _within(self, within_s: float, work: Awaitable[None], held: BindingRecord) -> None:
        try:
            async with asyncio.timeout(within_s):
                await work
        except TimeoutError:
            await self._failed(held, EngineTimeout("The provider did not answer in time."))
        except EngineError as error:
            await self._failed(held, error)

    async def _make(self, held: BindingRecord, request: CloneRequest) -> None:
        clones = self._clones(held)
        voice = await self._settle(clones, held) if held.name else None
        if voice is None:
            await self._find_room(clones, held)
            named = held if held.name else await self._named(held)
            if named is None:
                return
            try:
                voice = await clones.make(msgspec.structs.replace(request, name=named.name))
            except CloneNameUsed:
                named = await self._named(named)
                if named is None:
                    return
                voice = await clones.make(msgspec.structs.replace(request, name=named.name))
            held = named
        await self._keep(held, voice)

    async def _settle(self, clones: ProviderClones, held: BindingRecord) -> str | None:
        """Find out whether an earlier request has made the clone."""
        try:
            return await clones.find(held.name)
        except EngineCannot:
            raise EngineCannot(_UNKNOWN) from None

    async def _named(self, held: BindingRecord) -> BindingRecord | None:
        """Commit the name for which the provider is asked. None: the voice is erased, or the lease lost."""
        named = await bindings.begin(self._store, held, f"{self._prefix}{secrets.token_hex(10)}")
        if named is None:
            # A doomed row is taken up at once, to be deleted.
            await bindings.move(self._store, held, "wanted")
        return named

    async def _find_room(self, clones: ProviderClones, held: BindingRecord) -> None:
        """Raise NoCloneRoom unless there is room for one more clone, and make room where that is right."""
        try:
            listed = await clones.list_(self._prefix)
        except EngineCannot:
            return
        if listed.slots_left is None and listed.additions_left is None:
            return
        records = await binding_lists.list_of_place(self._store, held.engine, held.credential)
        ready = {record.id: record for record in records if record.state == "ready"}
        holders = [SlotHolder(record.id, record.used or record.made or 0) for record in ready.values()]
        now = await self._store.now()
        choice = rules.choose_slot(listed.slots_left, listed.additions_left, holders, now)
        if not choice.may_clone:
            raise NoCloneRoom(choice.reason)
        if choice.gives_way is not None:
            if not await bindings.give_way(self._store, choice.gives_way, _GAVE_WAY):
                raise NoCloneRoom("The slot that was to be free is not free any more.")
            await clones.delete(ready[choice.gives_way].engine_voice)
            _log.info("clone.slot.given", engine=held.engine, credential=held.credential)

    async def _keep(self, held: BindingRecord, voice: str) -> None:
        now = await self._store.now()
        expires = rules.expires_at(now, self._place.info.unused_clone_s)
        outcome = await bindings.keep(self._store, held, voice, expires, self._cost(held, now))
        _log.info("clone.make.complete", engine=held.engine, binding=held.id, outcome=outcome)
        if outcome == "doomed":
            await self._delete(msgspec.structs.replace(held, state="doomed", engine_voice=voice))

    def _cost(self, held: BindingRecord, now: int) -> Cost | None:
        if self._fee is None:
            return None
        return Cost(
            request=held.name,  # A provider takes its fee once for each name, whoever learns of it.
            attempt=1,
            account=held.account,
            at=now,
            engine=held.engine,
            model=CLONE,
            characters=0,
            audio_ms=0,
            units=None,
            micro_usd=self._fee,
        )

    async def _delete(self, held: BindingRecord) -> None:
        clones = self._clones(held)
        voice = held.engine_voice or await self._made_in_doubt(clones, held)
        deleted = set[str]()
        # A request whose answer was lost may have made another voice of this name, so all of them go.
        while voice:
            await clones.delete(voice)
            deleted.add(voice)
            voice = await self._find_another(clones, held)
            if voice in deleted:
                raise EngineFailed(_STILL_THERE)
        await bindings.remove(self._store, held)
        _log.info("clone.delete.complete", engine=held.engine, binding=held.id)

    async def _made_in_doubt(self, clones: ProviderClones, held: BindingRecord) -> str | None:
        """Return a clone whose answer was lost, and book its fee."""
        voice = await self._settle(clones, held) if held.name else None
        if voice is not None:
            await bindings.keep(self._store, held, voice, None, self._cost(held, await self._store.now()))
        return voice

    async def _find_another(self, clones: ProviderClones, held: BindingRecord) -> str | None:
        try:
            return await clones.find(held.name)
        except EngineCannot:
            return None

    async def _failed(self, held: BindingRecord, error: EngineError) -> None:
        """Put a row off until the next try, or give up."""
        # Since it was taken, the row may have been named, or doomed.
        found = await bindings.get(self._store, held.id)
        if found is None or found.fence != held.fence:
            return
        _log.warning("clone.try.failed", engine=held.engine, binding=held.id, reason=error.reason)
        is_doomed, is_final = found.state == "doomed", isinstance(error, _FINAL)
        # Until the lease ends nobody asks again, nor believes that there is nothing to delete.
        is_in_doubt = held.state != "doomed" and bool(found.name) and isinstance(error, _IN_DOUBT)
        keeps_lease = is_in_doubt and not is_final
        if not is_doomed and (is_final or rules.gives_up(found)):
            await self._give_up(found, error.message, keeps_lease=keeps_lease)
            return
        tries = found.tries + 1
        wait_s = rules.delay_s(tries, error.retry_after_s)
        await bindings.move(
            self._store,
            found,
            found.state,
            due=await self._store.now() + round(wait_s * SECOND),
            tries=tries,
            error=error.message,
            keeps_lease=keeps_lease,
        )

    async def _give_up(self, held: BindingRecord, reason: str, *, keeps_lease: bool = False) -> None:
        await bindings.move(
            self._store, held, "failed", tries=held.tries, error=reason, keeps_lease=keeps_lease
        )

    def _clones(self, held: BindingRecord) -> ProviderClones:
        return ProviderClones(self._engine, held.credential, held.account)
