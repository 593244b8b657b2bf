"""A server that starts again: while an engine with a model loads, its voices are known, and requests wait."""

import threading
from pathlib import Path

import pytest

from tests.faults import plugin_folders
from tests.faults.plugin_folders import install
from tests.faults.processes import state
from tests.server import running

pytestmark = pytest.mark.slow

_FRONT = """
import plugins.tone.plugin as tone
from speech_engine import Hosted, Plugin
from speech_engine.model_files import ModelFormat

class Settings(tone.ToneSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    model_path: str = ""
    gate: str

def voxgate_register():
    model = ModelFormat(files=())
    hosted = Hosted("bell_worker")
    return (Plugin(kind="engine", name="bell", settings=Settings, create=hosted, model_format=model),)
"""
_WORKER = """
import time
from contextlib import asynccontextmanager
from pathlib import Path

from bell import Settings
from plugins.tone.worker import create
from speech_engine import Plugin

@asynccontextmanager
async def slow(name, settings, context):
    while not Path(settings.gate).exists():
        time.sleep(0.05)
    async with create(name, settings, context) as engine:
        yield engine

def voxgate_register():
    return (Plugin(kind="engine", name="bell", settings=Settings, create=slow),)
"""


def test_a_warm_start_lets_a_request_wait_for_the_voices_that_it_knows(tmp_path: Path) -> None:
    found = tmp_path / "plugins"
    found.mkdir()
    install(found, "bell", _FRONT)
    (found / "bell_worker.py").write_text(_WORKER)
    gate, environ = tmp_path / "gate", plugin_folders.environ(found)
    config = f'[engines.espeak]\nprocesses = 1\n[engines.bell]\nvoices = ["big_ben"]\ngate = "{gate}"\n'
    gate.touch()
    with running(tmp_path, config, environ=environ) as server:
        answer = server.speech("Hi.", model="bell", voice="Big_ben")
        assert answer.status_code == 200, answer.text
    gate.unlink()
    with running(tmp_path, config, environ=environ) as server:
        assert state(server, "bell")["state"] == "starting"
        unknown = server.speech("Hi.", model="bell", voice="small_ben")
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (400, "voice_not_found")
        opening = threading.Timer(1.0, gate.touch)
        opening.start()
        waited = server.speech("Hi.", model="bell", voice="Big_ben")
        opening.join()
        assert (waited.status_code, waited.headers["x-voxgate-engine"]) == (200, "bell/standard")
