"""docs/clients.md: a section for every client, and the versions that were run."""

import json
import re

from tests.clients.clients import CLIENTS
from tests.clients.environments import PINS
from tests.docs import pages
from tests.docs.pages import ROOT
from tests.tables import each_row

_PAGE = "clients.md"

# Where each pinned client is pinned; the rest is either replayed or asks by hand.
_PINNED = {
    "py3": (ROOT / "locks" / "test.txt", ("openai",)),
    "py1": (PINS / "py1.txt", ("openai",)),
    "js7": (PINS / "js7" / "package.json", ("openai",)),
    "js6": (PINS / "js6" / "package.json", ("openai",)),
    "vercel": (PINS / "vercel" / "package.json", ("ai", "@ai-sdk/openai")),
    "livekit": (PINS / "livekit.txt", ("livekit-plugins-openai",)),
    "pipecat": (PINS / "pipecat.txt", ("pipecat-ai",)),
    "homeassistant": (PINS / "wyoming.txt", ("wyoming",)),
    "mcp": (PINS / "mcp.txt", ("mcp",)),
}
_WITH_SOCKETS = {
    "elevenlabs": ROOT / "locks" / "test.txt",
    "livekit-plugins-elevenlabs": PINS / "livekit.txt",
    "pipecat-ai": PINS / "pipecat.txt",
}


def test_every_client_has_its_section_and_no_other_has_one() -> None:
    headings = re.findall(r"^## (.+)$", pages.doc(_PAGE), re.MULTILINE)
    assert headings == [client.title for client in CLIENTS.values()]


@each_row("client", _PINNED)
def test_the_versions_named_are_the_ones_that_run(client: str) -> None:
    file, packages = _PINNED[client]
    section = pages.section(pages.doc(_PAGE), CLIENTS[client].title)
    for package in packages:
        assert f"`{package}` {_version(file.read_text(), package)}" in section


@each_row("package", _WITH_SOCKETS)
def test_the_versions_of_agents_are_the_ones_that_run(package: str) -> None:
    section = pages.section(pages.doc("agents.md"), "ElevenLabs' clients")
    assert f"`{package}` {_version(_WITH_SOCKETS[package].read_text(), package)}" in section


def _version(pins: str, package: str) -> str:
    if pins.startswith("{"):
        return str(json.loads(pins)["dependencies"][package])
    found = re.search(rf"^{re.escape(package)}==(\S+)(?: \\)?$", pins, re.MULTILINE)
    assert found, package
    return found[1]
