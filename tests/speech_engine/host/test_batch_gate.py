"""Who fits beside a batch: further parts of an answer pass, and what follows an answer is counted once."""

import msgspec

from speech_engine import SpeechJob
from speech_engine.host.batch_model import BatchSettings
from speech_engine.host.continuity import listener_of
from speech_engine.host.no_gap import REMEMBERED_S, AdmittedAnswers, waits_s
from speech_engine.host.step_times import StepTimes
from tests.speech_engine.host.batches import job

_SETTINGS = BatchSettings(width=2, rows=8)


def part(id_: str, follows_s: float = 0.0, tenant: str = "acc_1") -> SpeechJob:
    made = job(id_, "x" * 10, follows_s=follows_s)
    return msgspec.structs.replace(made, tenant=tenant, estimated_s=10.0)


def times() -> StepTimes:
    """Of steps that make little more than two seconds a second, of two rows."""
    measured = StepTimes(0.04)
    for step in range(50):
        measured.learn(1 + step % 2, 0.035)
    return measured


def waits(newcomer: SpeechJob, present: list[SpeechJob], admitted: tuple[SpeechJob, ...] = ()) -> float:
    listeners = [(each.id, listener_of(each, _SETTINGS, 0.0)) for each in (*present, *admitted)]
    return waits_s(listener_of(newcomer, _SETTINGS, 0.0), listeners, _SETTINGS, times(), 2, 0.0)


def test_the_next_part_of_an_answer_is_no_newcomer_until_the_last_has_come() -> None:
    answers = AdmittedAnswers()
    answers.note(part("a", follows_s=5.0), 0.0)
    assert answers.goes_on(part("a"))
    assert not answers.goes_on(part("b"))
    assert not answers.goes_on(part("a", tenant="acc_2"))
    answers.note(part("a"), 1.0)
    assert not answers.goes_on(part("a"))


def test_an_answer_whose_next_part_never_comes_is_forgotten() -> None:
    answers = AdmittedAnswers()
    answers.note(part("a", follows_s=5.0), 0.0)
    answers.note(part("b"), 10.0 + REMEMBERED_S - 0.1)
    assert answers.goes_on(part("a"))
    answers.note(part("b"), 10.0 + REMEMBERED_S + 0.1)
    assert not answers.goes_on(part("a"))
    assert repr(answers) == "<AdmittedAnswers: 0>"


def test_what_follows_the_parts_of_an_answer_is_counted_once() -> None:
    once = waits(part("new"), [part("a"), part("a", 30.0)])
    assert waits(part("new"), [part("a", 30.0), part("a", 30.0)]) == once
    assert waits(part("new"), [part("a", 30.0), part("b", 30.0)]) > once > 0.0


def test_those_that_were_let_in_and_have_not_come_yet_count() -> None:
    crowd = tuple(part(id_) for id_ in "abcd")
    assert waits(part("new"), []) == 0.0
    assert waits(part("new"), [], crowd) > 0.0
    assert waits(part("new"), [], crowd) == waits(part("new"), list(crowd))
