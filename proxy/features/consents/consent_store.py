"""Consents: a speaker agrees, in a recording or a statement, that a voice is made of their speech.

A recording is heard after it was stored, if a local model hears its language.
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
from proxy.features.consents.records import USUAL_USES, ConsentRecord, Use
from proxy.file_store.vault import SealedRecord, Vault, VaultFailed
from proxy.storage.audit import Act
from proxy.storage.rows import new_id
from proxy.storage.store import Statement, Store

MOST_CONSENTS = 1000
"""Of one account."""
MOST_RECORDED_S = 3600.0
"""Of all recorded consents of an account together, about 350 MB."""
MOST_S = 60.0
"""The phrase takes ten seconds. What is kept of a recording may be ten times the size of its upload."""
_TRIES = 5

_log = structlog.get_logger()


Erase = Callable[[OwnedRecord, Act | None], Awaitable[object | None]]
"""Erases a voice or a consent. None: it is gone already, or something needs it."""


class ConsentTexts(msgspec.Struct, frozen=True):
    name: str
    statement: str = ""

    def __repr__(self) -> str:
        return "<ConsentTexts>"


class NewConsent(msgspec.Struct, frozen=True, kw_only=True):
    """A consent to be stored: a recording of the phrase, or a statement. `made_by` is the sender's key."""

    name: str
    language: str
    recording: bytes | None = None
    statement: str = ""
    providers: tuple[str, ...] | None = None
    uses: tuple[Use, ...] = USUAL_USES
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

    async def keep(self, account: str, new: NewConsent, act: Act | None = None) -> ReadableConsent:
        """Store a consent. With an act, it gets the id in that act.

        Raises InvalidRequest for a bad recording, and NotAllowed at the limit.
        """
        if await consents.count(self.store, account) >= MOST_CONSENTS:
            raise _too_many()
        digest, seconds, quality = None, None, "{}"
        if new.recording is not None:
            async with self._intake.accept_upload(account, new.recording, "recording") as accepted:
                if accepted.seconds > MOST_S:
                    raise invalid_audio(f"it has more than {MOST_S:g} seconds", "recording")
                digest = await self._vault.put(account, accepted.master)
                seconds, quality = accepted.seconds, accepted.quality_json
        is_stored = False
        try:
            consent = await self._add(account, new, digest, seconds, quality, act)
            is_stored = True
            return consent
        finally:
            if digest is not None and not is_stored:
                await self._vault.drop(account, [digest])

    async def _add(
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
            also = self._hearings.queue_statements(id_, account, new.language, consents.was_made(id_))
        if not await consents.add(self.store, record, MOST_CONSENTS, act, most_s=MOST_RECORDED_S, also=also):
            raise _too_many()
        self._hearings.look_now()
        return ReadableConsent(record, texts)

    async def find_consent(self, account: str | None, id_: str, param: str | None = None) -> ReadableConsent:
        """Return a consent of this account, or of any account (None). Raises NotFound."""
        return self.open(await self.record(account, id_, param))

    async def record(self, account: str | None, id_: str, param: str | None = None) -> ConsentRecord:
        """Return a consent as stored, with its texts sealed. Raises NotFound."""
        return await find_record(self.store, account, id_, param)

    def open(self, record: ConsentRecord) -> ReadableConsent:
        """Open a consent. If that fails, it has no name and no statement."""
        try:
            return ReadableConsent(record, self._texts(record))
        except VaultFailed as error:
            _log.error("consent.open.failed", consent=record.id, reason=str(error))
            return ReadableConsent(record, ConsentTexts(""))

    def _texts(self, record: ConsentRecord) -> ConsentTexts:
        sealed = SealedRecord(record.wrapped, record.sealed)
        return self._vault.open_record(record.account, record.id, sealed, ConsentTexts)

    async def rename(self, account: str, id_: str, name: str) -> ReadableConsent:
        """Give a consent another name. Raises NotFound."""
        for _ in range(_TRIES):
            record = await self.record(account, id_)
            # What cannot be opened is not written over.
            texts = msgspec.structs.replace(self._texts(record), name=name)
            sealed = await self._vault.seal_record(account, id_, texts)
            if await consents.reseal(self.store, record, sealed.wrapped, sealed.sealed):
                return ReadableConsent(
                    msgspec.structs.replace(record, wrapped=sealed.wrapped, sealed=sealed.sealed), texts
                )
        raise Conflict("The consent is being changed by others; read it again.")

    async def compare(self, accepted: AcceptedRecording, record: ConsentRecord) -> ComparisonResult | None:
        """Compare the speaker of a sample with the consent's. None: there is no comparer, or no recording.

        Raises NotAllowed if the operator refuses other speakers.
        """
        if record.digest is None:
            return None
        try:
            master = await self._vault.open(record.account, record.digest)
        except VaultFailed:
            # If it was erased a moment ago, its sender hears that.
            await self.record(record.account, record.id, "consent")
            raise
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

    async def delete(self, consent: ReadableConsent, act: Act | None = None) -> None:
        """Erase a consent. Raises Conflict while a voice needs it, and NotFound if it is gone."""
        await self._check_free(consent.id)
        if await self._erase(consent.record, act) is None:
            await self._check_free(consent.id)
            raise no_consent(consent.id, "consent")

    async def _check_free(self, consent: str) -> None:
        voice = await consents.needed_by(self.store, consent)
        if voice is not None:
            raise Conflict(
                f"The voice '{voice}' needs this consent; delete the voice first.", param="consent"
            )


async def find_record(store: Store, account: str | None, id_: str, param: str | None = None) -> ConsentRecord:
    """Return a stored consent of this account, or of any account (None). Raises NotFound."""
    record = await consents.get(store, account, id_) if id_.isprintable() else None
    if record is None:
        raise no_consent(id_, param)
    return record


def no_consent(id_: str, param: str | None = None) -> NotFound:
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


def _too_many() -> NotAllowed:
    return NotAllowed(
        f"An account has {MOST_CONSENTS} consents at most, and in them {MOST_RECORDED_S / 60:g} minutes of "
        "recordings; delete one first.",
        code="too_many_consents",
    )
