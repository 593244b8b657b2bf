"""espeak, Piper and Kokoro at home, on a host and on rented machines: all names, languages and styles."""

import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from plugins.openai.lists import BUILT_IN
from proxy.engines import registry
from proxy.engines.registry import HostedEngineSpec
from proxy.feature_list import load_config
from tests.commands import command
from tests.faults.cluster_hosts import CLUSTER, agent, host_key
from tests.faults.processes import state
from tests.features.jobs.job_rig import content, job_with, new_job
from tests.features.jobs.remote.http_runner import PLUGIN
from tests.plugins.kokoro import tiny as tiny_kokoro
from tests.plugins.piper import tiny
from tests.plugins.piper.environment import ROOT, interpreter
from tests.proxy.api.inside import Inside, inside
from tests.server import Server, running
from tests.waiting import soon, until

pytestmark = pytest.mark.slow

ENGINES = ("espeak", "piper", "kokoro")
TOKEN = "far-token"
LOADED_S = 120.0
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "espeak": {},
    "piper": {"noise": 0.0, "rhythm": 0.0},
    "kokoro": {},
}
ASKED: list[dict[str, str]] = [
    {"input": "Go to bed.", "language": "en"},
    {"input": "bom dia.", "language": "pt-BR"},
    {"input": "Guten Tag.", "language": "de"},
    {"input": "Go to bed.", "language": "en", "instructions": "Speak like a sad person."},
]
"""The last is a style, which none of these has: it is passed over everywhere alike."""


SAME = 0.975
"""How much alike two takes of one voice of espeak are, at least. Those of two voices have 0.96 at most."""


def _is_unspoken(question: Mapping[str, str]) -> bool:
    """Whether the engine has no reader for the language."""
    return (question["model"], question["language"]) == ("kokoro", "de")


class Spoken(NamedTuple):
    status: int
    engine: str | None
    substitute: str | None
    sound: bytes

    def is_like(self, sound: bytes) -> bool:
        """Whether a sound is this one, or for espeak, whose takes differ a little, in this voice."""
        if self.engine != "espeak/standard" or not self.sound or not sound:
            return self.sound == sound
        return float(_timbre(self.sound) @ _timbre(sound)) > SAME


