"""The facts of a clip for its receipt: who spoke it, under which licences and consents, and its marks."""

from __future__ import annotations

import time

from proxy.provenance.clip_digest import ClipDigest
from proxy.speech.call import SpeechCall
from proxy.speech.speech_stream import Speech
from proxy.storage.receipts import ClipFacts, ClipSpeaker, ManifestPlace

_MICRO = 1_000_000


def clip_facts(
    call: SpeechCall, speech: Speech, digest: ClipDigest, samples: int, manifest: ManifestPlace
) -> ClipFacts:
    """Return what is known of a clip that is whole: its bytes are all in the digest."""
    marking = call.plan.marking
    mark = None if marking is None else marking.mark
    return ClipFacts(
        sha256=digest.sha256,
        bytes=digest.bytes,
        format=call.request.form.format,
        samples=samples,
        sample_rate_hz=speech.sample_rate_hz,
        speakers=speakers_of(call, speech),
        language=call.plan.language,
        consents=_consents(call),
        mark="" if mark is None else mark.plugin,
        mark_key="" if mark is None else mark.key,
        manifest=manifest,
        made=int(time.time() * _MICRO),
    )


def speakers_of(call: SpeechCall, speech: Speech) -> tuple[ClipSpeaker, ...]:
    """Return the models that spoke. A kept clip names them, and they were candidates of this plan as well."""
    infos = {
        candidate.model.name: candidate.model.info
        for part in call.plan.parts
        for candidate in part.candidates
    }
    names = dict.fromkeys(speech.engine.split(", "))
    return tuple(
        ClipSpeaker(name, infos[name].licence, infos[name].is_trained)
        if name in infos
        else ClipSpeaker(name, "")
        for name in names
    )


def _consents(call: SpeechCall) -> tuple[str, ...]:
    """Return the digests of the consents of all voices that were heard, those in a mix too."""
    voices = [voice for part in call.plan.parts for voice in (part.voice, *part.voice.members)]
    return tuple(dict.fromkeys(voice.consent for voice in voices if voice.consent))
