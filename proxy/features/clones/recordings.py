"""Builds the request for a clone with its recording. The rights are checked again just before it is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from policies.plans import MissingLimits, Plan, Terms, build_terms
from proxy.audio.formats import SAMPLE_BYTES, wav_header
from proxy.catalogue.clones import ENGINES_FIELD, CloneRights, CloneTarget
from proxy.catalogue.own_voices import OwnVoices
from proxy.engines.sample_source import RecordingSource
from proxy.errors import InvalidRequest
from proxy.features.clones.records import CloneRecord
from proxy.features.consents.grants import Grants, permitted_providers
from proxy.storage import accounts, samples
from proxy.storage.store import Store
from speech_engine import CloneRequest, CloneSample


def check_seconds(target: CloneTarget, seconds: Sequence[float]) -> None:
    """Raise InvalidRequest if no recording is long enough for this target. Recordings that are too long are
    cut."""
    least_s, _ = target.info.sample_s
    if max(seconds, default=0.0) < least_s:
        raise InvalidRequest(
            f"'{target.engine}' needs a recording of {least_s:g} seconds or more to clone a voice.",
            param=ENGINES_FIELD,
            code="sample_too_short",
        )


class CloneRecordings:
    def __init__(self, store: Store, voices: OwnVoices, source: RecordingSource, grants: Grants) -> None:
        self._store = store
        self._voices = voices
        self._grants = grants
        self._source = source

    async def account_terms(self, account: str, plans: Mapping[str, Plan]) -> Terms | None:
        """Return the terms of an account's plan. None: the plan is not in force."""
        owner = await accounts.get(self._store, account)
        try:
            if owner is None:
                return None
            return build_terms(plans[owner.plan], owner.agreed, has_paid=owner.has_paid)
        except (KeyError, MissingLimits):
            return None

    async def build_request(
        self, record: CloneRecord, target: CloneTarget, in_force: Terms | None
    ) -> CloneRequest | None:
        """Return the request for a clone, under the record's name and the account's terms. None: the voice is
        not there any more. Without `in_force`, only the consent limits the target.

        Raises SampleUnavailable, and RequestFailed if this target may not have the recording: the
        consent and the plan may have changed since the task was added.
        """
        voice = await self._voices.get(record.voice)
        if voice is None:
            return None
        grant = await self._grants.get(voice.account or "", voice.consent)
        providers = permitted_providers(voice.consent, grant)
        rights = CloneRights(providers) if in_force is None else CloneRights.under(in_force, providers)
        rights.check_rights_at(target)
        recordings = await samples.list_original(self._store, record.voice)
        check_seconds(target, [each.seconds for each in recordings])
        # Some providers take exactly one recording. The longest one gives the best clone.
        longest = max(recordings, key=lambda each: each.seconds)
        pcm = await self._source.pcm(record.account, longest.digest, target.info)
        sample = CloneSample(wav_header(len(pcm) // SAMPLE_BYTES, target.info.sample_hz) + pcm)
        return CloneRequest(name=record.name, samples=(sample,), language=voice.language)