def _timbre(pcm: bytes) -> npt.NDArray[np.float64]:
    samples = np.frombuffer(pcm, "<i2").astype(float)
    frames = samples[: len(samples) // 512 * 512].reshape(-1, 512) * np.hanning(512)
    loudness = np.log(np.abs(np.fft.rfft(frames, axis=1)).mean(axis=0) + 1)
    centred = loudness - loudness.mean()
    return np.asarray(centred / np.linalg.norm(centred))


def sections(*, models: bool) -> str:
    """The engines' sections where they work. A mark would differ from answer to answer."""
    text = ""
    for name in ENGINES:
        text += f"[engines.{name}]\nmarking = false\nprocesses = 1\n"
        text += "".join(f"{key} = {value}\n" for key, value in SETTINGS[name].items())
        text += 'model = "mine"\n' if models and name == "kokoro" else ""
    return text


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with tiny models for Piper and Kokoro."""
    folder = tmp_path_factory.mktemp("models")
    interpreter()
    config = folder / "config.toml"
    config.write_text(sections(models=False))
    named = ("--licence", "CC0-1.0", "--name")
    brazilian: dict[str, Any] = {"language": "pt_BR", "espeak_voice": "pt-br"}
    voices = {"amy": {}, "bia": brazilian, "udo": {"language": "de_DE", "espeak_voice": "de"}}
    for base_hz, (voice, more) in enumerate(voices.items(), start=10):
        file = tiny.voice(folder / voice, voice, reading="text", base_hz=100.0 * base_hz, **more)
        command(config, "models", "import", str(file), "--engine", "piper", *named, voice)
    source = tiny_kokoro.model(folder / "source")
    command(config, "models", "import", str(source), "--engine", "kokoro", *named, "mine")
    (folder / "whole.toml").write_text(sections(models=True))
    return folder / "data"


@pytest.fixture(scope="module")
def home(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("home")
    shutil.copytree(data, folder / "data")
    with running(folder, f"[server]\nfirst_audio_s = 60\n{sections(models=True)}") as server:
        _wait(server)
        yield server


def _wait(server: Server) -> None:
    until(lambda: all(state(server, each)["state"] == "ready" for each in ENGINES), LOADED_S)


def _voices(server: Server) -> list[dict[str, Any]]:
    with server.client() as client:
        return sorted(client.get("/v1/audio/voices").json()["data"], key=lambda each: str(each["id"]))


def _said(server: Server, **asked: str) -> Spoken:
    answer = server.speech(asked.pop("input"), response_format="pcm", **asked)
    engine, substitute = (answer.headers.get(f"x-voxgate-{name}") for name in ("engine", "substitute"))
    return Spoken(answer.status_code, engine, substitute, answer.content if answer.is_success else b"")


def test_a_host_answers_as_home(home: Server, data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "host/data")
    text = "[server]\nfirst_audio_s = 60\n" + CLUSTER
    text += "".join(f'[engines.{name}]\ncluster = "gpu"\nmarking = false\n' for name in ENGINES)
    (tmp_path / "gateway").mkdir()
    with running(tmp_path / "gateway", text) as gateway:
        with agent(tmp_path / "host", gateway.url, host_key(gateway), sections(models=True)):
            _wait(gateway)
            assert _voices(gateway) == _voices(home)
            for model in (*ENGINES, "tts-1"):
                for asked, name in product(ASKED, BUILT_IN):
                    question = {**asked, "model": model, "voice": name}
                    there, here = _said(gateway, **question), _said(home, **question)
                    assert (here.status != 200) == _is_unspoken(question), question
                    assert (there[:3], here.is_like(there.sound)) == (here[:3], True), question


@asynccontextmanager
async def far(folder: Path, data: Path) -> AsyncIterator[Inside]:
    """A worker whose engines are each on a machine that is rented."""
    async with AsyncExitStack() as stack:
        text = '[server]\nhost = "127.0.0.1"\n[plans.metered]\nallowance = 1000000\nstreams = 4\n'
        for name in ENGINES:
            address = f"http://127.0.0.1:{_far_end(stack, name, data)}"
            text += f'[engines.{name}]\nrunner = "{name}"\nmarking = false\n'
            text += "budget_usd_day = 1000\njob_usd = 500\n"
            text += f'[runners.{name}]\nplugin = "far_http"\nurl = "{address}"\ntoken = "{TOKEN}"\n'
        opened = inside(folder, text, plan="metered", more={("runner", "far_http"): PLUGIN})
        server = await stack.enter_async_context(opened)
        for name in ENGINES:
            engine = server.worker.engines[name]
            await soon(lambda engine=engine: engine.state == "ready")  # type: ignore[misc]
        yield server


def _far_end(stack: AsyncExitStack, name: str, data: Path) -> int:
    """Start the process of a rented machine. Return its port."""
    python = sys.executable if name == "espeak" else interpreter(name)
    config = load_config(data.parent / "whole.toml", {})
    spec = registry.load().engine(name, config.engines[name], str(data))
    assert isinstance(spec, HostedEngineSpec)
    words = ["-P", "-m", "tests.features.jobs.remote.far_end", f"plugins.{name}.worker"]
    process = stack.enter_context(
        subprocess.Popen(
            [python, *words, msgspec.json.encode(spec.section.settings).decode(), TOKEN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        )
    )
    assert process.stdout is not None
    return int(process.stdout.readline())


async def test_a_rented_machine_answers_as_home(home: Server, data: Path, tmp_path: Path) -> None:
    async with far(tmp_path, data) as server:
        spoken = {}
        for model in ENGINES:
            for asked, name in product(ASKED, BUILT_IN):
                question = {**asked, "model": model, "voice": name}
                if not _is_unspoken(question):
                    made = await new_job(server, asked["input"], **question)
                    spoken[made["id"]] = question
        for id_, question in spoken.items():
            assert (await job_with(server, id_, "done", "failed"))["status"] == "done", question
            sound = (await content(server, id_)).content
            assert _said(home, **question).is_like(sound), question
