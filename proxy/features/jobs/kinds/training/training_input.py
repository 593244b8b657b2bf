"""Reads the input of a training: its order, and the recordings of the voice. The rights are checked again
before."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple

import msgspec

from policies.licence import Licences
from policies.plans import Terms
from policies.routing import Model
from policies.routing.filters import may_see
from proxy.access.callers import Callers
from proxy.catalogue.own_voices import OwnVoices
from proxy.catalogue.voice_records import VoiceRecord
from proxy.engines.sample_source import SampleSource, SampleUnavailable
from proxy.errors import InvalidRequest, NotAllowed
from proxy.features.consents.grants import Grants
from proxy.features.jobs.core.fields import SealedFields
from proxy.features.jobs.core.making import jobs_not_allowed
from proxy.features.jobs.core.records import Job
from proxy.features.jobs.kinds.training.process import TrainingBroken
from proxy.features.jobs.kinds.training.records import Training
from proxy.file_store.vault import Vault
from proxy.speech.speaking import Speaking
from proxy.storage import samples
from proxy.storage.sample_record import SampleRecord
from proxy.storage.store import Store
from speech_engine import ModelInfo
from speech_engine.training import Recording, TrainingOrder

LEAST_RECORDINGS = 20
RATE_HZ = 48_000
_MOST_RECORDING_S = 300.0


class TrainingFields(SealedFields, frozen=True, kw_only=True):
    """The sealed fields of a training, which include its order."""

    seed: int
    most_steps: int

    @property
    def order(self) -> TrainingOrder:
        return TrainingOrder(seed=self.seed, most_steps=self.most_steps)


class TrainingInputs(NamedTuple):
    """The input of a trainer. `digests` are those of the recordings."""

    order: TrainingOrder
    digests: tuple[str, ...]
    recordings: AsyncGenerator[Recording, None]


class TrainingInput:
    """Checks the right to train a voice, and reads the input of its training. The right is checked at the
    request, and again when the training begins."""

    def __init__(
        self, store: Store, vault: Vault, voices: OwnVoices, grants: Grants, source: SampleSource
    ) -> None:
        self._store = store
        self._vault = vault
        self._voices = voices
        self._grants = grants
        self._source = source
        self._newest: tuple[Speaking, Callers, Licences] | None = None

    def revise(self, speaking: Speaking, callers: Callers, licences: Licences) -> None:
        self._newest = speaking, callers, licences

    async def allowed_recordings(
        self, terms: Terms, voice: VoiceRecord, runner: str = ""
    ) -> list[SampleRecord]:
        """Return the recordings of a voice if it may be trained, at this `runner` if there is one. Raises
        InvalidRequest and NotAllowed."""
        if voice.kind in ("cast", "mix"):
            raise InvalidRequest(
                f"The voice is a {voice.kind}, and a training needs one of recordings.",
                param="voice",
                code="unsupported_value",
            )
        is_required = terms.consent == "required"
        grant = await self._grants.training_grant(voice.account or "", voice.consent, is_required=is_required)
        if grant is not None and runner and grant.providers is not None and runner not in grant.providers:
            raise NotAllowed(
                f"This model trains at '{runner}', which the consent '{grant.id}' does not name.",
                param="voice",
                code="consent_not_given",
            )
        recordings = await samples.list_of_voice(self._store, voice.id)
        if len(recordings) < LEAST_RECORDINGS:
            raise InvalidRequest(
                f"A training needs {LEAST_RECORDINGS} recordings of a voice or more; this one has "
                f"{len(recordings)}. Add clips to it.",
                param="voice",
                code="too_few_recordings",
            )
        return recordings

    async def training_inputs(
        self, job: Job, training: Training, info: ModelInfo, *, may_be_suspended: bool = False
    ) -> TrainingInputs | None:
        """Return the input of a training, local or at a runner. None: its voice was deleted. Raises
        VaultFailed and RequestFailed."""
        assert self._newest is not None, "it is revised before it works"
        speaking, callers, licences = self._newest
        terms = speaking.admission.terms(await callers.by_id(job.key, may_be_suspended=may_be_suspended))
        if terms.job_characters == 0:
            raise jobs_not_allowed(terms)
        if not may_see(Model(training.engine, info), terms, licences):
            raise NotAllowed(
                f"Your plan '{terms.plan}' does not have {training.engine}/{info.id} any more.",
                param="model",
                code="model_not_allowed",
            )
        voice = await self._voices.get(training.voice)
        if voice is None or voice.account != job.account:
            return None
        try:
            recordings = await self.allowed_recordings(terms, voice, info.runner)
        except InvalidRequest:
            if await self._voices.get(training.voice) is None:
                return None  # the voice was deleted meanwhile, with its recordings
            raise
        fields = self._vault.open_record(job.account, job.id, job.record, TrainingFields)
        read = self._read_recordings(job.account, recordings, info)
        return TrainingInputs(fields.order, tuple([each.digest for each in recordings]), read)

    async def _read_recordings(
        self, account: str, recordings: Sequence[SampleRecord], info: ModelInfo
    ) -> AsyncGenerator[Recording, None]:
        """Yield one recording after the other. Raises TrainingBroken."""
        # The recordings are read as a whole, because a trainer cuts them itself.
        whole_info = msgspec.structs.replace(info, sample_s=(0.0, _MOST_RECORDING_S), sample_hz=RATE_HZ)
        for each in recordings:
            try:
                yield Recording(RATE_HZ, await self._source.pcm(account, each.digest, whole_info))
            except SampleUnavailable as failure:
                raise TrainingBroken(str(failure)) from None
