"""The whole corpus of hostile and broken files, each decoded as an upload is: in a process of its own."""

from __future__ import annotations

import resource
import time
from collections import Counter

from proxy.audio.recordings.decoder import Decoder
from proxy.audio.recordings.recording import MOST_S, UnusableRecording
from tests.proxy.audio.recordings.clips import wav
from tests.proxy.audio.recordings.corpus import corpus, outcomes
from tests.proxy.audio.recordings.test_corpus import expect_all_to_be_bounded
from tests.sound import tone


async def test_no_file_is_a_fault_of_the_server() -> None:
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


def test_no_file_ends_a_decoder_that_sees_them_all() -> None:
    found = outcomes(corpus())
    expect_all_to_be_bounded(found)
    most, slowest = (max(getattr(each, what) for each in found.values()) for what in ("peak_mb", "seconds"))
    print(f"{len(found)} files in one process: at most {most} MB, and {slowest:.1f} s for one")
