"""`python -m tests.corpus.record [TOPIC …]`: plays all topics, or some, and writes their recordings."""

import sys
import tempfile
import time
from itertools import groupby
from pathlib import Path

from tests.corpus import recordings
from tests.corpus.player import play
from tests.corpus.topics import TOPICS
from tests.corpus.worlds import opened


def main(names: list[str]) -> None:
    if unknown := sorted({*names} - {topic.name for topic in TOPICS}):
        sys.exit(f"there is no topic {', '.join(unknown)}")
    wanted = [topic for topic in TOPICS if not names or topic.name in names]
    for world_name, topics in groupby(
        sorted(wanted, key=lambda topic: topic.world), lambda topic: topic.world
    ):
        with tempfile.TemporaryDirectory() as folder, opened(world_name, Path(folder)) as world:
            for topic in topics:
                began = time.monotonic()
                steps = play(topic, world)
                unsaved = [step["name"] for step in steps if "unsaved" in step["answer"]]
                assert not unsaved, f"{topic.name}: nothing to save in the answers of {unsaved}"
                recordings.write(topic.name, steps)
                print(f"{topic.name}: {len(steps)} steps in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
