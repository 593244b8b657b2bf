"""Records the facts of an answer, and signs its manifest.

A manifest is inside every marked WAV that is sent whole, and inside any file for which a request asks. For
all other marked answers it is signed when it is fetched.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterable
from functools import partial

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter

from proxy.audio.formats import MEDIA_TYPES
from proxy.errors import TooLongToSign, UpstreamFailed
from proxy.features.marks.clip_facts import ClipFacts, ClipSpeaker, FactsRow, ManifestPlace
from proxy.features.marks.manifest import ManifestFacts
from proxy.features.marks.manifests import ROOT, Manifests
from proxy.features.marks.mark_filter import marking_of, possible_marking
from proxy.features.marks.original_file import OriginalFile
from proxy.features.marks.signer import SignerUnavailable, SoundFile
from proxy.features.marks.source_file import SourceFile, media_type
from proxy.helpers.limiter import FairPlace
from proxy.ledger import Spent
from proxy.speech.answer_file import AnswerFile
from proxy.speech.call import OpenObserver, SpeechCall
from proxy.speech.observer import Observer
from proxy.speech.planning import SpeechPlan
from proxy.speech.speech_request import SourceSound, SpeechRequest
from proxy.speech.speech_stream import FileSink, SoundDigest, Speech
from proxy.storage.rows import encode_json

DUE_WITHIN_S = 3.0
"""How long a WAV waits for its manifest if the request did not ask for one: it can be fetched beside the
WAV."""

_MICRO = 1_000_000
_RETRY_S = 5.0


class ProvenanceObservers:
    """Opens an observer for each answer that gets a mark or a manifest."""

    def __init__(self, manifests: Manifests, lost: LostManifests) -> None:
        self._manifests = manifests
        self._lost = lost

    def opener(self, request: SpeechRequest, plan: SpeechPlan) -> OpenObserver | None:
        if possible_marking(plan) is None and request.provenance is None:
            return None
        return partial(self._open, PlannedFacts(plan))

    def _open(self, planned: PlannedFacts, call: SpeechCall) -> Observer:
        if not call.is_stream:
            return Observer()  # it sees a piece before its sound is encoded with those of the others
        kind: type[_ProvenanceObserver] = _StreamObserver
        if call.goes_whole:
            marking, request = possible_marking(call.plan), call.request
            is_due = marking is not None and marking.has_manifest and request.form.format == "wav"
            kind = _SignedFileObserver if is_due or request.provenance is not None else _FileObserver
        return kind(self._manifests, self._lost, call, planned)


class _ProvenanceObserver(Observer):
    def __init__(
        self, manifests: Manifests, lost: LostManifests, call: SpeechCall, planned: PlannedFacts
    ) -> None:
        self._manifests = manifests
        self._lost = lost
        self._call = call
        self._planned = planned
        self._has_manifest = False
        # The plugin of the mark, and the id of its key.
        self._mark: tuple[str, str] | None = None
        self._manifest: ManifestPlace = ""
        self._manifest_id = ""
        self._digest = hashlib.sha256()
        self._sound_digest = SoundDigest()
        self._bytes = 0
        self._speech: Speech | None = None

    def begin(self, speech: Speech) -> None:
        self._speech = speech
        if self._call.plan.treatment is not None:
            self._note_marking(speech)

    def _note_marking(self, speech: Speech) -> None:
        marking = marking_of(self._call.plan, speech.engine)
        if marking is not None and (mark := marking.mark) is not None:
            self._mark = mark.plugin, mark.key
        self._has_manifest = marking is not None and marking.has_manifest
        if self._has_manifest and (id_ := self._manifests.id_of(self._call.id)):
            self._manifest, self._manifest_id = "sidecar", id_

    def headers(self) -> Iterable[tuple[bytes, bytes]]:
        if self._manifest != "sidecar":
            return ()
        return ((b"link", f'<{ROOT}/{self._manifest_id}>; rel="c2pa-manifest"'.encode()),)

    def settle(self, spent: Spent) -> Spent:
        # A manifest beside the clip is signed later, from the digest in these facts.
        call, speech = self._call, self._speech
        if speech is None or not (self._mark or self._has_manifest):
            return spent
        plugin, key = self._mark or ("", "")
        source = call.request.source
        sha256 = self._sound_digest.sha256 = self._sound_digest.sha256 or self._digest.hexdigest()
        facts = ClipFacts(
            sha256=sha256,
            bytes=self._bytes,
            format=call.request.form.format,
            samples=spent.samples,
            sample_rate_hz=speech.sample_rate_hz,
            speakers=self._planned.speakers[speech.engine],
            language=call.plan.language,
            consents=self._planned.consents if source is None else self._consents(source),
            mark=plugin,
            mark_key=key,
            manifest=self._manifest,
            made=int(time.time() * _MICRO),
            kind="speech" if source is None else "conversion",
            source="" if source is None else source.digest,
        )
        row = FactsRow(call.id, call.caller.account, encode_json(facts))
        return msgspec.structs.replace(spent, rows=(*spent.rows, row))

    def _consents(self, source: SourceSound) -> tuple[str, ...]:
        planned, own_consent = self._planned.consents, source.consent
        return (*planned, own_consent) if own_consent and own_consent not in planned else planned


class _StreamObserver(_ProvenanceObserver):
    """Takes the digest of a stored clip from the clip, and computes that of other answers."""

    def begin(self, speech: Speech) -> None:
        self._speech = speech
        if (stored := speech.stored) is not None:
            self._sound_digest = stored.digest
        if self._call.plan.treatment is not None:
            self._note_marking(speech)

    def chunk(self, data: bytes) -> None:
        self._bytes += len(data)
        if not self._sound_digest.sha256:
            self._digest.update(data)


class _FileObserver(_ProvenanceObserver):
    def piece(self, data: bytes) -> None:
        self._bytes += len(data)
        self._digest.update(data)


class _SignedFileObserver(_FileObserver):
    """Makes the file of the answer with its manifest inside."""

    _place: FairPlace | None = None
    rewrites = True

    def begin(self, speech: Speech) -> None:
        super().begin(speech)
        self.rewrites = self._has_manifest or self._call.request.provenance is not None

    async def take_place(self) -> None:
        """Reserve a place for a file that must be signed, before an engine speaks."""
        is_required = self._call.request.provenance is not None
        self._manifests.signer.prepare(wants_stamp=is_required)
        if not is_required:
            return
        try:
            self._place = await self._manifests.signer.take_place(self._call.caller.account)
        except SignerUnavailable:
            raise self._unavailable() from None

    async def whole(self, file: AnswerFile, new: FileSink) -> bool:
        """Write the file with its manifest to `new`. Return False if it stays without one.

        Raises UpstreamFailed and TooLongToSign if the request asks for a manifest."""
        is_required = self._call.request.provenance is not None
        if self._speech is None:
            return False
        to_sign = SoundFile(file, MEDIA_TYPES[self._call.request.form.format])
        try:
            async with asyncio.timeout(None if is_required else DUE_WITHIN_S):
                answer = await self._manifests.signer.embed(
                    self._facts(self._speech),
                    to_sign,
                    new,
                    self._parent(file, self._speech),
                    account=self._call.caller.account,
                    place=self._place,
                )
        except (SignerUnavailable, TimeoutError):
            if not is_required:
                return False
            raise self._unavailable() from None
        if answer is None:
            if not is_required:
                return False
            raise TooLongToSign(
                "The audio became too long for a file with the manifest that 'provenance' asks for."
            )
        if answer.has_parent and self._call.request.source is None:
            self._lost.keep_parent(self._call)
        self._manifest = "embedded"
        return True

    def end(self, error: BaseException | None) -> None:
        """Give the place back, if the file is not being signed."""
        if self._place is not None:
            self._place.give_back()

    def _unavailable(self) -> UpstreamFailed:
        self._call.totals.error = "manifest_unavailable"
        return UpstreamFailed(
            "The manifest that 'provenance' asks for cannot be signed right now.",
            param="provenance",
            code="manifest_unavailable",
            retry_after_s=_RETRY_S,
        )

    def _parent(self, file: AnswerFile, speech: Speech) -> SoundFile | None:
        """Return the converted recording, or the provider's signed file if the answer has its MP3 frames."""
        if (source := self._call.request.source) is not None:
            signed_file = source.file
            return SoundFile(SourceFile(signed_file), media_type(signed_file)) if signed_file else None
        names = speech.engine.split(", ")
        signed = [
            attempt.output.original
            for attempt in self._call.totals.attempts
            if attempt.output.has_manifest and attempt.model.name in names
        ]
        if not signed or (original := signed[-1]) is None or original.sound_bytes != file.size:
            return None
        return SoundFile(OriginalFile(file, original), MEDIA_TYPES["mp3"])

    def _facts(self, speech: Speech) -> ManifestFacts:
        made = int(time.time() * _MICRO)
        source = self._call.request.source
        digest = "" if source is None else source.digest
        return ManifestFacts(made, self._planned.speakers[speech.engine], self._mark, digest)


