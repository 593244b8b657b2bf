"""MiniMax through a whole server: the fake a process of its own, the server another, the client a third."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from fakes.minimax.app import KEY
from tests.server import Server, running
from tests.sound import decoded

CONFIG = """
[server]
default_model = "cloud"
[engines.minimax]
api_key = "env:TEST_MINIMAX_KEY"
base_url = "{url}"
silence_s = 2
[engines.tone]
[models]
"cloud" = ["minimax/speech-2.8-hd"]
"either" = ["minimax/speech-2.8-hd", "tone/standard"]
[voices.alloy]
minimax = "English_expressive_narrator"
tone = "tone"
"""


class Together(NamedTuple):
    server: Server
    fake: httpx2.Client

    def fail(self, name: str, **more: Any) -> None:
        self.fake.post("/_fake/faults", json=[{"name": name, **more}])

    def seen(self) -> list[Any]:
        requests = self.fake.get("/_fake/requests").json()["requests"]
        return [each for each in requests if each["path"] == "/v1/t2a_v2"]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Together]:
    command = [sys.executable, "-m", "fakes.minimax", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            folder: Path = tmp_path_factory.mktemp("minimax")
            environ = {"TEST_MINIMAX_KEY": KEY}
            with running(folder, CONFIG.format(url=url), environ=environ) as server:
                with httpx2.Client(base_url=url) as fake:
                    yield Together(server, fake)
        finally:
            process.terminate()


@pytest.fixture
def together(both: Together) -> Together:
    both.fake.post("/_fake/reset")
    return both


def test_its_models_and_voices_are_the_servers(together: Together) -> None:
    with together.server.client() as client:
        models = {each["id"] for each in client.get("/v1/models").json()["data"]}
        voices = {each["id"] for each in client.get("/v1/audio/voices").json()["data"]}
    assert {"minimax/speech-2.8-hd", "minimax/speech-01-turbo", "cloud"} <= models
    assert "minimax/Thai_male_1_sample8" in voices


@pytest.mark.parametrize("format_", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
def test_each_format_is_whole(together: Together, format_: str) -> None:
    answer = together.server.speech("Good evening.", model="cloud", response_format=format_)
    assert answer.status_code == 200, answer.text
    (seen,) = together.seen()
    assert seen["json"]["audio_setting"]["format"] == ("mp3" if format_ == "mp3" else "pcm")
    # The fake hums 60 ms for each character.
    assert abs(decoded(answer.content, format_).seconds - 13 * 0.06) < 0.15


def test_a_stumble_is_tried_again_unseen(together: Together) -> None:
    together.fail("error_in_200", code="1033")
    together.fail("5xx", status=502)
    assert together.server.speech("Good evening.", model="cloud").status_code == 200
    assert len(together.seen()) == 3


def test_a_text_that_moderation_refuses_is_sent_to_no_other_engine(together: Together) -> None:
    together.fail("error_in_200", code="1026")
    answer = together.server.speech("Good evening.", model="either")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "content_refused")


def test_a_text_it_cannot_speak_another_engine_may(together: Together) -> None:
    text = "One <#0.5#><#0.5#> two."
    assert together.server.speech(text, model="either").headers["x-voxgate-engine"] == "tone/standard"
    assert together.server.speech(text, model="cloud").status_code == 400


def test_a_refused_key_is_never_the_clients(together: Together) -> None:
    together.fail("error_in_200", code="2049")
    answer = together.server.speech("Good evening.", model="either")
    assert (answer.status_code, answer.headers["x-voxgate-engine"]) == (200, "tone/standard")
    log = together.server.log.read_text()
    assert "engine.key.refused" in log
    assert KEY not in log
    assert "Good evening" not in log
