"""A plugin that speaks in tones, and says a part of its texts with one fault."""

import random
from pathlib import Path

from tests.faults import plugin_folders
from tests.faults.plugin_folders import install

ROOT = Path(__file__).parent.parent.parent

_MODULE = """
import random
from contextlib import asynccontextmanager

import msgspec
from msgspec.structs import replace

from plugins.tone.plugin import ToneSettings
from plugins.tone.speech import Speech
from speech_engine import ANY_LANGUAGE, Language, ModelInfo, Plugin, VoiceInfo
from tests.faults.damaging_plugin import damaged

class Settings(msgspec.Struct):
    rate: float = 0.05
    pace: float = 0.0

class Damaging:
    slots = 8

    def __init__(self, settings):
        self._rate, self._behaviour = settings.rate, ToneSettings(pace=settings.pace).behaviour()

    def models(self):
        return (ModelInfo(id="m", languages=(Language(ANY_LANGUAGE),), sample_rate_hz=24_000, is_speech=False,
                          seeds=True),)

    def voices(self):
        return (VoiceInfo(id="v", name="V"),)

    async def speak(self, job):
        chance = random.Random(None if job.seed is None else f"{job.seed} {job.segments[0].spoken}")
        if chance.random() < self._rate:
            first, *others = job.segments
            job = replace(job, segments=(replace(first, spoken=damaged(first.spoken, chance)), *others))
        async for event in Speech(job, 24_000, self._behaviour, lambda: None).events():
            yield event

@asynccontextmanager
async def create(name, settings, context):
    yield Damaging(settings)

def voxgate_register():
    return (Plugin(kind="engine", name="damaging", settings=Settings, create=create),)
"""


def damaged(text: str, chance: random.Random) -> str:
    """Return a text with one fault: a word is lost, another one, twice or too much, or the end is lost."""
    said = text.split()
    at = chance.randrange(max(1, len(said) - 1))
    fault = chance.choice(("drop", "swap", "double", "add", "cut"))
    middle = {"drop": [], "swap": ["kettle"], "double": [said[at]] * 2, "add": [said[at], "kettle"]}
    if fault == "cut":
        return " ".join(said[: max(1, len(said) * 2 // 3)])
    return " ".join([*said[:at], *middle[fault], *said[at + 1 :]])


def environ(folder: Path) -> dict[str, str]:
    """Install the plugin into a folder. Return the environment in which it is found."""
    install(folder, "damaging", _MODULE)
    found = plugin_folders.environ(folder)
    return {"PYTHONPATH": f"{found['PYTHONPATH']}:{ROOT}"}
