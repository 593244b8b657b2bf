"""The recordings themselves: one for each topic, of enough requests, and a comparison that sees changes."""

from tests.corpus import recordings
from tests.corpus.steps import Topic
from tests.corpus.topics import TOPICS
from tests.tables import each_row

_ENOUGH = 240


def test_every_topic_has_a_recording_and_nothing_else_has_one() -> None:
    assert sorted(topic.name for topic in TOPICS) == sorted(recordings.names())


def test_there_are_enough_requests() -> None:
    assert sum(len(recordings.read(topic.name)) for topic in TOPICS) >= _ENOUGH


@each_row("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_step_has_a_name_of_its_own(topic: Topic) -> None:
    names = [step.name for step in topic.steps]
    assert len(names) == len(set(names))
