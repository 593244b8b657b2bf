"""libav works in the thread that calls it: no encoder, tempo or resampler has threads of its own."""

import os
import subprocess
import sys
from contextlib import closing

from proxy.audio.encode import open_encoder
from proxy.audio.fitting import Speed
from proxy.audio.formats import USUAL_FORMS
from tests.sound import tone
from tests.tables import each_row

_COUNT = """
import ctypes, importlib
from av import _core
libav = ctypes.CDLL(_core.__file__)
libav.av_cpu_force_count(7)
importlib.import_module({module!r})
print(libav.av_cpu_count())
"""


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


@each_row(
    "module",
    ["proxy.audio.compressed", "proxy.audio.recordings.decoding", "proxy.features.samples.measuring"],
)
def test_whoever_opens_libav_forbids_its_threads(module: str) -> None:
    program = [sys.executable, "-c", _COUNT.format(module=module)]
    assert subprocess.run(program, capture_output=True, text=True, check=True).stdout == "1\n"
