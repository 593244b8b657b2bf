"""The receipt of a dub: which files were made, and whose voices are in them. Nobody signs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from proxy.feature import RevisionContext
from proxy.features.jobs.core.fields import JOB_MEDIA_TYPES
from proxy.features.jobs.core.file_writer import FileWriter
from proxy.features.jobs.core.records import Job
from proxy.features.marks.clip_facts import ClipMark, ClipSpeaker
from proxy.features.marks.mark_filter import possible_marking
from proxy.features.marks.provenance_observer import PlannedFacts
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


class DubReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of a dub. `sha256`, `bytes` and what follows are those of its track."""

    kind: str = "dub"
    request: str
    made: str
    sha256: str
    bytes: int
    media_type: str
    format: str
    sample_rate_hz: int
    samples: int
    speakers: tuple[ClipSpeaker, ...]
    mark: ClipMark | None
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
        mark=None if mark is None else ClipMark(mark.plugin, mark.key),
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


def receipt_answer(receipt: bytes, revision: RevisionContext) -> bytes:
    """Return a receipt as its account gets it, with the name of the operator."""
    claims = {"iss": revision.config.consent.operator, **msgspec.json.decode(receipt)}
    return encode_json({"object": "audio.receipt", "id": claims["request"], "claims": claims})
