"""`voxgate say --heard`, `voices heard` and `engines prove`, beside a server whose ears hear tones."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.proof_sentences import LANGUAGES, proof_sentences
from proxy.cli.voice_proof import keep_proof
from proxy.feature_list import load_config
from proxy.features.models.importing import write_manifest
from proxy.hosts.stored_models import CURRENT, PROOF, ModelStore
from speech_engine.model_manifest import Agreement, ModelFileEntry, ModelManifest, digest_of
from tests import forked, speech_clips
from tests.faults import damaging_plugin
from tests.faults.plugin_folders import install
from tests.server import Server, running

pytestmark = pytest.mark.slow

CONFIG = """
[server]
default_model = "tone"
default_voice = "tone"
[consent]
operator = "Acme"
comparer = "alike"
[engines.damaging]
rate = 0.3
[engines.tone]
hears = true
[models]
tone = ["tone/standard"]
[voices.tone]
tone = "tone"
language = "en"
[voices.ana]
damaging = "v"
language = "en"
"""
COMPARER = """
from contextlib import asynccontextmanager
import msgspec
from speech_engine import Plugin, SpeakerScale

class Settings(msgspec.Struct):
    pass

class Alike:
    scale = SpeakerScale(same=0.8, other=0.5)

    def compare(self, one, other):
        return 0.625 if one and other and one != other else 1.0

@asynccontextmanager
async def create(name, settings, context):
    yield Alike()

def voxgate_register():
    return (Plugin(kind="comparer", name="alike", settings=Settings, create=create),)
"""


class Beside:
    def __init__(self, server: Server, found: dict[str, str]) -> None:
        self.server, self._found = server, found

    def ask(self, *words: str) -> str:
        environ = {**self._found, "VOXGATE_CONFIG": str(self.server.config), "COLUMNS": "200"}
        ran = forked.command(*words, environ=environ)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def json(self, *words: str) -> list[dict[str, Any]]:
        data: list[dict[str, Any]] = json.loads(self.ask(*words, "--json"))["data"]
        return data


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    folder = tmp_path_factory.mktemp("checked")
    (plugins := folder / "plugins").mkdir()
    install(plugins, "alike", COMPARER)
    found = damaging_plugin.environ(plugins)
    with running(folder, CONFIG, environ=found) as server:
        yield Beside(server, found)


def test_a_clip_is_written_and_its_check_printed(beside: Beside, tmp_path: Path) -> None:
    out = tmp_path / "clip.wav"
    said = beside.ask(
        "say", "The boat leaves the harbour today.", "--voice", "tone", "--heard", "--out", str(out)
    )
    assert out.stat().st_size > 10_000
    assert "wrong" not in said


def test_a_voice_is_measured_by_its_twenty_sentences(beside: Beside) -> None:
    (right,) = beside.json("voices", "heard", "tone")
    assert (right["sentences"], right["unchecked"], right["wrong_per_thousand"]) == (20, 0, 0.0)
    assert right["words"] == sum(len(text.split()) for text in proof_sentences("en"))
    (wrong,) = beside.json("voices", "heard", "ana", "--model", "damaging/m")
    assert wrong["wrong_per_thousand"] > 0
    assert all({"text", "wanted", "heard"} <= set(each) for each in wrong["wrong"])


def _put_model(data: Path) -> str:
    """Store a model with terms as a pull does, and return its digest."""
    weights = ModelFileEntry(name="weights.bin", role="weights", bytes=0, sha256="0" * 64)
    digest = digest_of("chirp", [weights])
    agreement = Agreement(terms="Ask.", page="https://x.example", by="ana", at="2026-12-01T01:02:03Z")
    manifest = ModelManifest(
        name="bird", engine="chirp", digest=digest, files=(weights,), licence="MIT", agreement=agreement
    )
    folder = ModelStore(data).home("bird") / digest
    folder.mkdir(parents=True)
    write_manifest(folder, manifest)
    (folder.parent / CURRENT).write_text(digest)
    return digest


def test_an_engine_is_proved_in_each_language_and_a_table_shows_it(beside: Beside) -> None:
    proved = beside.json("engines", "prove", "tone")
    assert {each["language"] for each in proved} == set(LANGUAGES)
    assert all(0 < each["processor_per_second"] < 10 and each["first_sound_ms"] > 0 for each in proved)
    assert all("likeness" not in each for each in proved)
    digest = _put_model(beside.server.config.parent / "data")
    table = beside.ask("engines", "prove", "damaging")
    assert f"bird {digest}, ana agreed to its terms on 2026-12-01" in table
    assert "voxgate" in table
    assert "cores" in table
    assert "heard" in table


def test_a_voice_of_recordings_is_compared_with_its_recording(beside: Beside) -> None:
    with beside.server.client() as client:
        body = {"name": "Ana", "language": "en", "statement": "Ana agreed on paper."}
        consent = client.post("/v1/audio/voice_consents", json=body).json()["id"]
        fields = {"name": "Ana", "consent": consent, "language": "en", "ref_text": "Hello."}
        files = {"audio_sample": ("a.wav", speech_clips.wav(), "audio/wav")}
        made = client.post("/v1/audio/voices", data=fields, files=files)
        assert made.is_success, made.text
        proved = beside.json("engines", "prove", "tone")
        (one,) = beside.json("engines", "prove", "tone", "--voice", made.json()["id"])
        client.delete(f"/v1/audio/voices/{made.json()['id']}")
    assert {json.dumps(each.get("likeness")) for each in proved} == {
        json.dumps({"answer": "unsure", "score": 0.625, "comparer": "alike"})
    }
    long_text = one["long_text"]
    assert (one["voice"], one["language"], long_text["likeness"]) == (made.json()["id"], "en", [0.625, 0.625])
    assert len(long_text["others"]) > 0
    assert abs(long_text["loudness_drift_db"]) < 1


def test_the_last_proof_is_in_the_list_of_models(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[engines.f5tts]\nmodel = "bird"\n')
    digest = _put_model(tmp_path / "data")
    data = [{"model": "f5tts/bird", "voice": "voice_1", "language": "en", "wrong_per_thousand": 12.5}]
    report = {"engine": "f5tts", "data": data}
    keep_proof(load_config(config, {}), report)
    shown = forked.command("models", "list", environ={"VOXGATE_CONFIG": str(config), "COLUMNS": "200"})
    assert shown.returncode == 0, shown.stderr
    found = f"{datetime.now(UTC):%Y-%m-%d}: f5tts/bird in en with voice_1: 12.5 \u2030 wrong"
    assert f"bird: proved on {found}" in shown.stdout
    assert (ModelStore(tmp_path / "data").home("bird") / digest / PROOF).is_file()
