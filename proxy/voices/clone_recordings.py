"""The recordings that a provider gets for a clone, read at the last moment, by the rights of that moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from policies.plans import MissingLimits, Plan, Terms, terms
from proxy.audio.formats import wav_header
from proxy.engines.sample_source import SampleSource
from proxy.errors import InvalidRequest, NotAllowed
from proxy.storage import accounts, consents, samples, voices
from proxy.storage.bindings import BindingRecord
from proxy.storage.store import Store
from proxy.voices.clone_places import PARAM, ClonePlace
from speech_engine import CloneRequest, CloneSample


class CloneRights(NamedTuple):
    """What decides where a voice may be cloned.

    `engines` are those of the plan, `providers` those that the consent names; None is all.
    """

    providers: tuple[str, ...] | None = None
    engines: tuple[str, ...] | None = None
    is_local_only: bool = False

    @classmethod
    def under(cls, terms: Terms, providers: tuple[str, ...] | None) -> CloneRights:
        return cls(providers, terms.engines, terms.local_only)

    def check(self, place: ClonePlace) -> None:
        """Raise NotAllowed if the voice may not be cloned there. A recording stays with a local engine."""
        if self.engines is not None and place.engine not in self.engines:
            raise NotAllowed(
                f"Your plan does not have '{place.engine}'.", param=PARAM, code="model_not_allowed"
            )
        if place.info.is_local:
            return
        if self.is_local_only:
            raise NotAllowed(
                f"Your plan keeps recordings on this server, and '{place.engine}' is elsewhere.",
                param=PARAM,
                code="plan_is_local_only",
            )
        if self.providers is not None and place.engine not in self.providers:
            raise NotAllowed(
                f"The consent of the voice does not name '{place.engine}'.",
                param=PARAM,
                code="consent_not_given",
            )


def check_seconds(place: ClonePlace, seconds: Sequence[float]) -> None:
    """Raise InvalidRequest if no recording is long enough for this place. Longer ones are cut."""
    least_s, _ = place.info.sample_s
    if max(seconds, default=0.0) < least_s:
        raise InvalidRequest(
            f"'{place.engine}' needs a recording of {least_s:g} seconds or more to clone a voice.",
            param=PARAM,
            code="sample_too_short",
        )


class VoiceGone(Exception):
    """The voice of a clone is not there any more."""


class CloneRecordings:
    """The recordings of voices, as requests for clones."""

    def __init__(self, store: Store, source: SampleSource) -> None:
        self._store = store
        self._source = source

    def __repr__(self) -> str:
        return "<CloneRecordings>"

    async def terms(self, account: str, plans: Mapping[str, Plan]) -> Terms | None:
        """Return what an account may do now. None: its plan is not in force."""
        owner = await accounts.get(self._store, account)
        try:
            return None if owner is None else terms(plans[owner.plan], owner.agreed)
        except (KeyError, MissingLimits):
            return None

    async def request(
        self, record: BindingRecord, place: ClonePlace, plans: Mapping[str, Plan]
    ) -> CloneRequest:
        """Return the request for a clone, under the record's name.

        Raises VoiceGone, SampleUnavailable, and RequestFailed if this place may not have the recording. The
        consent may have changed since the clone was wanted, and the plan too.
        """
        voice = await voices.get(self._store, record.voice)
        if voice is None:
            raise VoiceGone
        consent = None if voice.consent is None else await consents.get(self._store, None, voice.consent)
        providers = consents.allowed_providers(voice.consent, consent)
        in_force = await self.terms(record.account, plans)
        rights = CloneRights(providers) if in_force is None else CloneRights.under(in_force, providers)
        rights.check(place)
        recordings = await samples.of_voice(self._store, record.voice)
        check_seconds(place, [each.seconds for each in recordings])
        # One provider takes exactly one recording. More of a voice is better for it, so it gets the longest.
        longest = max(recordings, key=lambda each: each.seconds)
        pcm = await self._source.pcm(record.account, longest.digest, place.info)
        sample = CloneSample(wav_header(len(pcm) // 2, place.info.sample_hz) + pcm)
        return CloneRequest(name=record.name, samples=(sample,), language=voice.language)
