"""A mark in a process of its own: answers are marked, and its end is the server's fault and nobody's bill."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.faults.plugin_folders import environ, install
from tests.proxy.audio.recordings.clips import wav
from tests.server import Server, running
from tests.sound import tone
from tests.tables import soak
from tests.waiting import until

pytestmark = pytest.mark.slow

FRONT = """
import msgspec
from speech_engine import Hosted, Plugin

class Settings(msgspec.Struct):
    pass

def voxgate_register():
    return (Plugin(kind="mark", name="odd", settings=Settings, create=Hosted("v_odd_worker")),)
"""

WORKER = """
import time
from contextlib import asynccontextmanager
import msgspec
from speech_engine import Plugin
from speech_engine.mark import Detection

class Settings(msgspec.Struct):
    pass

class Stream:
    def feed(self, pcm):
        time.sleep(len(pcm) / 48_000 / 20)
        marked = bytearray(pcm)
        marked[::2] = marked[::2].translate(bytes(byte | 1 for byte in range(256)))
        return bytes(marked)

    def flush(self):
        return b""

class Odd:
    def open(self, sample_rate_hz, key, payload):
        return Stream()

    def detect(self, pcm, sample_rate_hz, keys):
        if len(pcm) > 480_000:
            raise ValueError("too long for this one")
        return Detection(0.9, 0.5, "", 300, 0.0, 0.5, payload_bits=16)

@asynccontextmanager
async def create(name, settings, context):
    yield Odd()

def voxgate_register():
    return (Plugin(kind="mark", name="odd", settings=Settings, create=create),)
"""

CONFIG = """
[server]
first_audio_s = 60
[engines.tone]
marking = true
[engines.plain]
plugin = "tone"
marking = false
[marking]
mark = "odd"
[voices.alloy]
tone = "tone"
plain = "tone"
"""
LONG = "A rather long text, of which most will never be heard. " * 70


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    plugins = tmp_path_factory.mktemp("plugins")
    install(plugins, "v_odd", FRONT)
    (plugins / "v_odd_worker.py").write_text(WORKER)
    with running(tmp_path_factory.mktemp("server"), CONFIG, environ=environ(plugins)) as started:
        yield started


def marks_of(server: Server) -> list[psutil.Process]:
    found = []
    for each in psutil.Process(server.process.pid).children(recursive=True):
        try:
            if "speech_engine.host.marking" in each.cmdline():
                found.append(each)
        except psutil.Error:
            pass
    return found


def spoken(server: Server, text: str, engine: str) -> httpx2.Response:
    answer = server.speech(text, model=f"{engine}/standard", response_format="pcm")
    assert answer.status_code == 200, answer.text
    return answer


def test_an_answer_that_is_due_is_marked_and_no_other(server: Server) -> None:
    plain, marked = (spoken(server, "Tell them apart.", engine) for engine in ("plain", "tone"))
    assert marked.headers["x-voxgate-mark"].startswith("odd; key=")
    assert "x-voxgate-mark" not in plain.headers
    wanted = bytes(byte | 1 if place % 2 == 0 else byte for place, byte in enumerate(plain.content))
    assert marked.content == wanted
    assert len(marks_of(server)) == 1


def test_it_is_looked_for_in_its_process_and_without_a_key_it_proves_nothing(server: Server) -> None:
    spoken(server, "Now there are keys.", "tone")
    files = {"file": ("clip.wav", wav(tone(440, 1.0)), "audio/wav")}
    with server.client() as client:
        answer = client.post("/v1/audio/marks/detect", files=files)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    (mark,) = (each for each in found["marks"] if each["plugin"] == "odd")
    assert (mark["found"], mark["key"], mark["is_ours"], mark["day"]) == (True, None, None, "2026-10-28")
    assert (found["found"], found["techniques"]) == (False, [])
    assert len(marks_of(server)) == 1


def last_usage(server: Server) -> dict[str, object]:
    with server.client() as client:
        (last, *_) = client.get("/v1/usage").json()["data"]
    found: dict[str, object] = last
    return found


def test_its_end_breaks_the_answer_off_and_costs_nothing(server: Server) -> None:
    spoken(server, "Start.", "tone")
    body = {"model": "tone/standard", "voice": "alloy", "input": LONG, "response_format": "pcm"}
    with server.client() as client, client.stream("POST", "/v1/audio/speech", json=body) as answer:
        assert answer.status_code == 200
        pieces = answer.iter_raw()
        assert next(pieces)
        (process,) = marks_of(server)
        process.kill()
        with pytest.raises(httpx2.RemoteProtocolError):
            for _ in pieces:
                pass
    until(lambda: last_usage(server)["outcome"] == "failed")
    assert last_usage(server)["credits"] == 0, last_usage(server)
    spoken(server, "And again.", "tone")
    assert process.pid not in {each.pid for each in marks_of(server)}


@pytest.mark.parametrize(
    ("worker", "first_audio_s"),
    [("raise RuntimeError('torn')", 60), *soak(("import threading; threading.Event().wait()", 1))],
)
def test_a_mark_that_cannot_be_loaded_or_loads_without_end_keeps_what_is_due_silent(
    tmp_path: Path, worker: str, first_audio_s: int
) -> None:
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    install(plugins, "v_odd", FRONT)
    (plugins / "v_odd_worker.py").write_text(worker)
    config = CONFIG.replace("first_audio_s = 60", f"first_audio_s = {first_audio_s}")
    with running(tmp_path, config, environ=environ(plugins)) as server:
        refused = server.speech("Not without.", model="tone/standard")
        assert refused.status_code == 503, refused.text
        assert refused.headers["retry-after"]
        if first_audio_s > 1:
            spoken(server, "Nothing is due here.", "plain")
