"""Orders of clones, by owners of voices and by operators. Everything is checked before a clone is made."""

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
from proxy.features.consents.grants import Grants, permitted_providers
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
    """Takes the orders of clones in one worker. A command without a server has no `clone_tasks`, and takes
    none."""

    def __init__(self, store: Store, grants: Grants, clone_tasks: CloneTasks | None = None) -> None:
        self._store = store
        self._grants = grants
        self._clone_tasks = clone_tasks

    @property
    def clone_tasks(self) -> CloneTasks:
        """Return the tasks that make clones. Raises Conflict without a server."""
        if self._clone_tasks is None:
            raise Conflict("Only a running server makes clones; start it first.", param=ENGINES_FIELD)
        return self._clone_tasks

    def find_targets(self, engines: Iterable[str], credential: str = "") -> list[CloneTarget]:
        """Return where to clone. Raises InvalidRequest, and UpstreamFailed while an engine is starting."""
        return [self.clone_tasks.targets.find_target(engine, credential) for engine in dict.fromkeys(engines)]

    def check_targets(
        self, targets: Iterable[CloneTarget], seconds: Sequence[float], rights: CloneRights
    ) -> None:
        """Raise NotAllowed for a target that may not have the recordings, and InvalidRequest for one that
        cannot use them."""
        for target in targets:
            rights.check_rights_at(target)
            check_seconds(target, seconds)

    async def check_bill(
        self, account: str, terms: Terms, targets: Iterable[CloneTarget], voice: str | None = None
    ) -> None:
        """Raise NotAllowed or QuotaExceeded for clones that an account cannot pay for. Clones that the saved
        `voice` has already cost nothing."""
        billed = {(target.engine, target.credential) for target in targets if not target.info.is_local}
        if voice is not None and billed:
            rows = (await records.list_of_voices(self._store, [voice])).get(voice, [])
            billed -= {(row.engine, row.credential) for row in rows if row.state not in ("failed", "expired")}
        if billed:
            await self.clone_tasks.bills.check_clone_count(account, terms, len(billed))

    async def check_saved(
        self, record: VoiceRecord, engines: Iterable[str], terms: Terms | None, *, credential: str = ""
    ) -> list[CloneTarget]:
        """Check the targets for a saved voice, and return them. An operator's voice has no `terms`."""
        targets = self.find_targets(engines, credential)
        if targets and (record.kind != "sample" or terms is None):
            raise InvalidRequest("Only a voice of a recording can be cloned.", param=ENGINES_FIELD)
        if targets and terms is not None:
            recordings = await samples.list_original(self._store, record.id)
            if not recordings:
                raise InvalidRequest("Only a voice of a recording can be cloned.", param=ENGINES_FIELD)
            grant = await self._grants.find_grant_of(record.account or "", record.consent, ENGINES_FIELD)
            rights = CloneRights.under(terms, permitted_providers(record.consent, grant))
            self.check_targets(targets, [each.seconds for each in recordings], rights)
        return targets

    async def order(
        self,
        record: VoiceRecord,
        targets: Iterable[CloneTarget],
        *,
        payer: str = "",
        tag: str = "",
        pays_again: bool = False,
        act: Act | None = None,
    ) -> list[CloneRecord]:
        """Order clones of a voice at targets that were checked. Raises NotFound if the voice is gone.

        `payer` is the id of the API key whose account pays. Without it, the operator pays.
        With `pays_again`, a clone that the provider has deleted is made anew, even for a fee.
        """
        tasks = clone_tasks_for(record, targets, payer, tag)
        return [await self.clone_tasks.order_clone(task, act, pays_again=pays_again) for task in tasks]

    def statements(
        self, record: VoiceRecord, targets: Iterable[CloneTarget], payer: str, tag: str = ""
    ) -> Sequence[Statement]:
        """Return the clone tasks for the commit of their voice. They do nothing without the voice."""
        return [records.insert_task_statement(task) for task in clone_tasks_for(record, targets, payer, tag)]

    async def of_voices(self, voices: Collection[str]) -> Mapping[str, Sequence[SavedClone]]:
        found = await records.list_of_voices(self._store, voices)
        return {voice: [_saved_clone(row) for row in rows] for voice, rows in found.items()}

    async def is_clone(self, engine: str, voice: str) -> bool:
        return await records.is_clone(self._store, engine, voice)

    def begin_clones(self, record: VoiceRecord) -> None:
        self.clone_tasks.begin_account_clones(record.account or "")


def _saved_clone(clone: CloneRecord) -> SavedClone:
    """Return a clone for its owner. It has a binding for routing if it speaks, or will speak without a new
    order."""
    # "": it speaks now. None: it cannot speak without a new order.
    obstacle = "" if clone.state == "ready" else _OBSTACLES.get(clone.state)
    binding = None
    if obstacle is not None:
        # A clone that is not made yet has no id there. Its name stands for it, and no call uses it.
        voice = EngineVoice(clone.engine_voice or clone.name)
        binding = Binding(clone.engine, voice, clone.credential, obstacle)
    return SavedClone(clone.engine, clone.state, clone.error, binding)


def clone_tasks_for(
    record: VoiceRecord, targets: Iterable[CloneTarget], payer: str, tag: str = ""
) -> list[CloneTask]:
    """Return the clone tasks of a voice for checked targets. A clone on a local engine is free."""
    return [
        CloneTask(
            voice=record.id,
            account=record.account or "",
            revision=record.revision,
            engine=target.engine,
            credential=target.credential,
            payer="" if target.info.is_local else payer,
            tag=tag,
        )
        for target in targets
    ]
