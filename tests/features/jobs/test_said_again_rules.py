"""What a job says again, and which clips are its sound: by values alone."""

import time

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.features.jobs.core.again import AgainBody, again_fields
from proxy.features.jobs.core.content import SoundQuery
from proxy.features.jobs.core.fields import Chapter, SourceJob, StepFields, chapter_number_at
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


@given(st.sets(st.integers(1, 40)))
def test_the_steps_that_are_said_anew_are_those_that_were_named(steps: set[int]) -> None:
    body = AgainBody(steps=tuple(steps), words={"Rio": "ree-oh"})
    again = again_fields(FIELDS, JOB.id, 40, body).again
    assert again is not None
    assert {number for number in range(50) if again.is_anew(number)} == steps


def test_many_steps_and_chapters_are_found_at_once() -> None:
    chapters = tuple(
        Chapter(title="", start=8 * number, end=8 * number + 8, first=8 * number + 1, last=8 * number + 8)
        for number in range(500)
    )
    query, clips = SoundQuery(JOB, replace(FIELDS, chapters=chapters), None), [*map(clip, range(1, 4001))]
    again = SourceJob(source="job_0", anew=tuple((number, number) for number in range(1, 20_000, 2)))
    began = time.process_time()
    assert [each.number for number in range(1, 501) for each in query.clips_of(clips, number)] == [
        *range(1, 4001)
    ]
    assert [chapter_number_at(chapters, each) for each in range(4000)] == [
        each // 8 + 1 for each in range(4000)
    ]
    assert sum(map(again.is_anew, range(1, 20_001))) == 10_000
    assert time.process_time() - began < 3  # ten times what it takes: a search of all chapters took minutes


def test_a_place_has_its_chapter_also_where_others_were_not_chosen() -> None:
    chapters = [
        Chapter(title="", start=0, end=5),
        Chapter(title="", start=5, end=9, first=1, last=2),
        Chapter(title="", start=9, end=12),
        Chapter(title="", start=12, end=20, first=3, last=3),
    ]
    assert [chapter_number_at(chapters, place) for place in (5, 8, 12, 19)] == [2, 2, 4, 4]
    assert chapter_number_at((), 3) is None


def test_no_sound_comes_after_a_gap() -> None:
    query = SoundQuery(JOB, FIELDS, None)
    spoken = [clip(number) for number in (1, 2, 4, 6)]
    assert [each.number for each in query.clips_of(spoken, None)] == [1, 2]
    assert [each.number for each in query.clips_of(spoken, 1)] == [1, 2]
    assert [each.number for each in query.clips_of(spoken, 2)] == [4]
    assert query.clips_of([clip(5), clip(6)], 2) == []
