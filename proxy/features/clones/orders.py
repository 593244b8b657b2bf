"""Orders of clones, by owners and operators: everything is checked before anything is made."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from policies.plans import Terms
from policies.routing import Binding
from proxy.catalogue.clones import ENGINES_FIELD, CloneRights, CloneTarget
from proxy.catalogue.own_voices import SavedClone
from proxy.catalogue.voice_records import VoiceRecord
from proxy.errors import Conflict, InvalidRequest
from proxy.features.clones import records
from proxy.features.clones.clone_tasks import CloneTasks
from proxy.features.clones.recordings import check_seconds
from proxy.features.clones.records import CloneRecord, CloneTask
from proxy.features.clones.rules import State
from proxy.features.consents.grants import Grants, receivers
from proxy.storage import samples
from proxy.storage.audit import Act
from proxy.storage.store import Statement, Store
from speech_engine import EngineVoice

_OBSTACLES: Mapping[State, str] = {
    "wanted": "it is being made there",
    "making": "it is being made there",
    "stranded": "the account that has it is not configured",
}


class CloneOrders:
    """The orders of one worker. A command without a server has no `clone_tasks`, and makes none."""

    def __init__(self, store: Store, grants: Grants, clone_tasks: CloneTasks | None = None) -> None:
        self._store = store
        self._grants = grants
        self._clone_tasks = clone_tasks

    @property
    def clone_tasks(self) -> CloneTasks:
        """Return the maker. Raises Conflict without a server."""
        if self._clone_tasks is None:
            raise Conflict("Only a running server makes clones; start it first.", param=ENGINES_FIELD)
        return self._clone_tasks

    def find_targets(self, engines: Iterable[str], credential: str = "") -> list[CloneTarget]:
        """Return where to clone. Raises InvalidRequest, and UpstreamFailed while an engine is starting."""
        return [self.clone_tasks.places.clone_target(engine, credential) for engine in dict.fromkeys(engines)]

    def check_targets(
        self, places: Iterable[CloneTarget], seconds: Sequence[float], rights: CloneRights
    ) -> None:
        """Refuse places that may not have the recordings, or could not use them.

        Raises NotAllowed and InvalidRequest.
        """
        for place in places:
            rights.check_rights_at(place)
            check_seconds(place, seconds)

    async def check_bill(
        self, account: str, terms: Terms, places: Iterable[CloneTarget], voice: str | None = None
    ) -> None:
        """Refuse clones that an account cannot pay for. What a saved `voice` has already costs nothing.

        Raises NotAllowed and QuotaExceeded.
        """
        billed = {(place.engine, place.credential) for place in places if not place.info.is_local}
        if voice is not None and billed:
            rows = (await records.list_of_voices(self._store, [voice])).get(voice, [])
            billed -= {(row.engine, row.credential) for row in rows if row.state not in ("failed", "expired")}
        if billed:
            await self.clone_tasks.bills.check_clone_count(account, terms, len(billed))

    async def check_saved(
        self, record: VoiceRecord, engines: Iterable[str], terms: Terms | None, *, credential: str = ""
    ) -> list[CloneTarget]:
        """Return where to clone a saved voice, after the same checks. An operator's voice has no `terms`."""
        places = self.find_targets(engines, credential)
        if places and (record.kind != "sample" or terms is None):
            raise InvalidRequest("Only a voice of a recording can be cloned.", param=ENGINES_FIELD)
        if places and terms is not None:
            recordings = await samples.list_original(self._store, record.id)
            if not recordings:
                raise InvalidRequest("Only a voice of a recording can be cloned.", param=ENGINES_FIELD)
            grant = await self._grants.get(record.account or "", record.consent)
            rights = CloneRights.under(terms, receivers(record.consent, grant))
            self.check_targets(places, [each.seconds for each in recordings], rights)
        return places

    async def order(
        self,
        record: VoiceRecord,
        places: Iterable[CloneTarget],
        *,
        payer: str = "",
        tag: str = "",
        pays_again: bool = False,
        act: Act | None = None,
    ) -> list[CloneRecord]:
        """Have a voice cloned at places that were checked. Raises NotFound if it is gone.

        `payer` is the key whose account pays. Without one, it is the operator's order.
        """
        tasks = tasks_of(record, places, payer, tag)
        return [await self.clone_tasks.want(task, act, pays_again=pays_again) for task in tasks]

    def statements(
        self, record: VoiceRecord, places: Iterable[CloneTarget], payer: str, tag: str = ""
    ) -> Sequence[Statement]:
        """Return the clone tasks for the commit of their voice. They do nothing without the voice."""
        return [records.want_statement(task) for task in tasks_of(record, places, payer, tag)]

    async def of_voices(self, voices: Collection[str]) -> Mapping[str, Sequence[SavedClone]]:
        found = await records.list_of_voices(self._store, voices)
        return {voice: [_saved(row) for row in rows] for voice, rows in found.items()}

    async def is_clone(self, engine: str, voice: str) -> bool:
        return await records.is_clone(self._store, engine, voice)

    def begin_clones(self, record: VoiceRecord) -> None:
        self.clone_tasks.begin_account_clones(record.account or "")


def _saved(clone: CloneRecord) -> SavedClone:
    """Return a clone for its owner and, if it speaks without help, for routing."""
    obstacle = "" if clone.state == "ready" else _OBSTACLES.get(clone.state)
    binding = None
    if obstacle is not None:
        voice = EngineVoice(clone.engine_voice or clone.name)
        binding = Binding(clone.engine, voice, clone.credential, obstacle)
    return SavedClone(clone.engine, clone.state, clone.error, binding)


def tasks_of(
    record: VoiceRecord, places: Iterable[CloneTarget], payer: str, tag: str = ""
) -> list[CloneTask]:
    """Return the clone tasks of a voice for checked places. A clone of our own engine is free."""
    return [
        CloneTask(
            voice=record.id,
            account=record.account or "",
            revision=record.revision,
            engine=place.engine,
            credential=place.credential,
            payer="" if place.info.is_local else payer,
            tag=tag,
        )
        for place in places
    ]
