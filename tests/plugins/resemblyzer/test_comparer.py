"""The comparer in its own environment and process: who is told from whom, and by how much."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache

import pytest

from proxy.features.consents.rules import judge_speakers
from speech_engine import Comparer
from speech_engine.testing.comparers import ComparerContract
from tests.plugins.resemblyzer.comparer_process import ComparerProcess, running
from tests.plugins.resemblyzer.voices import SPEAKERS, compared_part, speakers
from tests.proxy.audio.recordings.speech import quality_of, with_noise
from tests.tables import each_row

PAIRS = list(itertools.combinations(SPEAKERS, 2))


@pytest.fixture(scope="module", autouse=True)
def process() -> Iterator[ComparerProcess]:
    made = running()
    yield made
    made.end()
    running.cache_clear()


class TestResemblyzer(ComparerContract):
    def comparer(self) -> AbstractAsyncContextManager[Comparer]:
        return _running()

    def recordings(self) -> dict[str, list[bytes]]:
        return {name: [compared_part(each) for each in speakers()[name][:2]] for name in SPEAKERS[:2]}


@asynccontextmanager
async def _running() -> AsyncIterator[Comparer]:
    yield running()


@cache
def score(one: str, other: str) -> float:
    """The consent of one with a sample of the other."""
    return running().compare(compared_part(speakers()[one][0]), compared_part(speakers()[other][1]))


@each_row(("one", "other"), PAIRS, ids=lambda name: name.removeprefix("gmw/"))
def test_two_speakers_are_told_apart(process: ComparerProcess, one: str, other: str) -> None:
    """The consent of each with another sentence of its own, and with one of the other's."""
    same = min(score(name, name) for name in (one, other))
    others = max(score(one, other), score(other, one))
    print(f"{one} and {other}: same {same:.3f}, other {others:.3f}, margin {same - others:.3f}")
    assert others < same
    assert judge_speakers(same, process.scale, ("high", "high")) == "same"
    assert judge_speakers(others, process.scale, ("high", "high")) != "same"


def test_noise_leaves_the_answer_open(process: ComparerProcess) -> None:
    consent, sample = speakers()["gmw/en-US"][:2]
    noisy = with_noise(sample, 5)
    found = process.compare(compared_part(consent), compared_part(noisy))
    ratings = (quality_of(consent).rating, quality_of(noisy).rating)
    assert judge_speakers(found, process.scale, ratings) == "unsure"
