"""Consents as the features that make voices need them: who may receive a voice, and for what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from policies.plans import Terms
from proxy.audio.recordings.intake import AcceptedRecording
from proxy.catalogue.voice_records import ComparisonResult
from proxy.errors import NotAllowed, RequestUnderWay
from proxy.features.consents import records
from proxy.features.consents.consent_store import find_record
from proxy.features.consents.records import DEFAULT_USES, ConsentRecord, Use, record_digest
from proxy.storage.store import Condition, Store

STATED_CONSENT = "true"
"""The consent of a request that only states that the speaker agrees."""
IsWaiting = Callable[[str], Awaitable[bool]]
Compare = Callable[[AcceptedRecording, ConsentRecord], Awaitable[ComparisonResult | None]]


class Grant(NamedTuple):
    """A speaker's permission. Only `providers` may receive the voice (None: all engines), for `uses` alone.

    The facts of clips name it by its `digest`, which does not identify the speaker.
    """

    id: str
    providers: tuple[str, ...] | None
    digest: str
    uses: tuple[Use, ...] = DEFAULT_USES

    def check_use(self, use: Use, param: str) -> None:
        """Raise NotAllowed, which names the parameter, if the speaker has not agreed to this use."""
        if use not in self.uses:
            raise NotAllowed(
                f"The consent '{self.id}' does not name {use}, but {', '.join(self.uses)}.",
                param=param,
                code="consent_not_given",
            )


class Grants:
    """The grants of all accounts. With `refuses_words`, a consent allows nothing new until its recording was
    heard to say its phrase, or an operator has accepted it. Voices that exist stay."""

    refuses_words = False

    def __init__(self, store: Store, compare: Compare, is_waiting: IsWaiting) -> None:
        self._store = store
        self._compare = compare
        self._is_waiting = is_waiting

    async def find_grant(self, account: str, id_: str, param: str, *, is_new: bool = True) -> Grant:
        """Return a grant of this account, for something new, or else for what was begun with it. Raises
        NotFound, NotAllowed and RequestUnderWay, which name the parameter."""
        record = await find_record(self._store, account, id_, param)
        if is_new:
            await self._check_words(record, param)
        return _grant(record)

    async def find_grant_of(self, account: str, consent: str | None, param: str) -> Grant | None:
        """Return the grant of an existing voice, for something new that is made of it. None: the voice has no
        consent, or its consent is gone. Raises NotAllowed and RequestUnderWay."""
        record = None if consent is None else await records.get(self._store, account, consent)
        if record is None:
            return None
        await self._check_words(record, param)
        return _grant(record)

    def check_stated(self, consent: str, terms: Terms, param: str) -> None:
        """Raise NotAllowed if a request only states the consent that its plan requires."""
        if self.refuses_words and consent == STATED_CONSENT and terms.consent == "required":
            raise _waits("A consent that is only stated, and has no id,", param)

    async def _check_words(self, record: ConsentRecord, param: str) -> None:
        if not self.refuses_words or record.words == "match":
            return
        if record.words == "differs":
            raise NotAllowed(
                f"The recording of the consent '{record.id}' does not say its phrase.",
                param=param,
                code="consent_words_differ",
            )
        if record.accepted is not None:
            return
        if record.words == "unchecked" and await self._is_waiting(record.id):
            raise RequestUnderWay(
                f"The recording of the consent '{record.id}' is still to be heard. Try again in a moment.",
                param=param,
                code="consent_not_heard_yet",
                retry_after_s=5.0,
            )
        raise _waits(f"The consent '{record.id}'", param)

    async def get(self, account: str, id_: str | None) -> Grant | None:
        """Return a grant of this account, or None. No id, as of a voice without a consent, gives None."""
        record = None if id_ is None else await records.get(self._store, account, id_)
        return None if record is None else _grant(record)

    async def training_grant(self, account: str, consent: str | None, *, is_required: bool) -> Grant | None:
        """Return the grant of a voice that is to be trained. None: it has no consent and needs none. Raises
        NotAllowed."""
        grant = await self.find_grant_of(account, consent, "voice")
        if grant is not None:
            grant.check_use("training", "voice")
        elif consent is not None or is_required:
            raise NotAllowed(
                "To train this voice, it needs a consent of its speaker that names training.",
                param="voice",
                code="consent_not_given",
            )
        return grant

    async def of_account(self, account: str) -> Mapping[str, Grant]:
        return {each.id: _grant(each) for each in await records.of_account(self._store, account)}

    async def compare(
        self, account: str, accepted: AcceptedRecording, grant: Grant | None
    ) -> ComparisonResult | None:
        """Compare the speaker of a recording with the speaker of a grant. None: there is no grant, no
        comparer, or the consent has no recording.

        Raises NotAllowed if the operator refuses other speakers.
        """
        if grant is None:
            return None
        return await self._compare(accepted, await find_record(self._store, account, grant.id, "consent"))

    def existence_condition(self, account: str, id_: str) -> Condition:
        """Return the condition that this grant exists, for the commit that adds a voice with it."""
        return records.existence_condition(account, id_)


def permitted_providers(id_: str | None, grant: Grant | None) -> tuple[str, ...] | None:
    """Return the providers that may receive a voice with the consent `id_`. None: all, as it has no consent.
    (): none, as its consent is gone."""
    if id_ is None:
        return None
    return () if grant is None else grant.providers


def _waits(what: str, param: str) -> NotAllowed:
    message = f"{what} waits until the server's operator accepts it: it was not heard to say its phrase."
    return NotAllowed(message, param=param, code="consent_waits")


def _grant(record: ConsentRecord) -> Grant:
    return Grant(record.id, record.providers, record_digest(record), record.uses)
