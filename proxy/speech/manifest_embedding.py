"""The manifest inside a whole answer: in every marked WAV, and where a request asks for its provenance."""

from __future__ import annotations

import asyncio
import time

from proxy.audio.formats import MEDIA_TYPES, OutputForm
from proxy.errors import UpstreamFailed
from proxy.provenance.manifest import ManifestFacts
from proxy.provenance.manifests import Manifests
from proxy.provenance.signer import SignerUnavailable, SoundFile
from proxy.speech.call import SpeechCall
from proxy.speech.clip_facts import speakers_of
from proxy.speech.speech_stream import Speech

DUE_WITHIN_S = 3.0
"""A WAV that nobody asked a manifest for waits no longer: its manifest can be had beside it."""

_MICRO = 1_000_000
_RETRY_S = 5.0


class ManifestEmbedding:
    """Makes the file of one answer with its manifest inside."""

    def __init__(self, manifests: Manifests, call: SpeechCall, speech: Speech) -> None:
        self._manifests = manifests
        self._call = call
        self._speech = speech

    def __repr__(self) -> str:
        return f"<ManifestEmbedding for {self._call!r}>"

    @classmethod
    def of(cls, manifests: Manifests, call: SpeechCall, speech: Speech) -> ManifestEmbedding | None:
        """Return None for an answer whose file gets no manifest."""
        marking, request = call.plan.marking, call.request
        is_due = marking is not None and marking.has_manifest and request.form.format == "wav"
        return cls(manifests, call, speech) if is_due or request.provenance is not None else None

    async def finish(self, body: bytes, form: OutputForm, samples: int, rate_hz: int) -> bytes:
        """Return the file with its manifest, or the same bytes. Raises UpstreamFailed if it must have one."""
        del samples, rate_hz
        is_asked_for = self._call.request.provenance is not None
        file = SoundFile(body, MEDIA_TYPES[form.format])
        try:
            async with asyncio.timeout(None if is_asked_for else DUE_WITHIN_S):
                return (await self._manifests.signer.embed(self._facts(), file)).data
        except (SignerUnavailable, TimeoutError):
            if not is_asked_for:
                return body
            self._call.tally.error = "manifest_unavailable"
            raise UpstreamFailed(
                "The manifest that 'provenance' asks for cannot be signed right now.",
                param="provenance",
                code="manifest_unavailable",
                retry_after_s=_RETRY_S,
            ) from None

    def _facts(self) -> ManifestFacts:
        marking = self._call.plan.marking
        mark = None if marking is None else marking.mark
        made = int(time.time() * _MICRO)
        speakers = speakers_of(self._call, self._speech)
        return ManifestFacts(made, speakers, None if mark is None else (mark.plugin, mark.key))
