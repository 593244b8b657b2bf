"""The manifest inside a whole answer: in every marked WAV, and where a request asks for its provenance."""

from __future__ import annotations

import asyncio
import time

from proxy.audio.formats import MEDIA_TYPES, SAMPLE_BYTES, OutputForm
from proxy.errors import InvalidRequest, UpstreamFailed
from proxy.provenance.manifest import ManifestFacts
from proxy.provenance.manifests import Manifests
from proxy.provenance.signer import SignerUnavailable, SoundFile
from proxy.provenance.signing import MOST_BODY_BYTES
from proxy.speech.call import SpeechCall
from proxy.speech.clip_facts import speakers_of
from proxy.speech.speech_stream import Speech

DUE_WITHIN_S = 3.0
"""A WAV that nobody asked a manifest for waits no longer: its manifest can be had beside it."""

_MICRO = 1_000_000
_RETRY_S = 5.0


def check_length(call: SpeechCall) -> None:
    """Refuse an answer that would be too long for a manifest in its file. Raises InvalidRequest."""
    request = call.request
    most_s = MOST_BODY_BYTES / (SAMPLE_BYTES * request.form.sample_rate_hz)
    if request.provenance is not None and call.plan.estimated_s > most_s:
        raise InvalidRequest(
            f"'provenance' cannot be c2pa for more than about {most_s:.0f} seconds; send a shorter text.",
            param="provenance",
        )


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
        if not is_due and request.provenance is None:
            return None
        manifests.signer.prepare(has_stamp=request.provenance is not None)
        return cls(manifests, call, speech)

    async def finish(self, body: bytes, form: OutputForm, samples: int, rate_hz: int) -> bytes:
        """Return the file with its manifest, or the same bytes. Raises UpstreamFailed if it must have one."""
        del samples, rate_hz
        is_asked_for = self._call.request.provenance is not None
        file = SoundFile(body, MEDIA_TYPES[form.format])
        try:
            async with asyncio.timeout(None if is_asked_for else DUE_WITHIN_S):
                signed = await self._manifests.signer.embed(
                    self._facts(),
                    file,
                    self._parent(),
                    account=self._call.caller.account,
                    has_stamp=is_asked_for,
                )
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
        self._call.tally.keeps_manifest = signed.has_parent
        return signed.data

    def _parent(self) -> SoundFile | None:
        """Return the file of the provider that spoke, if it was signed and its frames pass."""
        names = self._speech.engine.split(", ")
        signed = [
            attempt.output.original
            for attempt in self._call.tally.attempts
            if attempt.output.has_manifest and attempt.model.name in names
        ]
        return SoundFile(signed[-1], MEDIA_TYPES["mp3"]) if signed and signed[-1] else None

    def _facts(self) -> ManifestFacts:
        marking = self._call.plan.marking
        mark = None if marking is None else marking.mark
        made = int(time.time() * _MICRO)
        speakers = speakers_of(self._call, self._speech)
        return ManifestFacts(made, speakers, None if mark is None else (mark.plugin, mark.key))
