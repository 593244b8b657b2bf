"""Hostile and broken files: none ends the decoder, none takes much, and what is no recording is refused."""

import resource
import time
from collections import Counter
from itertools import chain, islice

import psutil
import pytest

from proxy.audio.recordings.decoder import Decoder
from proxy.audio.recordings.decoding_child import MOST_CPU_S
from proxy.audio.recordings.recording import MOST_S, UnusableRecording
from tests.proxy.audio.recordings.bombs import bombs
from tests.proxy.audio.recordings.clips import wav
from tests.proxy.audio.recordings.corpus import Outcome, broken, corpus, outcomes
from tests.sound import tone
from tests.tables import soak

pytestmark = pytest.mark.slow

MOST_MB = 320
SLOW = ("an hour of flac", "hours of aac", "packed samples beyond memory")
MADE_FOR_OTHERS = ("hls", "concat", "pls", "sdp", "dash", "smil", "png", "jpeg", "pdf", "zip", "video alone")
THROUGH_THE_SERVER = (
    "an hour of opus in a hundred kilobytes",
    *soak("packed samples, many", "wav of 1 Hz", "noise 3"),
)


def expect_all_to_be_bounded(found: dict[str, Outcome]) -> None:
    for name, outcome in found.items():
        assert outcome.peak_mb < MOST_MB, name
        assert outcome.seconds < MOST_CPU_S, name
        assert outcome.kept_s <= MOST_S, name


def test_none_ends_the_decoder_and_none_takes_much() -> None:
    """A part of the corpus."""
    files = [(name, make) for name, make in bombs() if name not in SLOW]
    found = outcomes(chain(files, islice(broken(), 0, None, 4)))
    assert len(found) > 200
    expect_all_to_be_bounded(found)
    refused = {name for name, outcome in found.items() if outcome.made == "undecoded"}
    assert {name for name in found if name.startswith(MADE_FOR_OTHERS)} <= refused


@pytest.mark.parametrize("name", THROUGH_THE_SERVER)
async def test_the_server_stays_as_large_as_it_was(name: str) -> None:
    data = dict(bombs())[name]()
    decoder, process = Decoder(), psutil.Process()
    before = process.memory_info().rss
    try:
        recording = await decoder.decode(data)
        assert recording.seconds <= MOST_S
        assert process.memory_info().rss - before < 4 * len(recording.master) + 2**25
    except UnusableRecording:
        assert process.memory_info().rss - before < 2**25
    finally:
        await decoder.close()


@pytest.mark.soak
async def test_no_file_is_a_fault_of_the_server() -> None:
    """Each is decoded as an upload is: in a process of its own."""
    decoder, made, slowest = Decoder(), Counter[str](), 0.0
    try:
        for name, make in corpus():
            data, began = make(), time.monotonic()
            try:
                recording = await decoder.decode(data)
                assert 0 < recording.seconds <= MOST_S, name
                made["decoded"] += 1
            except UnusableRecording as refused:
                made[str(refused)] += 1
            slowest = max(slowest, time.monotonic() - began)
        assert (await decoder.decode(wav(tone(440, 1.0)))).seconds == 1.0
    finally:
        await decoder.close()
    assert made.total() >= 300
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{made.total()} files, slowest {slowest:.1f} s, a child {children} MB, the server {own} MB, {made}"
    )


@pytest.mark.soak
def test_no_file_ends_a_decoder_that_sees_them_all() -> None:
    found = outcomes(corpus())
    expect_all_to_be_bounded(found)
    most, slowest = (max(getattr(each, what) for each in found.values()) for what in ("peak_mb", "seconds"))
    print(f"{len(found)} files in one process: at most {most} MB, and {slowest:.1f} s for one")
