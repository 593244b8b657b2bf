"""Make voices of recordings and of other voices, change them, and end them.

A voice of a recording is kept in this order: everything that can be refused is refused, the recording goes
into the vault, and one unit of work adds the voice with its sample and the wishes for its clones. A kill
before that leaves a sealed file that nothing names, and the vault forgets it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from policies.plans import Terms
from proxy.audio.recordings.intake import RecordingIntake, TakenRecording
from proxy.catalogue.clones import CloneRights, Cloning
from proxy.catalogue.erasing import Erasing
from proxy.catalogue.grants import Grant, Grants
from proxy.catalogue.known_voices import no_voice
from proxy.catalogue.voice_records import Kind, VoiceRecord
from proxy.errors import Conflict, InvalidRequest
from proxy.features.own_voices import records
from proxy.features.own_voices.editor import LibraryEditor, name_taken, no_room
from proxy.features.own_voices.seals import open_voice, seal_voice
from proxy.kept.vault import Vault
from proxy.storage.audit import Act
from proxy.storage.rows import new_id
from proxy.storage.samples import SampleRecord
from proxy.storage.store import ALWAYS, AlreadyExists, Condition, Statement

_TRIES = 3


class NewOwned(msgspec.Struct, frozen=True, kw_only=True):
    """What any voice of an account's own is described by. `request` is a digest of the request."""

    name: str
    description: str = ""
    tags: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    language: str | None = None
    gender: str | None = None
    id: str | None = None
    request: str = ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def record(self, account: str | None, kind: Kind, created: int, act: Act | None) -> VoiceRecord:
        return VoiceRecord(
            id=act.subject if act else self.id or new_id("voice"),
            account=account,
            kind=kind,
            revision=1,
            created=act.at if act else created,
            name=self.name,
            description=self.description,
            tags=self.tags,
            labels=self.labels,
            language=self.language,
            gender=self.gender,
            members={},
            request=self.request,
        )


class NewSampleVoice(NewOwned, frozen=True, kw_only=True):
    """A voice to be made of a recording. `ref_text` has its words, for engines that need them."""

    audio: bytes
    consent: str | None = None
    ref_text: str = ""
    engines: tuple[str, ...] = ()


class NewMix(NewOwned, frozen=True, kw_only=True):
    """A voice to be mixed of others: their ids, each with its weight."""

    mix: Mapping[str, float]


class NewBound(NewOwned, frozen=True, kw_only=True):
    """A name for voices that engines have: their ids there, by engine."""

    bindings: Mapping[str, str]


class VoiceChange(msgspec.Struct, frozen=True, kw_only=True):
    """The changes of a voice; None leaves what there is. An empty language or gender is taken away."""

    name: str | None = None
    description: str | None = None
    tags: tuple[str, ...] | None = None
    labels: Mapping[str, str] | None = None
    language: str | None = None
    gender: str | None = None
    members: Mapping[str, str] | None = None
    mix: Mapping[str, float] | None = None

    def __repr__(self) -> str:
        return "<VoiceChange>"

    def applied(self, record: VoiceRecord) -> VoiceRecord:
        """Return the record with the changes. Its revision rises if the voice sounds otherwise."""
        sent = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        for name in ("language", "gender"):
            if name in sent:
                sent[name] = sent[name] or None
        changed = msgspec.structs.replace(record, **sent)
        sound = [(each.language, each.members, each.mix) for each in (record, changed)]
        if sound[0] == sound[1]:
            return changed
        return msgspec.structs.replace(changed, revision=record.revision + 1)


