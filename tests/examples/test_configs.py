"""The example configurations: without a fault, and serving what they say, without any account."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from proxy.diagnosis.config_check import check_config
from proxy.engines import registry
from proxy.feature_list import load_config
from tests.server import Server, running
from tests.sound import decoded
from tests.tables import each_row

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"
FAKES = {"openai": 8197, "minimax": 8198, "elevenlabs": 8199}
NOT_BUILT = {"config.tiers.toml": {"piper", "xtts"}}
"""Engines that need an environment and a model of the operator's own first; the example says so."""
KEYS = ("MINIMAX_API_KEY", "ELEVENLABS_API_KEY")


@each_row("file", sorted(EXAMPLES.glob("*.toml")), ids=lambda file: file.name)
def test_an_example_has_no_fault_and_nothing_that_has_no_effect(file: Path) -> None:
    loaded = load_config(file, dict.fromkeys(KEYS, "a secret"))
    findings = check_config(loaded, registry.load())
    allowed = NOT_BUILT.get(file.name, set())
    wrong = [each.found for each in findings if each.verdict == "wrong" and each.name not in allowed]
    assert wrong == []
    assert loaded.warnings == ()


def test_without_keys_the_languages_say_what_is_not_used() -> None:
    loaded = load_config(EXAMPLES / "config.languages.toml", {})
    findings = check_config(loaded, registry.load())
    assert {finding.name for finding in findings if finding.verdict == "wrong"} == {"minimax", "elevenlabs"}
    thai = next(finding for finding in findings if (finding.what, finding.name) == ("route", "th"))
    assert thai.found.startswith("not used: elevenlabs, for elevenlabs/eleven_v3, cannot run")


@pytest.fixture(scope="module")
def languages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """As whoever tries it first runs it: without the keys of providers."""
    environ = dict.fromkeys(KEYS, "")
    text = (EXAMPLES / "config.languages.toml").read_text()
    with running(tmp_path_factory.mktemp("languages"), _here(text), environ=environ) as server:
        yield server


@each_row(
    ("text", "more", "language"),
    [
        ("O Djavan nasceu em 1949, em Maceió.", {}, "pt"),
        ("Las dos cuestan 5 euros.", {}, "es"),
        ("Ngozi lives in Lagos.", {"voice": "tunde"}, "en-NG"),
        ("It has been voxgate since 2026.", {"lexicon": "brands"}, "en"),
        ("O xerox é do Saramago.", {"language": "pt-PT"}, "pt-PT"),
    ],
)
def test_languages_are_spoken_without_a_key(
    languages: Server, text: str, more: dict[str, object], language: str
) -> None:
    answer = languages.speech(text, **{"voice": "nova", "response_format": "wav", **more})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-voxgate-language"] == language
    assert answer.headers["x-voxgate-engine"] == "espeak/standard"
    assert decoded(answer.content, "wav").seconds > 0.5


def test_the_cast_of_the_languages_is_spoken(languages: Server) -> None:
    answer = languages.speech(
        "[Ana] Bom dia! [Tunde] Good morning!", voice="interview", response_format="wav"
    )
    assert answer.status_code == 200, answer.text
    assert decoded(answer.content, "wav").seconds > 0.8


@contextmanager
def fake(name: str) -> Iterator[str]:
    """Start the fake of a provider, and give its address."""
    command = [sys.executable, "-m", f"fakes.{name}", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    text = (EXAMPLES / "config.cloud.toml").read_text()
    with ExitStack() as stack:
        for name, port in FAKES.items():
            url = stack.enter_context(fake(name))
            assert f"http://127.0.0.1:{port}" in text
            text = text.replace(f"http://127.0.0.1:{port}", url)
        yield stack.enter_context(running(tmp_path_factory.mktemp("cloud"), _here(text)))


@each_row(
    ("model", "engine"),
    [
        ("tts-1", "openai/tts-1"),
        ("tts-1-hd", "elevenlabs/eleven_v3"),
        ("gpt-4o-mini-tts", "openai/gpt-4o-mini-tts"),
        ("minimax/speech-2.8-hd", "minimax/speech-2.8-hd"),
    ],
)
def test_every_cloud_engine_speaks_through_itsfake(cloud: Server, model: str, engine: str) -> None:
    answer = cloud.speech("Hello from SQLite.", model=model, voice="alloy", response_format="wav")
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-voxgate-engine"] == engine
    assert decoded(answer.content, "wav").seconds > 0.3


def test_the_cast_of_the_clouds_is_spoken(cloud: Server) -> None:
    answer = cloud.speech("[Ana] Hello. [Ben] Hi.", voice="dialogue", response_format="wav")
    assert answer.status_code == 200, answer.text
    assert decoded(answer.content, "wav").seconds > 0.3


def _here(text: str) -> str:
    """With its data in the test's folder."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("data = "))
