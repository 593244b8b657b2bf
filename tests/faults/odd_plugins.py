"""Plugins that break, or cannot start, and a server that has them all beside two that speak."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests import forked
from tests.faults.plugin_folders import IDLE, environ, install
from tests.server import TONE, Server, running

BROKEN = {
    "no_import": "raise RuntimeError('this needs a newer soundbox')",
    "exits": "import sys\nsys.exit('this machine has no soundbox')",
    "no_register": "def voxgate_register():\n    raise LookupError('there is no model folder')",
    "nonsense": "def voxgate_register():\n    return 'an engine'",
    "nothing": "def voxgate_register():\n    pass",
    "misspelt": "def voxgate_regster():\n    return ()",
    "second_tone": IDLE
    + "def voxgate_register():\n"
    + "    return (Plugin(kind='engine', name='tone', settings=Settings, create=create),)",
}
_UNBUILT = """
import msgspec
from speech_engine import Hosted, Plugin

class Settings(msgspec.Struct):
    pass

def voxgate_register():
    hosted = Hosted("v_bell", packages=("bell>=1",))
    return (Plugin(kind="engine", name="bell", settings=Settings, create=hosted),)
"""
_MISSING = (
    IDLE
    + """
def voxgate_register():
    return (Plugin(kind="engine", name=__name__, settings=Settings, create=Hosted("no_such_worker")),)
"""
)
_CONFIG = (
    TONE
    + """
[engines.gong]
plugin = "v_no_import"
[engines.bell]
processes = 2
[engines.missing]
plugin = "missing"
[engines.misset]
plugin = "tone"
slots = 0
"""
)


class Odd(NamedTuple):
    """The server, and the environment in which a process finds all plugins, or `bell` alone."""

    server: Server
    all: dict[str, str]
    bell: dict[str, str]

    def voxgate(self, found: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
        """A command in a process of its own, which finds these plugins."""
        return forked.command(*command, environ={**found, "VOXGATE_CONFIG": str(self.server.config)})

    def engines(self) -> dict[str, Any]:
        """Those of `voxgate engines --json` by their names."""
        listed = json.loads(self.server.cli("engines", "--json").stdout)["data"]
        return {each["name"]: each for each in listed}


class Checked(NamedTuple):
    """What `voxgate check --json` ended with, and its findings."""

    status: int
    findings: list[dict[str, str]]


@contextmanager
def odd_in(folder: Path) -> Iterator[Odd]:
    plugins, bell = folder / "plugins", folder / "bell"
    plugins.mkdir()
    bell.mkdir()
    for name, module in BROKEN.items():
        # After `tone` in the order in which they are asked, so that the shipped one is the first.
        install(plugins, f"v_{name}", module)
    install(bell, "v_bell", _UNBUILT)
    install(plugins, "v_bell", _UNBUILT)
    install(plugins, "missing", _MISSING)
    empty = {"XDG_CACHE_HOME": str(folder / "cache")}
    found = environ(plugins) | empty
    with running(folder, _CONFIG, environ=found) as server:
        yield Odd(server, found, environ(bell) | empty)
