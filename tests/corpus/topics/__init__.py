"""All topics, each a table of requests in its order."""

from tests.corpus.steps import Topic
from tests.corpus.topics import (
    accounts,
    books,
    clouds,
    doors,
    keeping,
    library,
    limits,
    operations,
    speech,
    speech_refused,
    usage,
    voices,
)

TOPICS: tuple[Topic, ...] = (
    *speech.TOPICS,
    *speech_refused.TOPICS,
    *keeping.TOPICS,
    *limits.TOPICS,
    *accounts.TOPICS,
    *books.TOPICS,
    *library.TOPICS,
    *operations.TOPICS,
    *usage.TOPICS,
    *voices.TOPICS,
    *doors.TOPICS,
    *clouds.TOPICS,
)
_OF_SPEECH = ("speech_", "cache", "idempotency", "limits", "lexicons")

SPEECH = tuple(topic for topic in TOPICS if topic.name.startswith(_OF_SPEECH))
HOUSE = tuple(topic for topic in TOPICS if topic.world == "house" and topic not in SPEECH)
OTHERS = tuple(topic for topic in TOPICS if topic.world != "house")
"""Each of the three is one file of tests, with servers of its own."""
