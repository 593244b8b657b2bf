"""What a job says again, and which clips are its sound: by values alone."""

import msgspec

from proxy.features.jobs.core.again import AgainBody, again_fields
from proxy.features.jobs.core.content import SoundQuery
from proxy.features.jobs.core.fields import Chapter, StepFields
from proxy.features.jobs.core.records import Job, JobClip

FIELDS = StepFields(
    sent={"voice": msgspec.Raw(b'"alloy"')},
    chapters=(
        Chapter(title="One", start=0, end=9, first=1, last=3),
        Chapter(title="Two", start=9, end=19, first=4, last=6),
    ),
    words={"Rio": "hee-oh", "Ana": "ah-na"},
)
JOB = Job(
    id="job_1",
    account="acc_ada",
    key="key_1",
    created=1,
    format="mp3",
    characters=19,
    steps=6,
    digest="",
    wrapped="",
    sealed="",
)


def clip(number: int) -> JobClip:
    return JobClip(
        step=f"step_{number}",
        job=JOB.id,
        account=JOB.account,
        number=number,
        request=f"req_{number}",
        digest=f"{number}",
        bytes=2,
        samples=1,
        sample_rate_hz=24_000,
        voices="",
    )


def test_a_new_word_counts_before_that_of_the_job() -> None:
    made = again_fields(FIELDS, JOB.id, JOB.steps, AgainBody(words={"Rio": "ree-oh"}))
    assert made.words == {"Rio": "ree-oh", "Ana": "ah-na"}


def test_no_sound_comes_after_a_gap() -> None:
    query = SoundQuery(JOB, FIELDS, None)
    spoken = [clip(number) for number in (1, 2, 4, 6)]
    assert [each.number for each in query.clips_of(spoken, None)] == [1, 2]
    assert [each.number for each in query.clips_of(spoken, 1)] == [1, 2]
    assert [each.number for each in query.clips_of(spoken, 2)] == [4]
    assert query.clips_of([clip(5), clip(6)], 2) == []
