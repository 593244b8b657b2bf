"""Keys at the door, commands, and the engines of the cloud: as recorded."""

from tests.corpus import replay
from tests.corpus.conftest import WorldOf
from tests.corpus.steps import Topic
from tests.corpus.topics import OTHERS
from tests.tables import each_row


@each_row("topic", OTHERS, ids=lambda topic: topic.name)
def test_a_topic_is_answered_as_it_was_recorded(topic: Topic, world_of: WorldOf) -> None:
    replay.check(topic, world_of(topic.world))