class VoiceMaker:
    """The maker of an account's own voices, for one revision of the configuration."""

    def __init__(
        self,
        vault: Vault,
        editor: LibraryEditor,
        intake: RecordingIntake,
        grants: Grants,
        erasing: Erasing,
        clones: Cloning,
    ) -> None:
        self._store = editor.store
        self._vault = vault
        self._editor = editor
        self._intake = intake
        self._grants = grants
        self._erasing = erasing
        self.clones = clones

    def __repr__(self) -> str:
        return f"<VoiceMaker for {self._editor!r}>"

    async def make(
        self, account: str, new: NewSampleVoice, terms: Terms, act: Act | None = None, *, payer: str = ""
    ) -> VoiceRecord:
        """Make a voice of a recording. `payer` is the key whose account pays for its clones.

        Raises InvalidRequest for a recording that is no good, NotFound for the consent, Conflict if the name
        is taken, NotAllowed if the plan has no room or the comparison refuses, and QuotaExceeded.
        """
        await self._check(account, new.name, terms.voices)
        places = self.clones.find_places(new.engines)
        if payer:
            await self.clones.check_bill(account, terms, places)
        grant = await self._grant(account, new.consent, terms)
        rights = CloneRights.under(terms, None if grant is None else grant.providers)
        if not new.ref_text and self._editor.needs_text(rights.providers, is_local_only=terms.local_only):
            raise InvalidRequest(
                "Missing required parameter: 'ref_text'. All models that could speak with this voice must "
                "know the words of its recording.",
                param="ref_text",
                code="reference_text_required",
            )
        async with self._intake.taken(account, new.audio, "audio_sample") as taken:
            self.clones.check(places, [taken.seconds], rights)
            record = msgspec.structs.replace(
                new.record(account, "sample", await self._store.now(), act),
                quality=taken.quality.rating,
                consent=None if grant is None else grant.id,
                compared=await self._grants.compare(account, taken, grant),
                texts=(new.ref_text,),
            )
            wishes = self.clones.statements(record, places, payer)
            made = await self._keep(record, taken, terms.voices, act, wishes)
        if places:
            self.clones.begin(made)
        return made

    async def _keep(
        self,
        record: VoiceRecord,
        taken: TakenRecording,
        most: int | None,
        act: Act | None,
        wishes: Sequence[Statement],
    ) -> VoiceRecord:
        """Put the recording of a voice into the vault, and add the voice. Raises what `make` raises."""
        account = record.account
        assert account is not None
        for _ in range(_TRIES):
            # The recording may be that of a voice which is erased at this moment. Then it is put again.
            digest = await self._vault.put(account, taken.master)
            sample = SampleRecord(
                voice=record.id,
                number=0,
                account=account,
                digest=digest,
                seconds=taken.seconds,
                quality=taken.quality_json,
            )
            try:
                made = await self._add(record, most, act, sample, wishes)
            except BaseException:
                await self._vault.drop(account, [digest])
                raise
            if made is not None:
                return made
            await self._vault.drop(account, [digest])
            await self._check(account, record.name, most)
            if record.consent is not None:
                await self._grants.find(account, record.consent, "consent")
        raise Conflict("The account is being changed by others; send it again.")

    async def mix(
        self, account: str | None, new: NewMix, most: int | None = None, act: Act | None = None
    ) -> VoiceRecord:
        """Save a mix of voices. Without an account, it belongs to all accounts."""
        await self._check(account, new.name, most)
        mix = await self._editor.resolve_mix(account, new.mix)
        record = msgspec.structs.replace(new.record(account, "mix", await self._store.now(), act), mix=mix)
        made = await self._add(record, most, act)
        if made is None:
            raise no_room(most) if most is not None else Conflict("The account is closed.", param="account")
        return made

    async def bind(self, new: NewBound, act: Act | None = None) -> tuple[VoiceRecord, list[str]]:
        """Save a name for voices of engines, for all accounts, and return what is unsure of them.

        Raises InvalidRequest for an engine or a voice that there is not, and Conflict if the name is taken.
        """
        await self._check(None, new.name, None)
        unsure = await self._editor.check_bindings(new.bindings)
        record = new.record(None, "catalogue", await self._store.now(), act)
        made = await self._add(msgspec.structs.replace(record, members=new.bindings), None, act)
        assert made is not None, "nothing bounds the operator's voices"
        return made, unsure

    async def change(self, record: VoiceRecord, change: VoiceChange) -> VoiceRecord:
        """Change a voice, an opened record. Raises what making it raises, and Conflict if others change it.

        What was spoken before by a voice that now sounds otherwise is not given again.
        """
        for name, kind in (("members", "cast"), ("mix", "mix")):
            if getattr(change, name) is not None and record.kind != kind:
                field = "cast" if name == "members" else name
                raise InvalidRequest(f"Invalid value for '{field}': the voice is no {kind}.", param=field)
        if change.name is not None:
            self._editor.check_name(change.name)
        if change.members is not None:
            await self._editor.check_cast(record.account, change.members)
        if change.mix is not None:
            mix = await self._editor.resolve_mix(record.account, change.mix)
            change = msgspec.structs.replace(change, mix=mix)
        for _ in range(_TRIES):
            changed = change.applied(record)
            row = await seal_voice(self._vault, changed) if record.is_sealed else changed
            try:
                done = await self._editor.update(record, row, changed.name)
            except AlreadyExists:
                raise name_taken(changed.name) from None
            if done is not None:
                return open_voice(self._vault, done)
            newer = await self._editor.find_voice(record.account, record.id)
            if newer is None:
                raise no_voice(record.id)
            record = newer
        raise Conflict("The voice is being changed by others; read it again.")

    async def delete(self, record: VoiceRecord, act: Act | None = None) -> None:
        """Delete a voice. Recordings and all that was derived of them are erased. Raises NotFound."""
        if record.is_sealed:
            await self._erasing.erase_voice(record, act)
            self._editor.library.forget(record.account)
        else:
            await self._editor.delete_voice(record, act)

    async def _add(
        self,
        record: VoiceRecord,
        most: int | None,
        act: Act | None,
        sample: SampleRecord | None = None,
        wishes: Iterable[Statement] = (),
    ) -> VoiceRecord | None:
        row = record if record.account is None else await seal_voice(self._vault, record)
        beside = [] if sample is None else [records.insert_sample(sample)]
        beside += wishes
        other_name = record.name if row.is_sealed else None
        digest = None if sample is None else sample.digest
        try:
            made = await records.add(
                self._store,
                row,
                other_name=other_name,
                most=most,
                digest=digest,
                beside=beside,
                only_if=self._needs(row),
                act=act,
            )
        except AlreadyExists:
            raise name_taken(record.name) from None
        if made is None:
            return None
        self._editor.library.forget(record.account)
        return open_voice(self._vault, made)

    def _needs(self, row: VoiceRecord) -> Condition:
        if row.account is None or row.consent is None:
            return ALWAYS
        return self._grants.is_there(row.account, row.consent)

    async def _check(self, account: str | None, name: str, most: int | None) -> None:
        """Refuse what surely fails, before anything costs. The unit that adds the voice decides."""
        self._editor.check_name(name)
        if account is not None and most is not None and await records.count(self._store, account) >= most:
            raise no_room(most)
        if await self._editor.library.find(account, name) is not None:
            raise name_taken(name)

    async def _grant(self, account: str, id_: str | None, terms: Terms) -> Grant | None:
        if id_ is not None:
            return await self._grants.find(account, id_, "consent")
        if terms.consent == "required":
            raise InvalidRequest(
                "Missing required parameter: 'consent'. The speaker has to agree that a voice is made of "
                "their speech: POST /v1/audio/voice_consents gives the id of a consent.",
                param="consent",
                code="consent_required",
            )
        return None
