"""Fakes of all providers in a process of their own, and the lines of a configuration that point at them."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import httpx2
import msgspec

from fakes.elevenlabs import KEY as ELEVENLABS_KEY
from fakes.faults import ScriptedFault
from fakes.minimax.app import KEY as MINIMAX_KEY
from fakes.provider import Report, RequestRecord
from tests.server import stop

Plugin = Literal["openai", "elevenlabs", "minimax"]
PLUGINS: tuple[Plugin, ...] = ("openai", "elevenlabs", "minimax")

COSTS_MICRO = 10
"""What each provider takes for a character, in millionths of a dollar."""


class Kind(NamedTuple):
    """One provider, as its plugin is configured: `root` stands behind the fake's address, `speech` is the
    path of speech behind that."""

    key: str
    model: str
    voice: str
    speech: str
    root: str = ""
    settings: str = ""


KINDS: dict[Plugin, Kind] = {
    "openai": Kind(
        "sk-good",
        "gpt-4o-mini-tts",
        "alloy",
        "/audio/speech",
        "/v1",
        'models = ["gpt-4o-mini-tts"]\nvoices = ["alloy"]\n',
    ),
    "elevenlabs": Kind(ELEVENLABS_KEY, "eleven_multilingual_v2", "fakeVoice01", "/v1/text-to-speech/"),
    "minimax": Kind(
        MINIMAX_KEY, "speech-2.8-hd", "English_expressive_narrator", "/v1/t2a_v2", settings="silence_s = 2\n"
    ),
}
ENVIRON = {f"FAKE_{plugin.upper()}_KEY": kind.key for plugin, kind in KINDS.items()}
"""What a server needs in its environment for `Clouds.engine`."""


class Clouds:
    """Each engine has a place of its own at its provider's fake: nobody meets the faults of another."""

    def __init__(self, urls: dict[Plugin, str], http: httpx2.Client) -> None:
        self._urls = urls
        self._http = http

    def __repr__(self) -> str:
        return f"<Clouds {self._urls}>"

    def url(self, name: str, plugin: Plugin) -> str:
        return f"{self._urls[plugin]}/_at/{name}{KINDS[plugin].root}"

    def engine(self, name: str, plugin: Plugin, settings: str = "") -> str:
        """Its section in config.toml."""
        kind = KINDS[plugin]
        return (
            f'[engines.{name}]\nplugin = "{plugin}"\napi_key = "env:FAKE_{plugin.upper()}_KEY"\n'
            f'base_url = "{self.url(name, plugin)}"\nconcurrency = 64\n'
            f'costs."*" = {{ usd = {COSTS_MICRO / 1e6:f}, per = "character" }}\n{kind.settings}{settings}'
        )

    def fail(self, name: str, plugin: Plugin, faults: Sequence[ScriptedFault]) -> None:
        """Scripts what the next requests for speech of this engine meet."""
        path = _path(name, plugin)
        self._ask(plugin, "faults", [msgspec.structs.replace(fault, path=path) for fault in faults])

    def report(self, plugin: Plugin) -> Report:
        found = self._http.get(f"{self._urls[plugin]}/_fake/requests").content
        return msgspec.json.decode(found, type=Report)

    def spoken(self, name: str, plugin: Plugin) -> list[RequestRecord]:
        """This engine's requests for speech."""
        return [each for each in self.report(plugin).requests if each.path.startswith(_path(name, plugin))]

    def open(self, plugin: Plugin) -> int:
        return self.report(plugin).open

    def forget(self) -> None:
        for plugin in self._urls:
            self._ask(plugin, "reset", [])

    def _ask(self, plugin: Plugin, what: str, body: Any) -> None:
        content = msgspec.json.encode(body)
        self._http.post(f"{self._urls[plugin]}/_fake/{what}", content=content).raise_for_status()


@contextmanager
def clouds() -> Iterator[Clouds]:
    process = subprocess.Popen([sys.executable, "-m", "tests.faults.tone_clouds"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        urls = msgspec.json.decode(process.stdout.readline(), type=dict[Plugin, str])
        with httpx2.Client(timeout=30) as http:
            yield Clouds(urls, http)
    finally:
        stop(process)


def _path(name: str, plugin: Plugin) -> str:
    return f"/_at/{name}{KINDS[plugin].root}{KINDS[plugin].speech}"
