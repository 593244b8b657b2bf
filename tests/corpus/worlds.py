"""The servers that topics run against: a configuration for each, with the fakes of the providers where it has
engines of the cloud."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.faults import plugin_folders
from tests.server import Server, running, stop

_CONFIGS = Path(__file__).parent / "configs"

# The one line that knows how the fakes are started: one process for all of them, which speaks in tones and
# prints their addresses by the name of the provider.
_START_FAKES = [sys.executable, "-m", "tests.faults.tone_clouds"]

_SELDOM = """
from proxy.access import refusals

refusals.WRITE_EVERY_S = 3600.0

def voxgate_register():
    return ()
"""
"""The recordings have no row of refused requests: they were counted, and written a few seconds later."""


class World(NamedTuple):
    """A server that runs, the secret of an administrator's key, and the addresses of the fakes."""

    server: Server
    admin: str
    account: str
    fakes: dict[str, str]


@contextmanager
def opened(name: str, folder: Path) -> Iterator[World]:
    """Starts the world of `configs/NAME.toml`; `FAKE_openai` stands there for that fake's address."""
    config = (_CONFIGS / f"{name}.toml").read_text()
    with ExitStack() as stack:
        addresses = stack.enter_context(_fakes()) if "FAKE_" in config else {}
        for provider, url in addresses.items():
            config = config.replace(f"FAKE_{provider}", url)
        plugin_folders.install(folder, "seldom_written_refusals", _SELDOM)
        server = stack.enter_context(running(folder, config, environ=plugin_folders.environ(folder)))
        made = server.cli("keys", "create", "--account", "dev", "--role", "admin", "--json")
        admin = json.loads(made.stdout)
        yield World(server, admin["key"], admin["account"], addresses)


@contextmanager
def _fakes() -> Iterator[dict[str, str]]:
    process = subprocess.Popen(_START_FAKES, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        addresses: dict[str, str] = json.loads(process.stdout.readline())
        yield addresses
    finally:
        stop(process)