class PlannedFacts:
    """The facts of a plan that hold for each of its clips.

    `consents` are the digests of all its voices' consents, with members of mixes and voices of post-steps.
    """

    def __init__(self, plan: SpeechPlan) -> None:
        voices = [voice for part in plan.parts for voice in part.named_voices]
        self.consents = tuple(dict.fromkeys(voice.consent for voice in voices if voice.consent))
        candidates = [candidate for part in plan.parts for candidate in part.candidates]
        models = [model for candidate in candidates for model in candidate.models]
        self.speakers = _Speakers(
            (model.name, (ClipSpeaker(model.name, model.info.licence, model.info.is_trained),))
            for model in models
        )


class _Speakers(dict[str, tuple[ClipSpeaker, ...]]):
    """The models that spoke, by `Speech.engine`, which joins several names by commas."""

    def __missing__(self, engine: str) -> tuple[ClipSpeaker, ...]:
        found: list[ClipSpeaker] = []
        for name in dict.fromkeys(engine.split(", ")):
            found += self.get(name) or (ClipSpeaker(name, ""),)
        return tuple(found)


_log = structlog.get_logger()


class LostManifests:
    """Counts the manifests of providers that are not in our sound.

    An answer whose manifest has the provider's file as its parent has lost none.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lost = Counter(
            "voxgate_manifests_lost",
            "Answers without the manifest that their provider had put into the sound.",
            ["engine"],
            registry=registry,
        )
        self._calls_with_parent: set[str] = set()
        self._logged_engines: set[str] = set()

    def keep_parent(self, call: SpeechCall) -> None:
        """Note that the manifest of this answer has the provider's file as its parent."""
        self._calls_with_parent.add(call.id)

    def count_lost(self, call: SpeechCall) -> None:
        if call.id in self._calls_with_parent:
            self._calls_with_parent.remove(call.id)
            return
        signed: set[str] = set()
        for attempt in call.totals.attempts:
            if attempt.output.has_manifest:
                signed.add(attempt.model.engine)
        for engine in signed:
            self._lost.labels(engine).inc()
            if engine not in self._logged_engines:
                self._logged_engines.add(engine)
                _log.warning("manifest.provider.lost", engine=engine)
