"""The recordings themselves: one for each topic, of enough requests, and a comparison that sees changes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from tests.corpus import compare, recordings
from tests.corpus.steps import Topic
from tests.corpus.topics import TOPICS
from tests.tables import each_row

_ENOUGH = 240
Steps = list[dict[str, Any]]


def test_every_topic_has_a_recording_and_nothing_else_has_one() -> None:
    assert sorted(topic.name for topic in TOPICS) == sorted(recordings.names())


def test_there_are_enough_requests() -> None:
    assert sum(len(recordings.read(topic.name)) for topic in TOPICS) >= _ENOUGH


@each_row("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_step_has_a_name_of_its_own(topic: Topic) -> None:
    names = [step.name for step in topic.steps]
    assert len(names) == len(set(names))


def _other_code(steps: Steps) -> None:
    _named(steps, "fails before the first audio")["answer"]["json"]["error"]["code"] = "engine_timeout"


def _no_header(steps: Steps) -> None:
    del _named(steps, "speaks again")["answer"]["headers"]["x-accel-buffering"]


def _other_word(steps: Steps) -> None:
    _named(steps, "speaks again")["answer"]["audio"]["words"] = ["Hullo."]


def _other_charge(steps: Steps) -> None:
    _named(steps, "speaks again")["usage"]["credits"] = 0.793


def _no_row(steps: Steps) -> None:
    del _named(steps, "has a bug")["usage"]


def _louder(steps: Steps) -> None:
    _named(steps, "speaks again")["answer"]["audio"]["loudness_db"] += 1.0


def _one_sample_less(steps: Steps) -> None:
    _named(steps, "speaks again")["answer"]["audio"]["samples"] -= 1


@each_row(
    ("change", "line"),
    [
        (
            _other_code,
            "fails before the first audio: answer.json.error.code: "
            'was "engine_unavailable", is "engine_timeout"',
        ),
        (_no_header, 'speaks again: answer.headers.x-accel-buffering: was "no", is missing'),
        (_other_word, 'speaks again: answer.audio.words.0: was "Hello.", is "Hullo."'),
        (_other_charge, "speaks again: usage.credits: was 0.792, is 0.793"),
        (_no_row, "has a bug: usage: was {"),
        (_louder, "speaks again: answer.audio.loudness_db: was "),
        (_one_sample_less, "speaks again: answer.audio.samples: was "),
    ],
)
def test_a_change_is_a_line_that_names_the_place(change: Callable[[Steps], None], line: str) -> None:
    was = recordings.read("speech_failures")
    now = copy.deepcopy(was)
    change(now)
    found = compare.differences("speech_failures", was, now)
    assert len(found) == 1
    assert found[0].startswith(f"speech_failures / {line}")


def test_a_step_that_is_gone_or_new_is_a_line() -> None:
    was = recordings.read("speech_failures")
    assert len(compare.differences("speech_failures", was, was[1:])) == 1
    assert len(compare.differences("speech_failures", was[1:], was)) == 1


def test_a_change_that_encoders_may_make_is_no_difference() -> None:
    was = [{"name": "a", "answer": {"audio": {"samples_about": 20_000, "loudness_db": -12.0}}}]
    now = [{"name": "a", "answer": {"audio": {"samples_about": 21_000, "loudness_db": -12.2}}}]
    assert compare.differences("any", was, now) == []


def _named(steps: Steps, name: str) -> dict[str, Any]:
    return next(step for step in steps if step["name"] == name)
