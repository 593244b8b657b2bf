"""The comparer in its own environment and process: who is told from whom, and by how much."""

import itertools
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from plugins.espeak.data import Build, build_of, short_path
from plugins.espeak.plugin import EspeakSettings
from plugins.espeak.utterance import utterance_of
from plugins.espeak.worker import _Library, _opened
from plugins.resemblyzer.plugin import HOSTED, ResemblyzerSettings
from proxy.audio.recordings.derivation import SampleSpec, derive_sample
from proxy.config.secret import environ_for_hosts
from proxy.features.consents.rules import judge_speakers
from speech_engine import Comparer, SpeakerScale
from speech_engine.comparer import COMPARED_RATE_HZ
from speech_engine.host.plugin_messages import (
    BeginPlugin,
    ComparerReady,
    ComparisonQuestion,
    ComparisonScore,
    PluginPipe,
)
from speech_engine.testing.comparers import ComparerContract
from tests.plugins.espeak.heard import said
from tests.plugins.resemblyzer.environment import NAME, interpreter
from tests.proxy.audio.recordings.clips import Samples
from tests.proxy.audio.recordings.speech import SENTENCES, master_of, quality_of, with_noise
from tests.tables import each_row

pytestmark = pytest.mark.slow

SPEAKERS = ("gmw/en-US", "gmw/en-US+Hugo", "gmw/en-US+klatt4", "gmw/en-US+f3", "gmw/en-US+Annie")
"""Others of espeak's voices are one throat to the network."""
SPEC = SampleSpec(0.0, 30.0, COMPARED_RATE_HZ)


@cache
def speakers() -> dict[str, list[Samples]]:
    """By name. The first sentence of each is the consent."""
    settings = EspeakSettings()
    build = build_of(settings)
    with short_path(build.data) as data:
        build = Build(build.library, data)
        library = _Library(_opened(build), build)
        try:
            return {name: [_spoken(library, settings, name, text) for text in SENTENCES] for name in SPEAKERS}
        finally:
            library.end()


def _spoken(library: _Library, settings: EspeakSettings, identifier: str, text: str) -> Samples:
    parts: list[bytes] = []
    utterance = replace(utterance_of(said(text, seed=1), settings), identifier=identifier)

    def take(_segment: int, pcm: bytes, _marks: object) -> bool:
        parts.append(pcm)
        return True

    library.speak(utterance, take)
    return np.pad(np.frombuffer(b"".join(parts), "<i2") / 32768, 8000)


def compared_part(samples: Samples) -> bytes:
    return derive_sample(master_of(samples), quality_of(samples), SPEC)


class ComparerProcess:
    """A `Comparer` whose network runs in the environment. The process ends with the test's own."""

    def __init__(self) -> None:
        python = interpreter()  # first: it may skip the test
        ours, theirs = socket.socketpair()
        command = [python, "-P", "-m", "speech_engine.host.comparing", str(theirs.fileno())]
        self._process = subprocess.Popen(
            command, pass_fds=(theirs.fileno(),), env=environ_for_hosts(os.environ, ())
        )
        theirs.close()
        self._pipe = PluginPipe(ours.detach())
        self._pipe.send(BeginPlugin(NAME, HOSTED.module, msgspec.json.encode(ResemblyzerSettings())))
        ready = self._pipe.receive()
        assert isinstance(ready, ComparerReady), ready
        self.scale = SpeakerScale(ready.same, ready.other)

    def compare(self, one: bytes, other: bytes) -> float:
        self._pipe.send(ComparisonQuestion(one, other))
        answer = self._pipe.receive()
        assert isinstance(answer, ComparisonScore), answer
        assert not answer.failure, answer.failure
        return answer.score

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._pipe._socket.close()


@cache
def running() -> ComparerProcess:
    return ComparerProcess()


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
