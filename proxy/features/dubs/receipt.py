"""The receipt of a dub: which files were made, and whose voices are in them. It has the claims of a clip's
receipt for the track, so `voxgate marks receipts check` reads it, and is signed when it is fetched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from proxy.feature import RevisionContext
from proxy.features.jobs.core.fields import JOB_MEDIA_TYPES
from proxy.features.jobs.core.file_writer import FileWriter
from proxy.features.jobs.core.records import Job
from proxy.features.marks.jws import RECEIPT_TYPE
from proxy.features.marks.mark_filter import possible_marking
from proxy.features.marks.provenance_observer import PlannedFacts
from proxy.features.marks.receipt_endpoints import ReceiptMark, SoundClaims
from proxy.features.marks.receipt_records import ClipSpeaker
from proxy.features.marks.ring_source import ReceiptRing
from proxy.http.lists import iso_time
from proxy.http.replies import encode_json
from proxy.speech.call import SpeechCall


class ReceiptFile(msgspec.Struct, frozen=True):
    name: str
    sha256: str
    bytes: int


class ReceiptVoice(msgspec.Struct, frozen=True):
    """A speaker of the subtitles, their voice, and the digests of the consents that it needs."""

    name: str
    voice: str
    consents: tuple[str, ...]


class DubReceipt(SoundClaims, frozen=True, kw_only=True):
    kind: str = "dub"
    files: Sequence[ReceiptFile]
    voices: Sequence[ReceiptVoice]


def receipt_of(
    job: Job,
    made: int,
    samples: int,
    rate_hz: int,
    writers: Mapping[str, FileWriter],
    calls: Mapping[str, SpeechCall],
) -> DubReceipt:
    """Return the receipt of a job whose files were `made` at this time. `writers` are by the names of files,
    the track first, and `calls` by the names of speakers."""
    files = [
        ReceiptFile(name, each.digest.hexdigest(), sum(row.bytes for row in each.rows))
        for name, each in writers.items()
    ]
    facts = {name: PlannedFacts(call.plan) for name, call in calls.items()}
    markings = filter(None, (possible_marking(call.plan) for call in calls.values()))
    mark = next((each.mark for each in markings if each.mark is not None), None)
    return DubReceipt(
        request=job.id,
        made=iso_time(made),
        sha256=files[0].sha256,
        bytes=files[0].bytes,
        media_type=JOB_MEDIA_TYPES[job.format],
        format=job.format,
        samples=samples,
        sample_rate_hz=rate_hz,
        files=files,
        voices=[ReceiptVoice(name, call.plan.voice.id, facts[name].consents) for name, call in calls.items()],
        speakers=_models(calls.values(), facts.values()),
        mark=None if mark is None else ReceiptMark(mark.plugin, mark.key),
    )


def _models(calls: Iterable[SpeechCall], facts: Iterable[PlannedFacts]) -> tuple[ClipSpeaker, ...]:
    """Return the models that speak if none fails, each once."""
    found = [
        speaker
        for call, own in zip(calls, facts, strict=True)
        for part in call.plan.parts
        for model in part.candidates[0].models
        for speaker in own.speakers[model.name]
    ]
    return tuple(dict.fromkeys(found))


def signed_receipt(receipt: bytes, revision: RevisionContext) -> bytes:
    """Return a receipt with its signature, or without one where the server keeps no receipts."""
    ring = revision.context.find_shared_or(ReceiptRing())
    claims = {"iss": ring.operator, **msgspec.json.decode(receipt)}
    answer = {"object": "audio.receipt", "id": claims["request"], "claims": claims}
    if (keys := ring.keys) is not None:
        answer |= {"jws": keys.newest.sign(encode_json(claims), RECEIPT_TYPE), "jwk": keys.newest.jwk}
    return encode_json(answer)
