"""The rehearsal of rented machines, as the example and docs/engines.md tell it: a fake that speaks."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.examples.test_configs import EXAMPLES, _here
from tests.server import running
from tests.sound import decoded
from tests.tones import words
from tests.waiting import until

pytestmark = pytest.mark.slow

ENDED = ("done", "failed")


@contextmanager
def fake_of(command: list[str]) -> Iterator[list[str]]:
    """Start the fake as it is written, but at free ports, and give the addresses of its servers."""
    at = command.index("--port") + 1
    sent = [sys.executable, *command[1:at], "0", *command[at + 1 :]]
    with subprocess.Popen(sent, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-3:]
        finally:
            process.terminate()


def test_the_rehearsal_of_rented_machines_speaks(tmp_path: Path) -> None:
    text = (EXAMPLES / "config.rented.toml").read_text()
    (command,) = re.findall(r"^#     (\S+python -m fakes\.runpod .+)$", text, re.MULTILINE)
    with fake_of(command.split()) as urls:
        for number, url in enumerate(urls):
            text = text.replace(f"http://127.0.0.1:{8190 + number}", url)
        (body,) = re.findall(r"-d '(.+)'", text)
        asked = {**json.loads(body), "response_format": "wav"}
        with running(tmp_path, _here(text)) as server, server.client() as client:
            # At first it is not known which models there are.
            made = _answer(lambda: client.post("/v1/jobs", json=asked), lambda answer: answer.is_success)
            path = f"/v1/jobs/{made.json()['id']}"
            shown = _answer(lambda: client.get(path), lambda answer: answer.json()["status"] in ENDED)
            assert shown.json()["status"] == "done", shown.text
            sound = decoded(client.get(f"{path}/content").content, "wav")
            assert words(sound.samples, sound.sample_rate_hz) == ["Hello."]
            groups = json.loads(server.cli("usage", "--by", "job", "--json").stdout)["data"]
            (usd,) = [group["cost_usd"] for group in groups if group["name"] == made.json()["id"]]
            assert usd > 0


def _answer(ask: Callable[[], httpx2.Response], is_it: Callable[[httpx2.Response], bool]) -> httpx2.Response:
    """Ask until the answer is what is waited for."""
    answers: list[httpx2.Response] = []

    def is_there() -> bool:
        answers.append(ask())
        return is_it(answers[-1])

    until(is_there)
    return answers[-1]
