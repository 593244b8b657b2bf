"""Make voices of recordings and of other voices, change them, and delete them.

For a voice of a recording, everything is checked, the recording goes into the vault, and one unit of work
adds the voice with its sample and its clone tasks. A kill before that leaves a sealed file that no row names,
and the vault removes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET

from policies.plans import Terms
from proxy.audio.recordings.intake import AcceptedRecording, RecordingIntake
from proxy.catalogue.clones import Cloning
from proxy.catalogue.erasing import Erasing
from proxy.catalogue.known_voices import voice_not_found
from proxy.catalogue.voice_records import DESCRIPTION_FIELDS, Kind, VoiceRecord
from proxy.config.config_toml import voices_to_bind
from proxy.errors import Conflict, InvalidRequest
from proxy.features.consents.grants import Grant, Grants
from proxy.features.consents.hearings import Hearings
from proxy.features.own_voices import records
from proxy.features.own_voices.bodies import (
    ChangedVoice,
    DescribedVoice,
    NewVoice,
    VoiceForm,
    weights_of,
)
from proxy.features.own_voices.library_writer import LibraryWriter, name_taken, no_room
from proxy.features.own_voices.sample_words import MOST_S, can_wait
from proxy.features.own_voices.seals import open_voice, seal_voice
from proxy.file_store.vault import Vault
from proxy.storage import tombstones, trained_models
from proxy.storage.audit import Act
from proxy.storage.rows import new_id
from proxy.storage.samples import SampleRecord
from proxy.storage.store import ALWAYS, AlreadyExists, Condition, Statement
from proxy.storage.trained_model import TrainedModel

R = TypeVar("R")

_TRIES = 3


class Beginning(NamedTuple):
    """The origin of a voice: an operator's act, or a key of its account, which pays for clones,
    whose usage has the `tag`.

    With an Idempotency-Key it has an `id`, and `request`, the digest of the request.
    """

    act: Act | None = None
    payer: str = ""
    id: str = ""
    request: str = ""
    tag: str = ""


class VoiceCreation:
    def __init__(
        self,
        vault: Vault,
        library_writer: LibraryWriter,
        intake: RecordingIntake,
        grants: Grants,
        erasing: Erasing,
        clones: Cloning,
        hearings: Hearings,
    ) -> None:
        self._hearings = hearings
        self._store = library_writer.store
        self._vault, self._intake = vault, intake
        self._library_writer = library_writer
        self.grants = grants
        self._erasing = erasing
        self._clones = clones

    async def make(
        self, account: str, new: VoiceForm, audio: bytes, terms: Terms, beginning: Beginning
    ) -> VoiceRecord:
        """Make a voice of a recording.

        Raises InvalidRequest for an unusable recording, NotFound for the consent, Conflict if the name is
        taken, NotAllowed if the plan has no room or the comparison refuses, and QuotaExceeded.
        """
        await self._check(account, new.name, terms.voices)
        places = self._clones.find_targets(new.engines)
        if beginning.payer:
            await self._clones.check_bill(account, terms, places)
        grant = await self._grant(account, new.consent, terms)
        writer, words = self._library_writer, new.ref_text
        waits = await can_wait(self._hearings, writer, account, words, new.language)
        rights = writer.rights_of(words, terms, grant, awaits_words=waits)
        async with self._intake.accept_upload(account, audio, "audio_sample") as accepted:
            if waits and accepted.seconds > MOST_S:
                waits, rights = False, writer.rights_of(words, terms, grant)
            self._clones.check_targets(places, [accepted.seconds], rights)
            record = await self._record(
                account,
                "sample",
                new,
                beginning,
                quality=accepted.quality.rating,
                consent=None if grant is None else grant.id,
                compared=await self.grants.compare(account, accepted, grant),
                texts=(words,),
                recognised=waits or UNSET,
            )
            statements = self._clones.statements(record, places, beginning.payer, beginning.tag)
            if waits:
                there, tag = records.was_made(record.id), record.language or ""
                statements = [*statements, *self._hearings.queue_statements(record.id, account, tag, there)]
            made = await self._keep(record, accepted, terms.voices, beginning.act, statements)
        if places:
            self._clones.begin_clones(made)
        self._hearings.look_now()
        return made

    async def _keep(
        self,
        record: VoiceRecord,
        accepted: AcceptedRecording,
        most: int | None,
        act: Act | None,
        statements: Sequence[Statement],
    ) -> VoiceRecord:
        account = record.account
        assert account is not None

        async def add(digest: str) -> VoiceRecord | None:
            sample = SampleRecord(
                voice=record.id,
                number=0,
                account=account,
                digest=digest,
                seconds=accepted.seconds,
                quality=accepted.quality_json,
            )
            return await self._add(record, most, act, sample, statements)

        async def explain() -> None:
            await self._check(account, record.name, most)
            if record.consent is not None:
                await self.grants.find_grant(account, record.consent, "consent")

        return await keep_recording(self._vault, account, accepted.master, add, explain)

    async def check_model(
        self, account: str | None, new: DescribedVoice, consent: str | None, terms: Terms | None
    ) -> str | None:
        """Check a voice of a trained model before its file is read. Return its consent.

        Raises the errors of `make`.
        """
        await self._check(account, new.name, None if terms is None else terms.voices)
        if account is None or terms is None:
            return None
        grant = await self._grant(account, consent, terms)
        return None if grant is None else grant.id

    async def make_of_model(
        self,
        account: str | None,
        new: DescribedVoice,
        consent: str | None,
        most: int | None,
        beginning: Beginning,
        put: Callable[[str], Awaitable[TrainedModel]],
    ) -> VoiceRecord:
        """Make a voice of a model, which `put` seals for the voice's id. Without an account, it belongs to
        all accounts. Raises the errors of `make`."""
        kind: Kind = "catalogue" if account is None else "sample"
        record = await self._record(account, kind, new, beginning, consent=consent)
        for _ in range(_TRIES):
            model, made = await put(record.id), None
            try:
                statement = trained_models.insert_statement(model)
                made = await self._add(record, most, beginning.act, None, [statement], model.digest)
            finally:
                if made is None:
                    await self._vault.drop(model.account, [model.digest])
            if made is not None:
                return made
            await self._check(account, record.name, most)
            if account is not None and consent is not None:
                await self.grants.find_grant(account, consent, "consent")
        raise Conflict("The account is being changed by others; send it again.")

    async def compose(
        self, account: str | None, new: NewVoice, beginning: Beginning, most: int | None = None
    ) -> VoiceRecord:
        """Save a cast or a mix of voices. Without an account, it belongs to all accounts.

        Raises InvalidRequest for a bad name or member, Conflict if the name is taken, and NotAllowed if the
        plan has no room for one more.
        """
        if new.mix is not None:
            weights = weights_of(new.mix)
            await self._check(account, new.name, most)
            mix = await self._library_writer.resolve_mix(account, weights)
            record = await self._record(account, "mix", new, beginning, mix=mix)
        else:
            assert new.cast is not None
            self._library_writer.check_name(new.name)
            await self._library_writer.check_cast(account, new.cast)
            # The rest says how one person sounds, and these are several.
            found_by = DescribedVoice(name=new.name, description=new.description, tags=new.tags)
            record = await self._record(account, "cast", found_by, beginning, members=new.cast)
        made = await self._add(record, most, beginning.act)
        if made is None:
            raise no_room(most) if most is not None else Conflict("The account is closed.", param="account")
        return made

    async def bind(
        self, new: NewVoice, bindings: Mapping[str, str], beginning: Beginning
    ) -> tuple[VoiceRecord, list[str]]:
        """Save a name for voices of engines, for all accounts, and return the doubts.

        Raises InvalidRequest for an unknown engine or voice, and Conflict if the name is taken.
        """
        await self._check(None, new.name, None)
        unsure = await self._library_writer.check_bindings(bindings)
        usual = voices_to_bind().get(new.name, {})
        lacking = {name: value for name, value in usual.items() if not getattr(new, name)}
        described = msgspec.structs.replace(new, **lacking)
        record = await self._record(None, "catalogue", described, beginning, members=bindings)
        made = await self._add(record, None, beginning.act)
        assert made is not None, "nothing bounds the operator's voices"
        return made, unsure

    async def _record(
        self, account: str | None, kind: Kind, new: DescribedVoice, beginning: Beginning, **made: Any
    ) -> VoiceRecord:
        act = beginning.act
        return VoiceRecord(
            id=act.subject if act else beginning.id or new_id("voice"),
            account=account,
            kind=kind,
            revision=1,
            created=act.at if act else await self._store.now(),
            request=beginning.request,
            **{name: getattr(new, name) for name in DESCRIPTION_FIELDS},
            **made,
        )

    async def change(
        self, record: VoiceRecord, change: ChangedVoice, terms: Terms, payer: str, tag: str = ""
    ) -> VoiceRecord:
        """Change a voice, an opened record, and have it cloned if the change says so.

        Raises the errors of making it, and Conflict on simultaneous changes. If the voice now sounds
        otherwise, its cached speech is dropped.
        """
        weights = None if change.mix is UNSET else weights_of(change.mix)
        engines = () if change.engines is UNSET else change.engines
        places = await self._clones.check_saved(record, engines, terms)
        account = record.account
        assert account is not None, "an operator's voices are not changed"
        await self._clones.check_bill(account, terms, places, record.id)
        for kind in ("cast", "mix"):
            if getattr(change, kind) is not UNSET and record.kind != kind:
                raise InvalidRequest(f"Invalid value for '{kind}': the voice is no {kind}.", param=kind)
        if change.name is not UNSET:
            self._library_writer.check_name(change.name)
        changes = {
            name: value for name in DESCRIPTION_FIELDS if (value := getattr(change, name)) is not UNSET
        }
        # An empty language or gender takes it away.
        changes |= {name: None for name in ("language", "gender") if not changes.get(name, True)}
        if change.cast is not UNSET:
            await self._library_writer.check_cast(account, change.cast)
            changes["members"] = change.cast
        if weights is not None:
            changes["mix"] = await self._library_writer.resolve_mix(account, weights)
        updated = await self._change(record, changes)
        # A provider takes its fee again for a clone that it had deleted, and so does the plan.
        is_paid = terms.prices.clone.micro > 0
        await self._clones.order(updated, places, payer=payer, tag=tag, pays_again=is_paid)
        return updated

    async def _change(self, record: VoiceRecord, changes: Mapping[str, Any]) -> VoiceRecord:
        for _ in range(_TRIES):
            changed = _changed(record, changes)
            row = await seal_voice(self._vault, changed) if record.is_sealed else changed
            try:
                done = await self._library_writer.update(record, row, changed.name)
            except AlreadyExists:
                raise name_taken(changed.name) from None
            if done is not None:
                return open_voice(self._vault, done)
            newer = await self._library_writer.find_voice(record.account, record.id)
            if newer is None:
                raise voice_not_found(record.id)
            record = newer
        raise Conflict("The voice is being changed by others; read it again.")

    async def delete(self, record: VoiceRecord, act: Act | None = None) -> None:
        """Delete a voice, and erase its recordings, models and derived data. Raises NotFound."""
        if record.is_sealed or await tombstones.list_recordings(self._store, record.id):
            await self._erasing.erase_voice(record, act, by_owner=act is None)
            self._library_writer.library.forget(record.account)
        else:
            await self._library_writer.delete_voice(record, act)

    async def _add(
        self,
        record: VoiceRecord,
        most: int | None,
        act: Act | None,
        sample: SampleRecord | None = None,
        statements: Iterable[Statement] = (),
        needed: str | None = None,
    ) -> VoiceRecord | None:
        """Add a voice with the rows beside it. `needed` is the digest of its model, if it has one."""
        is_plain = record.account is None or record.kind == "cast"
        row = record if is_plain else await seal_voice(self._vault, record)
        beside = [] if sample is None else [records.insert_sample(sample)]
        beside += statements
        other_name = (
            await self._library_writer.name_digest(record.account, record.name) if is_plain else record.name
        )
        digest = needed if sample is None else sample.digest
        try:
            made = await records.add(
                self._store,
                row,
                other_name=other_name,
                most=most,
                digest=None if record.account is None else digest,
                beside=beside,
                only_if=needs_of(row, self.grants),
                act=act,
            )
        except AlreadyExists:
            raise name_taken(record.name) from None
        if made is None:
            return None
        self._library_writer.library.forget(record.account)
        return open_voice(self._vault, made)

    async def _check(self, account: str | None, name: str, most: int | None) -> None:
        """Fail early, before anything costs. The unit that adds the voice decides."""
        self._library_writer.check_name(name)
        if account is not None and most is not None and await records.count(self._store, account) >= most:
            raise no_room(most)
        if await self._library_writer.library.find_record(account, name) is not None:
            raise name_taken(name)

    async def _grant(self, account: str, id_: str | None, terms: Terms) -> Grant | None:
        if id_ is not None:
            return await self.grants.find_grant(account, id_, "consent")
        if terms.consent == "required":
            raise InvalidRequest(
                "Missing required parameter: 'consent'. The speaker has to agree that a voice is made of "
                "their speech: POST /v1/audio/voice_consents gives the id of a consent.",
                param="consent",
                code="consent_required",
            )
        return None


async def keep_recording(
    vault: Vault,
    account: str,
    master: bytes,
    add: Callable[[str], Awaitable[R | None]],
    explain: Callable[[], Awaitable[None]],
) -> R:
    """Put a recording into the vault, and add the row with its digest. If the row is not added, `explain`
    raises the reason, if it knows it."""
    for _ in range(_TRIES):
        # The recording may be that of a voice which is erased at this moment. Then it is put again.
        digest = await vault.put(account, master)
        try:
            made = await add(digest)
        except BaseException:
            await vault.drop(account, [digest])
            raise
        if made is not None:
            return made
        await vault.drop(account, [digest])
        await explain()
    raise Conflict("The account is being changed by others; send it again.")


def needs_of(row: VoiceRecord, grants: Grants) -> Condition:
    """Return the condition of adding a recording to a voice: its consent exists."""
    if row.account is None or row.consent is None:
        return ALWAYS
    return grants.is_there(row.account, row.consent)


def _changed(record: VoiceRecord, changes: Mapping[str, Any]) -> VoiceRecord:
    """Return the changed record. Its revision rises if the voice sounds otherwise."""
    changed = msgspec.structs.replace(record, **changes)
    sound = [(each.language, each.members, each.mix) for each in (record, changed)]
    return changed if sound[0] == sound[1] else msgspec.structs.replace(changed, revision=record.revision + 1)
