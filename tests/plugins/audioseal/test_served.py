"""AudioSeal in a whole server: its pickles imported, answers marked, and its process shared by listeners."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import server
from tests.commands import command
from tests.plugins.neural import kept_model, lend
from tests.server import Server

pytestmark = pytest.mark.slow

CONFIG = """
[server]
first_audio_s = 60
[engines.tone]
marking = true
[engines.plain]
plugin = "tone"
marking = false
[marking]
mark = "audioseal"
[marks.audioseal]
model = "seal"
strength = 1.5
[voices.alloy]
tone = "tone"
plain = "tone"
"""
IMPORT = ("--engine", "audioseal", "--name", "seal", "--licence", "MIT")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    published = kept_model("audioseal", "pickles")
    lend("audioseal")
    (folder / "config.toml").write_text("[engines.tone]\n")
    made = command(folder / "config.toml", "models", "import", str(published), *IMPORT)
    said = " ".join(made.stdout.split())
    assert '[marks.audioseal] model = "seal" [marking] mark = "audioseal"' in said, said
    with server.running(folder, CONFIG) as started:
        yield started


def samples(live: Server, text: str, engine: str) -> NDArray[np.int32]:
    answer = live.speech(text, model=f"{engine}/standard", response_format="pcm")
    assert answer.status_code == 200, answer.text
    assert ("x-voxgate-mark" in answer.headers) == (engine == "tone")
    return np.frombuffer(answer.content, "<i2").astype(np.int32)


def test_every_listener_s_answer_is_marked_and_silence_stays(live: Server) -> None:
    texts = [f"This is the text of listener {number}." for number in "ab"]
    with ThreadPoolExecutor(len(texts)) as threads:
        marked = list(threads.map(lambda text: samples(live, text, "tone"), texts))
    for text, sound in zip(texts, marked, strict=True):
        plain = samples(live, text, "plain")
        assert sound.shape == plain.shape
        added = sound - plain
        assert np.abs(added).max() > 2
        assert not added[plain == 0].any()


def test_the_model_is_in_use_as_long_as_the_configuration_names_it(live: Server) -> None:
    samples(live, "Take it up.", "tone")
    refused = live.cli("models", "remove", "seal", check=False)
    assert refused.returncode == 1
    assert "[marks.audioseal] names 'seal'" in refused.stderr
    forced = live.cli("models", "remove", "seal", "--force", check=False)
    assert forced.returncode == 1
    assert "a running server" in forced.stderr


def mark_finding(live: Server) -> tuple[str, str]:
    findings = json.loads(live.cli("check", "--json", check=False).stdout)["data"]
    (found,) = (each for each in findings if each["check"] == "mark")
    return found["state"], found["found"]


def test_check_says_what_is_wrong_with_a_mark_s_model(live: Server) -> None:
    assert mark_finding(live)[0] == "ok"
    live.config.write_text(CONFIG.replace('model = "seal"', 'model = "deal"'))
    state, said = mark_finding(live)
    live.config.write_text(CONFIG)
    assert state == "wrong"
    assert "marks.audioseal.model: no model called deal has been imported" in said
