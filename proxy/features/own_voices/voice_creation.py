"""Make voices of recordings, of trained models and of other voices, change them, and delete them.

For a voice of a recording, everything is checked, the recording goes into the vault, and one commit adds the
voice with its sample and its clone tasks. A kill before this commit leaves a sealed file that no row names:
the vault deletes it later.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from policies.plans import Terms
from policies.sample_quality import PART_S
from proxy.audio.recordings.intake import AcceptedRecording, RecordingIntake
from proxy.catalogue.clones import Cloning
from proxy.catalogue.erasing import Erasing
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
    normalized_weights,
)
from proxy.features.own_voices.library_writer import LibraryWriter, name_taken, too_many_voices
from proxy.features.own_voices.recording_storage import TRIES, consent_condition, store_recording
from proxy.features.own_voices.sample_words import MOST_TRANSCRIBED_S, may_hear_words
from proxy.features.own_voices.seals import open_voice, seal_voice
from proxy.features.voice_list.known_voices import voice_not_found
from proxy.file_store.vault import Vault
from proxy.storage import tombstones, trained_models
from proxy.storage.audit import Act
from proxy.storage.rows import new_id
from proxy.storage.sample_record import SampleRecord
from proxy.storage.store import AlreadyExists, Statement
from proxy.storage.trained_model import TrainedModel


class VoiceOrigin(NamedTuple):
    """The request that makes a voice or a recording. An operator's has an `act`. A caller's has `payer`, the
    id of the API key that pays for clones, and `tag`, which marks their usage.

    With an Idempotency-Key, the new voice or recording gets `id`, and its row stores `request_digest`.
    """

    act: Act | None = None
    payer: str = ""
    id: str = ""
    request_digest: str = ""
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

    async def create_from_recording(
        self, account: str, new: VoiceForm, audio: bytes, terms: Terms, origin: VoiceOrigin
    ) -> VoiceRecord:
        """Make a voice of a recording.

        Raises InvalidRequest for an unusable recording, NotFound for the consent, Conflict if the name is
        taken, NotAllowed if the plan has no room or the comparison refuses, and QuotaExceeded.
        """
        await self._check_name_and_room(account, new.name, terms.voices)
        targets = self._clones.find_targets(new.engines)
        if origin.payer:
            await self._clones.check_bill(account, terms, targets)
        grant = await self._find_grant(account, new.consent, terms)
        writer, words = self._library_writer, new.ref_text
        may_hear = await may_hear_words(self._hearings, writer, account, new.language)
        awaits_words = may_hear and not words
        rights = writer.clone_rights(words, terms, grant, awaits_words=awaits_words)
        async with self._intake.accept_upload(account, audio, "audio_sample") as accepted:
            if awaits_words and accepted.seconds > MOST_TRANSCRIBED_S:
                awaits_words, rights = False, writer.clone_rights(words, terms, grant)
            self._clones.check_targets(targets, [accepted.seconds], rights)
            record = await self._new_record(
                account,
                "sample",
                new,
                origin,
                quality=accepted.quality.rating,
                consent=None if grant is None else grant.id,
                compared=await self.grants.compare(account, accepted, grant),
                texts=(words,),
                recognised=awaits_words or UNSET,
            )
            statements = self._clones.statements(record, targets, origin.payer, origin.tag)
            if awaits_words or (may_hear and PART_S < accepted.seconds <= MOST_TRANSCRIBED_S):
                was_added, language = records.voice_was_added(record.id), record.language or ""
                hearing = self._hearings.queue_statements(record.id, account, language, was_added)
                statements = [*statements, *hearing]
            added = await self._store_recording(record, accepted, terms.voices, origin.act, statements)
        if targets:
            self._clones.begin_clones(added)
        self._hearings.look_now()
        return added

    async def _store_recording(
        self,
        record: VoiceRecord,
        accepted: AcceptedRecording,
        most_voices: int | None,
        act: Act | None,
        statements: Sequence[Statement],
    ) -> VoiceRecord:
        account = record.account
        assert account is not None

        async def add_row(digest: str) -> VoiceRecord | None:
            sample = SampleRecord(
                voice=record.id,
                number=0,
                account=account,
                digest=digest,
                seconds=accepted.seconds,
                quality=accepted.quality_json,
            )
            return await self._add_voice(record, most_voices, act, sample, statements)

        async def raise_reason() -> None:
            await self._check_name_and_room(account, record.name, most_voices)
            if record.consent is not None:
                await self.grants.find_grant(account, record.consent, "consent")

        return await store_recording(self._vault, account, accepted.master, add_row, raise_reason)

    async def check_model_voice(
        self, account: str | None, new: DescribedVoice, consent: str | None, terms: Terms | None
    ) -> str | None:
        """Check a new voice of a trained model before the model's file is read. Return the id of its consent.

        Raises the errors of `create_from_recording`.
        """
        await self._check_name_and_room(account, new.name, None if terms is None else terms.voices)
        if account is None or terms is None:
            return None
        grant = await self._find_grant(account, consent, terms)
        return None if grant is None else grant.id

    async def create_from_model(
        self,
        account: str | None,
        new: DescribedVoice,
        consent: str | None,
        most_voices: int | None,
        origin: VoiceOrigin,
        seal_model: Callable[[str], Awaitable[TrainedModel]],
    ) -> VoiceRecord:
        """Make a voice of a trained model. `seal_model` stores the model's file for the id of the new voice.
        Without an account, all accounts have the voice. Raises the errors of `create_from_recording`."""
        kind: Kind = "catalogue" if account is None else "sample"
        record = await self._new_record(account, kind, new, origin, consent=consent)
        for _ in range(TRIES):
            model, added = await seal_model(record.id), None
            try:
                statement = trained_models.insert_statement(model)
                added = await self._add_voice(
                    record, most_voices, origin.act, None, [statement], model.digest
                )
            finally:
                if added is None:
                    await self._vault.drop(model.account, [model.digest])
            if added is not None:
                return added
            await self._check_name_and_room(account, record.name, most_voices)
            if account is not None and consent is not None:
                await self.grants.find_grant(account, consent, "consent")
        raise Conflict("The account is being changed by others; send it again.")

    async def create_cast_or_mix(
        self, account: str | None, new: NewVoice, origin: VoiceOrigin, most_voices: int | None = None
    ) -> VoiceRecord:
        """Save a cast or a mix of voices. Without an account, all accounts have it.

        Raises InvalidRequest for a bad name or member, Conflict if the name is taken, and NotAllowed if the
        plan has no room for one more.
        """
        if new.mix is not None:
            weights = normalized_weights(new.mix)
            await self._check_name_and_room(account, new.name, most_voices)
            mix = await self._library_writer.resolve_mix(account, weights)
            record = await self._new_record(account, "mix", new, origin, mix=mix)
        else:
            assert new.cast is not None
            self._library_writer.check_name(new.name)
            await self._library_writer.check_cast(account, new.cast)
            # Language, gender and labels describe one speaker. A cast has several.
            described = DescribedVoice(name=new.name, description=new.description, tags=new.tags)
            record = await self._new_record(account, "cast", described, origin, members=new.cast)
        added = await self._add_voice(record, most_voices, origin.act)
        if added is None:
            raise (
                too_many_voices(most_voices)
                if most_voices is not None
                else Conflict("The account is closed.", param="account")
            )
        return added

    async def create_binding(
        self, new: NewVoice, bindings: Mapping[str, str], origin: VoiceOrigin
    ) -> tuple[VoiceRecord, list[str]]:
        """Save a name for voices of engines, for all accounts. Return its record, and a warning for each
        voice that could not be checked.

        Raises InvalidRequest for an unknown engine or voice, and Conflict if the name is taken.
        """
        await self._check_name_and_room(None, new.name, None)
        warnings = await self._library_writer.check_bindings(bindings)
        defaults = voices_to_bind().get(new.name, {})
        missing = {name: value for name, value in defaults.items() if not getattr(new, name)}
        described = msgspec.structs.replace(new, **missing)
        record = await self._new_record(None, "catalogue", described, origin, members=bindings)
        added = await self._add_voice(record, None, origin.act)
        assert added is not None, "nothing bounds the operator's voices"
        return added, warnings

    async def _new_record(
        self, account: str | None, kind: Kind, new: DescribedVoice, origin: VoiceOrigin, **columns: Any
    ) -> VoiceRecord:
        act = origin.act
        return VoiceRecord(
            id=act.subject if act else origin.id or new_id("voice"),
            account=account,
            kind=kind,
            revision=1,
            created=act.at if act else await self._store.now(),
            request=origin.request_digest,
            **{name: getattr(new, name) for name in DESCRIPTION_FIELDS},
            **columns,
        )

    async def change(
        self, record: VoiceRecord, change: ChangedVoice, terms: Terms, payer: str, tag: str = ""
    ) -> VoiceRecord:
        """Change a voice, whose record is opened. Clone it at the engines that the change names.

        Raises the errors of its creation, and Conflict on simultaneous changes. If the change affects the
        sound, the voice's cached speech is dropped.
        """
        weights = None if change.mix is UNSET else normalized_weights(change.mix)
        engines = () if change.engines is UNSET else change.engines
        targets = await self._clones.check_saved(record, engines, terms)
        account = record.account
        assert account is not None, "an operator's voices are not changed"
        await self._clones.check_bill(account, terms, targets, record.id)
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
        updated = await self._write_change(record, changes)
        # A provider charges again for a clone that it had deleted, and so does the plan.
        has_price = terms.prices.clone.micro > 0
        await self._clones.order(updated, targets, payer=payer, tag=tag, pays_again=has_price)
        return updated

    async def _write_change(self, record: VoiceRecord, changes: Mapping[str, Any]) -> VoiceRecord:
        for _ in range(TRIES):
            changed = _changed(record, changes)
            row = await seal_voice(self._vault, changed) if record.is_sealed else changed
            try:
                done = await self._library_writer.update_voice(record, row, changed.name)
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

    async def _add_voice(
        self,
        record: VoiceRecord,
        most_voices: int | None,
        act: Act | None,
        sample: SampleRecord | None = None,
        statements: Iterable[Statement] = (),
        model_digest: str | None = None,
    ) -> VoiceRecord | None:
        """Add a voice, with its sample and `statements` in the same commit. None: it was not added, see
        `records.add_voice`."""
        is_plain = record.account is None or record.kind == "cast"
        row = record if is_plain else await seal_voice(self._vault, record)
        with_statements = [] if sample is None else [records.sample_statement(sample)]
        with_statements += statements
        # The name in the form that the row does not have: see `records.add_voice`.
        other_name = (
            await self._library_writer.name_digest(record.account, record.name) if is_plain else record.name
        )
        digest = model_digest if sample is None else sample.digest
        try:
            added = await records.add_voice(
                self._store,
                row,
                other_name=other_name,
                most=most_voices,
                digest=None if record.account is None else digest,
                with_statements=with_statements,
                only_if=consent_condition(row, self.grants),
                act=act,
            )
        except AlreadyExists:
            raise name_taken(record.name) from None
        if added is None:
            return None
        self._library_writer.library.forget(record.account)
        return open_voice(self._vault, added)

    async def _check_name_and_room(self, account: str | None, name: str, most_voices: int | None) -> None:
        """Raise early, before anything costs: Conflict for a taken name, NotAllowed without room. The commit
        that adds the voice checks both again."""
        self._library_writer.check_name(name)
        if (
            account is not None
            and most_voices is not None
            and await records.count(self._store, account) >= most_voices
        ):
            raise too_many_voices(most_voices)
        if await self._library_writer.library.find_record(account, name) is not None:
            raise name_taken(name)

    async def _find_grant(self, account: str, id_: str | None, terms: Terms) -> Grant | None:
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


def _changed(record: VoiceRecord, changes: Mapping[str, Any]) -> VoiceRecord:
    """Return the changed record. Its revision rises if the change affects the sound."""
    changed = msgspec.structs.replace(record, **changes)
    before, after = [(each.language, each.members, each.mix) for each in (record, changed)]
    return changed if before == after else msgspec.structs.replace(changed, revision=record.revision + 1)
