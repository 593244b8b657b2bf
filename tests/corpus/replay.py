"""A topic played once more, and compared with its recording."""

import pytest

from tests.corpus import compare, recordings
from tests.corpus.player import play
from tests.corpus.steps import Topic
from tests.corpus.worlds import World


def check(topic: Topic, world: World) -> None:
    """Fails with a line for each difference; only `record` renews a recording."""
    now = recordings.plain(play(topic, world))
    if found := compare.differences(topic.name, recordings.read(topic.name), now):
        pytest.fail(f"{len(found)} differences\n" + "\n".join(found), pytrace=False)
