"""A plugin of the toy model in a host, whose loading and steps a test holds up with files in a folder."""

from pathlib import Path

from tests.faults import plugin_folders
from tests.faults.plugin_folders import install

ROOT = Path(__file__).parent.parent.parent

_FRONT = """
from speech_engine import Hosted, Plugin
from speech_engine.host.batch_model import BatchSettings

class Settings(BatchSettings, frozen=True, kw_only=True):
    folder: str
    step_s: float = 0.0

def voxgate_register():
    return (Plugin(kind="engine", name="toybatch", settings=Settings, create=Hosted("toybatch_worker")),)
"""

_WORKER = """
import asyncio
import time
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from speech_engine import ANY_LANGUAGE, Language, ModelInfo, Plugin, VoiceInfo
from speech_engine.host.batch_loop import BatchLoop
from tests.speech_engine.host.toy_model import RATE_HZ, STEP_S, ToyModel
from toybatch import Settings


class Toy:
    def __init__(self, settings, batch):
        self.slots = settings.slots
        self.batch = batch

    def models(self):
        language = Language(ANY_LANGUAGE)
        # Its sound is none of a voice's, so no mark makes two answers differ.
        return (
            ModelInfo(
                id="m",
                languages=(language,),
                sample_rate_hz=RATE_HZ,
                licence="none",
                seeds=True,
                is_speech=False,
            ),
        )

    def voices(self):
        return (VoiceInfo(id="v", name="V"),)

    async def speak(self, job):
        async with aclosing(self.batch.speak(job, "v")) as events:
            async for event in events:
                yield event


def load(settings, context):
    folder = Path(settings.folder)
    context.progress(0.4, "reading the weights")
    while (folder / "hold").exists():
        time.sleep(0.01)
    context.progress(1.0, "warming up")
    return ToyModel(lambda _rows: time.sleep(settings.step_s))


@asynccontextmanager
async def create(name, settings, context):
    model = await asyncio.to_thread(load, settings, context)
    async with BatchLoop(model, settings, context, STEP_S) as batch:
        yield Toy(settings, batch)


def voxgate_register():
    return (Plugin(kind="engine", name="toybatch", settings=Settings, create=create),)
"""

CONFIG = """
[server]
default_model = "tone"
first_audio_s = {first_audio_s}
[engines.tone]
slots = 64
[engines.toy]
plugin = "toybatch"
folder = "{folder}"
queue = 100
{more}
[models]
"tone" = ["tone/standard"]
"both" = ["toy/m", "tone/standard"]
[voices.ana]
tone = "tone"
toy = "v"
"""


def environ(folder: Path) -> dict[str, str]:
    """Install the plugin into a folder. Return the environment in which it is found."""
    install(folder, "toybatch", _FRONT)
    (folder / "toybatch_worker.py").write_text(_WORKER)
    found = plugin_folders.environ(folder)
    return {"PYTHONPATH": f"{found['PYTHONPATH']}:{ROOT}"}


def config(folder: Path, first_audio_s: float = 9.0, more: str = "") -> str:
    return CONFIG.format(folder=folder, first_audio_s=first_audio_s, more=more)
