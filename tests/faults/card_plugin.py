"""The tone engine on a card of 8 GB. torch is a module of ours."""

from __future__ import annotations

from pathlib import Path

from tests.faults import plugin_folders
from tests.faults.plugin_folders import install

_FRONT = """
from plugins.tone.plugin import ToneSettings
from speech_engine import Hosted, Plugin

def voxgate_register():
    hosted = Hosted("cardtone_worker", devices=("cuda",))
    return (Plugin(kind="engine", name="cardtone", settings=ToneSettings, create=hosted),)
"""

_WORKER = """
from plugins.tone.plugin import ToneSettings
from plugins.tone.worker import create
from speech_engine import Plugin

def voxgate_register():
    return (Plugin(kind="engine", name="cardtone", settings=ToneSettings, create=create),)
"""

_TORCH = """
from types import SimpleNamespace

GB = 1024**3

class version:
    hip = None

class cuda:
    is_available = staticmethod(lambda: True)
    device_count = staticmethod(lambda: 1)
    max_memory_reserved = staticmethod(lambda index: GB // 2)
    get_device_properties = staticmethod(lambda index: SimpleNamespace(uuid="none"))
    mem_get_info = staticmethod(lambda index: (8 * GB, 8 * GB))
"""


def install_card(folder: Path) -> dict[str, str]:
    """Install it in a new folder. Return the environment in which a server and its hosts find it."""
    folder.mkdir()
    install(folder, "cardtone", _FRONT)
    (folder / "cardtone_worker.py").write_text(_WORKER)
    (folder / "torch.py").write_text(_TORCH)
    return plugin_folders.environ(folder)


def section(name: str, memory_gb: float, more: str = "") -> str:
    return f'[engines.{name}]\nplugin = "cardtone"\nmemory_gb = {memory_gb}\n{more}\n'
