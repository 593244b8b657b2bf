"""Joins the sound of a job's steps, with the pauses that the file adds between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

from proxy.audio.formats import SAMPLE_BYTES, silence
from proxy.features.jobs.core.fields import StepFields
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.m4b_facts import M4bChapter
from proxy.features.jobs.core.records import JobClip
from proxy.file_store.sealed_blobs import BlobRange, StoredFile


def added_silences(clips: Sequence[JobClip], fields: StepFields) -> list[int]:
    """Return the number of samples of silence that the file adds before each clip. A pause is from the last
    sound to the first one, so the clips' own silence is a part of it."""
    pauses = dict(fields.pauses)
    own_ms = [before.tail_ms + clip.head_ms for before, clip in pairwise(clips)]
    added_s = [pauses.get(clip.number, 0.0) - ms / 1000 for clip, ms in zip(clips[1:], own_ms, strict=True)]
    return [0, *(max(0, round(each * clips[0].sample_rate_hz)) for each in added_s)]


class JoinedSound:
    """The PCM of some clips in a row, and the chapters in it as `marks`. No pause is added before the first
    clip."""

    def __init__(self, files: JobFiles, clips: Sequence[JobClip], fields: StepFields) -> None:
        self.clips = clips
        self.rate_hz = clips[0].sample_rate_hz
        added = added_silences(clips, fields)
        # Pauses of the same length share their bytes.
        silences = {length: silence(length) for length in set(added)}
        segments = list[bytes | BlobRange]()
        for clip, length in zip(clips, added, strict=True):
            if length:
                segments.append(silences[length])
            segments.append(BlobRange(clip.digest, 0, clip.bytes))
        self.file = StoredFile(files, clips[0].account, segments)
        self.samples = self.file.size // SAMPLE_BYTES
        ends = [*accumulate(n + clip.bytes // SAMPLE_BYTES for n, clip in zip(added, clips, strict=True))]
        begins = [end - clip.bytes // SAMPLE_BYTES for end, clip in zip(ends, clips, strict=True)]
        self.marks = _marks(
            fields, dict(zip((clip.number for clip in clips), begins, strict=True)), self.samples
        )


def _marks(fields: StepFields, begins: Mapping[int, int], samples: int) -> list[M4bChapter]:
    """Return the chapters of a sound. `begins` has the first sample of each step."""
    found = [(each.title, begins[each.first]) for each in fields.chapters if each.first in begins]
    starts = [0, *[begin for _, begin in found[1:]], samples]
    return [
        M4bChapter(title, start, end)
        for (title, _), start, end in zip(found, starts, starts[1:], strict=False)
    ]
