"""Stores, reads, renames and deletes consents: a speaker agrees, in a recording or a statement, that a voice
is made of their speech.

The words of a stored recording are recognised later, if a local model knows its language.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec
import structlog

from policies.sample_quality import SampleQuality
from proxy.audio.recordings.intake import AcceptedRecording, RecordingIntake, invalid_audio
from proxy.catalogue.erasing import OwnedRecord
from proxy.catalogue.voice_records import ComparisonResult
from proxy.errors import Conflict, InvalidRequest, NotAllowed, NotFound
from proxy.features.consents import records as consents
from proxy.features.consents import rules
from proxy.features.consents.comparison import RatedRecording, SpeakerComparison
from proxy.features.consents.hearings import Hearings
from proxy.features.consents.records import DEFAULT_USES, ConsentRecord, Use
from proxy.file_store.vault import SealedRecord, Vault, VaultFailed
from proxy.storage.audit import Act
from proxy.storage.rows import new_id
from proxy.storage.store import Statement, Store

MOST_CONSENTS = 1000
"""The most consents of an account."""
MOST_RECORDED_S = 3600.0
"""The most seconds of all recorded consents of an account together: about 350 MB."""
MOST_RECORDING_S = 60.0
"""The most seconds of one recording. The phrase takes ten. The limit is low because a stored recording may be
ten times as large as its upload."""
_TRIES = 5

_log = structlog.get_logger()


Erase = Callable[[OwnedRecord, Act | None], Awaitable[object | None]]
"""Erases a voice or a consent. None: it was gone, or a voice needs the consent."""


class ConsentTexts(msgspec.Struct, frozen=True):
    """The sealed texts of a consent: the speaker's name, and the statement, or "" if there is a recording."""

    name: str
    statement: str = ""

    def __repr__(self) -> str:
        return "<ConsentTexts>"


class NewConsent(msgspec.Struct, frozen=True, kw_only=True):
    """A consent that is to be stored, with a recording of the phrase or a statement. `made_by` is the id of
    the API key that sent it."""

    name: str
    language: str
    recording: bytes | None = None
    statement: str = ""
    providers: tuple[str, ...] | None = None
    uses: tuple[Use, ...] = DEFAULT_USES
    made_by: str

    def __repr__(self) -> str:
        return f"<NewConsent in {self.language} by {self.made_by}>"


class ReadableConsent(NamedTuple):
    record: ConsentRecord
    texts: ConsentTexts

    @property
    def id(self) -> str:
        return self.record.id


