"""The recordings of a voice: the first one, of which the voice was made, and clips, which are added and
deleted later.

To add a clip, everything is checked, the recording goes into the vault, and one commit adds its row and
raises the revision of its voice. The row has its words, sealed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec
from msgspec import UNSET, Meta

from policies.plans import Terms
from policies.sample_quality import PART_S
from policies.text_tags import EMOTIONS, NEUTRAL
from proxy.audio.recordings.intake import AcceptedRecording, RecordingIntake
from proxy.catalogue.erasing import Erasing
from proxy.catalogue.voice_records import ComparisonResult, VoiceRecord
from proxy.errors import Conflict, InvalidRequest, NotAllowed, NotFound
from proxy.features.consents.grants import Grant, Grants
from proxy.features.consents.hearings import Hearings
from proxy.features.own_voices import records
from proxy.features.own_voices.bodies import RefText
from proxy.features.own_voices.library_writer import LibraryWriter
from proxy.features.own_voices.recording_storage import TRIES, consent_condition, store_recording
from proxy.features.own_voices.sample_words import (
    MOST_TRANSCRIBED_S,
    FoundSample,
    SampleWords,
    may_hear_words,
)
from proxy.features.own_voices.seals import ClipTexts, open_clip, seal_clip, texts_of_recordings
from proxy.features.own_voices.voice_creation import VoiceOrigin
from proxy.features.voice_list.known_voices import voice_not_found
from proxy.file_store.vault import Vault
from proxy.storage import samples
from proxy.storage.audit import Act
from proxy.storage.rows import new_id
from proxy.storage.sample_record import SampleRecord
from proxy.storage.store import AlreadyExists, Statement

CLIP_PREFIX = "clip"
AUDIO_FIELD = "file"
MOST_RECORDINGS = 25
"""The most recordings of a voice: its first one and 24 clips. Clips for trainings do not count."""


class ClipForm(msgspec.Struct, frozen=True, kw_only=True):
    """The recording `file`, another one of the voice's speaker. `ref_text` has its words: some engines need
    them. Speech with this `emotion` uses it; a `neutral` one is used like the first recording."""

    ref_text: RefText = ""
    emotion: Annotated[
        str, Meta(description=f"one of {', '.join(EMOTIONS)}", extra_json_schema={"enum": [*EMOTIONS]})
    ]

    def __repr__(self) -> str:
        return "<ClipForm>"

    @property
    def tag(self) -> str:
        return self.emotion.lower()

    def check(self) -> None:
        """Raise InvalidRequest for an unknown emotion."""
        if self.tag not in EMOTIONS:
            raise InvalidRequest(
                f"Invalid value for 'emotion': it must be one of {', '.join(EMOTIONS)}.", param="emotion"
            )


class ReadableRecording(NamedTuple):
    """A recording with its opened texts."""

    row: SampleRecord
    texts: ClipTexts

    @property
    def id(self) -> str:
        return self.row.id or first_recording_id(self.row.voice)


class VoiceRecordings:
    def __init__(
        self,
        vault: Vault,
        library_writer: LibraryWriter,
        intake: RecordingIntake,
        grants: Grants,
        erasing: Erasing,
        hearings: Hearings,
        words: SampleWords,
    ) -> None:
        self._hearings = hearings
        self._words = words
        self._store = library_writer.store
        self._vault = vault
        self._library_writer = library_writer
        self._intake = intake
        self._grants = grants
        self._erasing = erasing

    async def list_recordings(self, voice: VoiceRecord) -> list[ReadableRecording]:
        """List the recordings of a voice, the first one first. Raises InvalidRequest if it has none."""
        owner_account(voice)
        rows = await samples.list_of_voice(self._store, voice.id)
        record = self._library_writer.open_if_possible(voice)
        opened = await asyncio.to_thread(texts_of_recordings, self._vault, record, rows)
        return [ReadableRecording(*each) for each in zip(rows, opened, strict=True)]

    async def add_clip(
        self, voice: VoiceRecord, form: ClipForm, audio: bytes, terms: Terms, origin: VoiceOrigin
    ) -> ReadableRecording:
        """Add a clip to a voice.

        Raises InvalidRequest for an unusable recording, or if the plan wants a consent and there is none;
        NotAllowed at the limit, or if the comparison refuses; Conflict on simultaneous changes; and NotFound
        if the voice or its consent is gone.
        """
        account = owner_account(voice)
        await self._check_room(voice.id)
        grant = await self._find_grant(account, voice, terms)
        writer, words = self._library_writer, form.ref_text
        may_hear = await may_hear_words(self._hearings, writer, account, voice.language)
        awaits_words = may_hear and not words
        writer.clone_rights(words, terms, grant, awaits_words=awaits_words)
        async with self._intake.accept_upload(account, audio, AUDIO_FIELD) as accepted:
            if awaits_words and accepted.seconds > MOST_TRANSCRIBED_S:
                awaits_words = False
                writer.clone_rights(words, terms, grant)  # raises if the clip needs words
            compared = await self._compare(account, accepted, grant)
            texts = ClipTexts(
                words=words,
                recognised=awaits_words or UNSET,
                request=origin.request_digest,
                compared=compared,
            )
            row = SampleRecord(
                voice=voice.id,
                number=0,  # the commit that adds the clip gives it its number
                account=account,
                digest="",  # `_store_clip` sets it
                tag="" if form.tag == NEUTRAL else form.tag,
                seconds=accepted.seconds,
                quality=accepted.quality_json,
                id=origin.act.subject if origin.act else origin.id or new_id(CLIP_PREFIX),
            )
            sealed = await seal_clip(self._vault, row, texts)
            hearing: Sequence[Statement] = ()
            if awaits_words or (may_hear and PART_S < accepted.seconds <= MOST_TRANSCRIBED_S):
                was_added = records.clip_was_added(row.id)
                hearing = self._hearings.queue_statements(row.id, account, voice.language or "", was_added)
            added = await self._store_clip(voice, sealed, accepted, origin.act, hearing)
        self._hearings.look_now()
        await self._library_writer.drop_caches(account, voice.id)
        return ReadableRecording(added, texts)

    async def change_words(
        self, voice: VoiceRecord, id_: str, words: str, act: Act | None = None
    ) -> ReadableRecording:
        """Write the words of a recording. Raises InvalidRequest, NotFound and Conflict."""
        account = owner_account(voice)
        for _ in range(TRIES):
            rows = await samples.list_of_voice(self._store, voice.id)
            row = next((each for each in rows if ReadableRecording(each, ClipTexts()).id == id_), None)
            record = await records.get(self._store, account, voice.id)
            if row is None or record is None:
                raise clip_not_found(id_)
            opened = self._library_writer.open_voice(record)
            found = ReadableRecording(row, ClipTexts(words=words))
            if await self._words.write_words(FoundSample(row, opened), words, act):
                await self._library_writer.drop_caches(account, voice.id)
                voice = await records.get(self._store, account, voice.id) or voice
                return next((each for each in await self.list_recordings(voice) if each.id == id_), found)
        raise Conflict("The recording is being changed by others; send it again.", param="sample")

    async def delete_clip(self, voice: VoiceRecord, id_: str, act: Act | None = None) -> None:
        """Erase a clip. Raises Conflict for the first recording, and NotFound for another voice's."""
        account = owner_account(voice)
        if id_ == first_recording_id(voice.id):
            raise Conflict(
                "The voice was made of this recording, so it is deleted only with the voice.", param="sample"
            )
        row = await self.find_clip_row(account, id_)
        if row is None or row.voice != voice.id or await self._erasing.erase(row, act) is None:
            raise clip_not_found(id_)
        await self._library_writer.drop_caches(account, voice.id)

    async def find_clip_row(self, account: str, id_: str) -> SampleRecord | None:
        return await samples.find_clip(self._store, account, id_) if id_.isprintable() else None

    async def find_request_digest(self, account: str, id_: str) -> str | None:
        row = await self.find_clip_row(account, id_)
        return None if row is None else open_clip(self._vault, row).request

    async def find_clip(self, account: str, id_: str) -> ReadableRecording:
        """Return a clip of an account with its texts. Raises NotFound."""
        row = await self.find_clip_row(account, id_)
        if row is None:
            raise clip_not_found(id_)
        return ReadableRecording(row, open_clip(self._vault, row))

    async def _store_clip(
        self,
        voice: VoiceRecord,
        row: SampleRecord,
        accepted: AcceptedRecording,
        act: Act | None,
        with_statements: Sequence[Statement],
    ) -> SampleRecord:
        async def add_row(digest: str) -> SampleRecord | None:
            row_with_digest = msgspec.structs.replace(row, digest=digest)
            needs = consent_condition(voice, self._grants)
            try:
                is_added = await records.add_clip(
                    self._store, row_with_digest, MOST_RECORDINGS, needs, act, with_statements
                )
            except AlreadyExists:
                raise Conflict("This clip was just added by another request.") from None
            return row_with_digest if is_added else None

        async def raise_reason() -> None:
            if await records.get(self._store, row.account, voice.id) is None:
                raise voice_not_found(voice.id)
            await self._check_room(voice.id)
            if voice.consent is not None:
                await self._grants.find_grant(row.account, voice.consent, "consent")

        return await store_recording(self._vault, row.account, accepted.master, add_row, raise_reason)

    async def _check_room(self, voice: str) -> None:
        found = await samples.list_of_voice(self._store, voice)
        if sum(not each.is_for_training for each in found) >= MOST_RECORDINGS:
            raise NotAllowed(
                f"A voice has {MOST_RECORDINGS} recordings at most; delete one first.",
                param="voice",
                code="too_many_samples",
            )

    async def _find_grant(self, account: str, voice: VoiceRecord, terms: Terms) -> Grant | None:
        if voice.consent is not None:
            return await self._grants.find_grant(account, voice.consent, "consent")
        if terms.consent == "required":
            raise InvalidRequest(
                "The voice was made without a consent of its speaker, which your plan requires by now; make "
                "a voice with one.",
                param="voice",
                code="consent_required",
            )
        return None

    async def _compare(
        self, account: str, accepted: AcceptedRecording, grant: Grant | None
    ) -> ComparisonResult | None:
        try:
            return await self._grants.compare(account, accepted, grant)
        except NotAllowed as failure:
            failure.param = AUDIO_FIELD
            raise


def first_recording_id(voice: str) -> str:
    """Return the id of a voice's first recording, which is in no row."""
    return f"{CLIP_PREFIX}_{voice.partition('_')[2]}_1"


def clip_not_found(id_: str) -> NotFound:
    return NotFound(f"The voice has no recording '{id_[:80]}'.", param="sample", code="sample_not_found")


def owner_account(voice: VoiceRecord) -> str:
    """Return the account of a voice. Raises InvalidRequest unless it was made of a recording."""
    if voice.kind != "sample" or voice.account is None:
        raise InvalidRequest(
            f"The voice '{voice.id}' was not made of a recording; only such a voice can have more.",
            param="voice",
        )
    return voice.account
