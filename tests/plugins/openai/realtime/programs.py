"""The fake as a program beside a real server, and what a test tells it to do."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx2

ENGINE = """
[engines.{name}]
plugin = "openai-realtime"
base_url = "{url}/v1"
api_key = "env:REALTIME_KEY"
{more}
"""
ENVIRON = {"REALTIME_KEY": "sk-good"}


class FakeProgram(NamedTuple):
    url: str

    def engine(self, name: str = "realtime", more: str = "") -> str:
        """The section of an engine that asks this fake."""
        return ENGINE.format(name=name, url=self.url, more=more)

    def script(self, misdeeds: Sequence[Mapping[str, Any]]) -> None:
        httpx2.post(f"{self.url}/_fake/script", json=list(misdeeds)).raise_for_status()

    def sessions(self) -> Any:
        return httpx2.get(f"{self.url}/_fake/sessions").json()


@contextmanager
def running_fake(*arguments: str) -> Iterator[FakeProgram]:
    command = [sys.executable, "-m", "fakes.realtime", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield FakeProgram(process.stdout.readline().split()[-1])
        finally:
            process.terminate()
