"""libav works in the thread that calls it: no encoder, tempo or resampler has threads of its own."""

import io
import os
from contextlib import closing

import av

from proxy.audio.encode import open_encoder
from proxy.audio.fitting import Speed
from proxy.audio.formats import USUAL_FORMS
from proxy.audio.recordings.decoding import decode
from proxy.audio.recordings.recording import Decoded
from tests.sound import tone


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


def test_no_answer_has_a_thread_for_each_core() -> None:
    before, pcm = _threads(), tone(440, 0.3)
    for name in ("mp3", "opus", "aac", "flac"):
        with closing(open_encoder(USUAL_FORMS[name])) as encoder:
            encoder.feed(pcm)
            assert _threads() == before, name
    speed = Speed(1.5)
    speed.feed(pcm)
    assert _threads() == before


def test_no_upload_has_a_thread_for_each_core() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=24_000, layout="mono")
        frame = av.AudioFrame(format="s16", layout="mono", samples=4_096)
        frame.sample_rate = 24_000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    before = _threads()
    assert isinstance(decode(file.getvalue()), Decoded)
    assert _threads() == before
    resampler = av.AudioResampler("flt", "mono", 16_000)
    resampler.resample(frame)
    assert _threads() == before