class ConsentStore:
    def __init__(
        self,
        store: Store,
        vault: Vault,
        intake: RecordingIntake,
        comparison: SpeakerComparison,
        erase: Erase,
        hearings: Hearings,
    ) -> None:
        self.store = store
        self._hearings = hearings
        self._vault = vault
        self._intake = intake
        self._comparison = comparison
        self._erase = erase

    async def store_consent(self, account: str, new: NewConsent, act: Act | None = None) -> ReadableConsent:
        """Store a consent. If an operator's `act` is given, the consent's id is the subject of this act.

        Raises InvalidRequest for a bad recording, and NotAllowed at the limit.
        """
        if await consents.count(self.store, account) >= MOST_CONSENTS:
            raise _too_many_consents()
        digest, seconds, quality = None, None, "{}"  # the columns of a statement
        if new.recording is not None:
            async with self._intake.accept_upload(account, new.recording, "recording") as accepted:
                if accepted.seconds > MOST_RECORDING_S:
                    raise invalid_audio(f"it has more than {MOST_RECORDING_S:g} seconds", "recording")
                digest = await self._vault.put(account, accepted.master)
                seconds, quality = accepted.seconds, accepted.quality_json
        is_stored = False
        try:
            consent = await self._add_row(account, new, digest, seconds, quality, act)
            is_stored = True
            return consent
        finally:
            if digest is not None and not is_stored:
                await self._vault.drop(account, [digest])

    async def _add_row(
        self,
        account: str,
        new: NewConsent,
        digest: str | None,
        seconds: float | None,
        quality: str,
        act: Act | None,
    ) -> ReadableConsent:
        id_ = act.subject if act else new_id("cons")
        texts = ConsentTexts(new.name, new.statement)
        sealed = await self._vault.seal_record(account, id_, texts)
        record = ConsentRecord(
            id=id_,
            account=account,
            kind="statement" if digest is None else "recording",
            language=new.language,
            digest=digest,
            seconds=seconds,
            quality=quality,
            providers=new.providers,
            uses=new.uses,
            made_by=new.made_by,
            created=await self.store.now(),
            wrapped=sealed.wrapped,
            sealed=sealed.sealed,
        )
        also: tuple[Statement, ...] = ()
        if digest is not None and rules.has_phrase(new.language):
            also = self._hearings.queue_statements(
                id_, account, new.language, consents.consent_was_added(id_)
            )
        if not await consents.add_consent(
            self.store, record, MOST_CONSENTS, act, most_s=MOST_RECORDED_S, also=also
        ):
            raise _too_many_consents()
        self._hearings.look_now()
        return ReadableConsent(record, texts)

    async def find_consent(self, account: str | None, id_: str, param: str | None = None) -> ReadableConsent:
        """Return a consent of this account, or of any account (None). Raises NotFound."""
        return self.open_if_possible(await self.find_sealed(account, id_, param))

    async def find_sealed(self, account: str | None, id_: str, param: str | None = None) -> ConsentRecord:
        """Return a consent as stored, with its texts sealed. Raises NotFound."""
        return await find_record(self.store, account, id_, param)

    def open_if_possible(self, record: ConsentRecord) -> ReadableConsent:
        """Open a consent. If that fails, it has no name and no statement."""
        try:
            return ReadableConsent(record, self._open_texts(record))
        except VaultFailed as error:
            _log.error("consent.open.failed", consent=record.id, reason=str(error))
            return ReadableConsent(record, ConsentTexts(""))

    def _open_texts(self, record: ConsentRecord) -> ConsentTexts:
        sealed = SealedRecord(record.wrapped, record.sealed)
        return self._vault.open_record(record.account, record.id, sealed, ConsentTexts)

    async def rename(self, account: str, id_: str, name: str) -> ReadableConsent:
        """Give a consent another name. Raises NotFound."""
        for _ in range(_TRIES):
            record = await self.find_sealed(account, id_)
            # If the texts cannot be opened, this raises, so that they are not overwritten.
            texts = msgspec.structs.replace(self._open_texts(record), name=name)
            sealed = await self._vault.seal_record(account, id_, texts)
            if await consents.replace_sealed_texts(self.store, record, sealed.wrapped, sealed.sealed):
                return ReadableConsent(
                    msgspec.structs.replace(record, wrapped=sealed.wrapped, sealed=sealed.sealed), texts
                )
        raise Conflict("The consent is being changed by others; read it again.")

    async def compare(self, accepted: AcceptedRecording, record: ConsentRecord) -> ComparisonResult | None:
        """Compare the speaker of a sample with the speaker of a consent. None: there is no comparer, or the
        consent has no recording.

        Raises NotAllowed if the operator refuses other speakers.
        """
        if record.digest is None:
            return None
        master = await self.open_recording(record)
        quality = msgspec.json.decode(record.quality, type=SampleQuality)
        found = await self._comparison.compare(
            RatedRecording(accepted.master, accepted.quality), RatedRecording(master, quality)
        )
        if self._comparison.refuses(found):
            raise NotAllowed(
                f"The speaker of the recording is not the speaker of the consent '{record.id}'.",
                param="audio_sample",
                code="other_speaker",
            )
        return found

    async def open_recording(self, record: ConsentRecord) -> bytes:
        """Return the recording of a consent, a WAV file. Raises NotFound if it was erased a moment ago."""
        assert record.digest is not None, "it is no statement"
        try:
            return await self._vault.open(record.account, record.digest)
        except VaultFailed:
            await self.find_sealed(record.account, record.id, "consent")
            raise

    async def delete(self, consent: ReadableConsent, act: Act | None = None) -> None:
        """Erase a consent. Raises Conflict while a voice needs it, and NotFound if it is gone."""
        await self._check_unused(consent.id)
        if await self._erase(consent.record, act) is None:
            await self._check_unused(consent.id)
            raise consent_not_found(consent.id, "consent")

    async def _check_unused(self, consent: str) -> None:
        voice = await consents.find_dependent_voice(self.store, consent)
        if voice is not None:
            raise Conflict(
                f"The voice '{voice}' needs this consent; delete the voice first.", param="consent"
            )


async def find_record(store: Store, account: str | None, id_: str, param: str | None = None) -> ConsentRecord:
    """Return a stored consent of this account, or of any account (None). Raises NotFound."""
    record = await consents.get(store, account, id_) if id_.isprintable() else None
    if record is None:
        raise consent_not_found(id_, param)
    return record


def consent_not_found(id_: str, param: str | None = None) -> NotFound:
    return NotFound(f"The consent '{id_[:80]}' does not exist.", param=param, code="consent_not_found")


def check_providers(providers: tuple[str, ...] | None, known: frozenset[str]) -> None:
    """Raise InvalidRequest if a consent names an unknown engine or runner."""
    unknown = [name for name in providers or () if name not in known]
    if unknown:
        raise InvalidRequest(
            f"Invalid value for 'providers': there is no engine '{unknown[0][:80]}'; known: "
            f"{', '.join(sorted(known)) or 'none'}.",
            param="providers",
        )


def _too_many_consents() -> NotAllowed:
    return NotAllowed(
        f"An account has {MOST_CONSENTS} consents at most, and in them {MOST_RECORDED_S / 60:g} minutes of "
        "recordings; delete one first.",
        code="too_many_consents",
    )
