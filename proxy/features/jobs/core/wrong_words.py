"""Reads the words of a job that were spoken wrong, and stayed wrong after the corrections, from the sealed
reports of its steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from proxy.features.jobs.core.fields import Chapter, chapter_number_at
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.records import Job
from proxy.file_store.vault import VaultFailed
from proxy.speech.answer_check import CheckReport
from proxy.speech.part_check import WrongWords
from proxy.storage.usage import IS_WRONG

MOST_NAMED = 20
"""The most places that the warnings of a job name."""


class WrongStep(NamedTuple):
    """A step with wrong words: its number, the start of its piece in the text of the job, and the digest of
    its report."""

    number: int
    first: int
    told: str


_WRONG_STEPS = f"""
SELECT job_steps.number, job_steps.first, job_clips.told FROM job_steps
JOIN job_clips ON job_clips.step = job_steps.id JOIN usage ON usage.id = job_clips.request
WHERE job_steps.job = :job AND job_clips.told <> '' AND {IS_WRONG}
ORDER BY job_steps.number LIMIT {MOST_NAMED + 1}
"""


class _Report(msgspec.Struct, frozen=True):
    check: CheckReport | UnsetType = UNSET


async def wrong_words(files: JobFiles, job: Job, step: WrongStep) -> Sequence[WrongWords]:
    """Return the wrong words of a step, with their places in the text of the job, or in a batch of the
    line."""
    try:
        report = msgspec.json.decode(await files.whole(job.account, step.told), type=_Report)
    except VaultFailed:
        return ()  # the job is shown without them
    words = (report.check.wrong or ()) if report.check else ()
    return [replace(word, start=word.start + step.first, end=word.end + step.first) for word in words]


async def warnings(
    files: JobFiles, job: Job, chapters: Sequence[Chapter], *, is_one_text: bool, is_own: bool
) -> list[str]:
    """Return a warning for each place that was spoken wrong in an ended job. Only its account sees the words
    (`is_own`)."""
    found: list[str] = []
    for row in await files.store.read_long(_WRONG_STEPS, {"job": job.id}):
        step = WrongStep(row["number"], row["first"] if is_one_text else 0, row["told"])
        for word in await wrong_words(files, job, step):
            if len(found) == MOST_NAMED:
                return [*found, "more was said wrong: see the steps"]
            chapter = chapter_number_at(chapters, step.first)
            place = "" if chapter is None else f"chapter {chapter}, "
            if job.kind == "batch":
                place = f"line {step.number}, "
            words = f": heard {word.transcribed!r}, not {word.wanted!r}" if is_own else ""
            found.append(f"{place}characters {word.start} to {word.end} were said wrong{words}")
    return found
