"""A real worker whose loop is held: its log names the step. Servers of other tests fail at such a line."""

from pathlib import Path

from tests.faults import plugin_folders
from tests.server import TONE, loop_holds, running

SLOW_DETECTOR = """
import time
from contextlib import asynccontextmanager
import msgspec
from speech_engine import Plugin

class Settings(msgspec.Struct, forbid_unknown_fields=True):
    pass

class Slow:
    def detect(self, text):
        until = time.thread_time() + 0.3
        while time.thread_time() < until:
            pass
        return "en"

@asynccontextmanager
async def create(name, settings, context):
    yield Slow()

def voxgate_register():
    return (Plugin(kind="detector", name="slow", settings=Settings, create=create),)
"""


def test_a_plugin_that_holds_a_worker_is_named_in_the_log(tmp_path: Path) -> None:
    plugin_folders.install(tmp_path, "slow", SLOW_DETECTOR)
    config = TONE.replace("[server]", '[server]\ndetector = "slow"', 1)
    environ = plugin_folders.environ(tmp_path)
    with running(tmp_path, config, environ=environ) as server:
        answer = server.speech("Hello there.", language="auto")
        assert answer.status_code == 200, answer.text
    step = "slow.Slow.detect < proxy.speech.language_detection."
    assert any(step in line for line in loop_holds(server.log))
