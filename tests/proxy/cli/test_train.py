"""`voxgate train` beside a real server: twenty recordings become a model, in memory that is booked."""

import asyncio
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from proxy.audio.formats import wav_header
from proxy.features.jobs.kinds.training.training_input import LEAST_RECORDINGS
from tests.commands import run
from tests.features.jobs.conversions.rig import said
from tests.features.jobs.training.training_rig import voice_to_train
from tests.proxy.api.inside import inside
from tests.server import ALONE, Server, running
from tests.waiting import until

pytestmark = pytest.mark.slow

CONFIG = (
    ALONE.replace("[engines.tone]", "[engines.tone]\ndelay_s = 0.004\nhears = true")
    + "[jobs]\ntraining_gb = 0.5\n"
)


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a voice of twenty recordings, whose speaker agrees to trainings. `key` is the owner's."""
    folder = tmp_path_factory.mktemp("server")
    key = asyncio.run(recorded(folder))
    with running(folder, CONFIG) as started:
        yield started._replace(key=key)


async def recorded(folder: Path) -> str:
    """Make the voice before the server begins, which would decode each upload in a process of its own."""
    async with inside(folder, CONFIG) as server:
        await voice_to_train(server, recordings=LEAST_RECORDINGS)
        return server.key


@pytest.fixture(scope="module")
def voice(beside: Server) -> str:
    with beside.client() as client:
        (found,) = [each for each in client.get("/v1/audio/voices").json()["data"] if each["name"] == "Ana"]
    return str(found["id"])


def train(beside: Server, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return run("train", *arguments, environ={"VOXGATE_CONFIG": str(beside.config), "VOXGATE_KEY": beside.key})


def test_a_voice_is_trained_and_taken_home(beside: Server, voice: str, tmp_path: Path) -> None:
    file = tmp_path / "ana.onnx"
    done = train(beside, "Ana", "--model", "tone", "--steps", "100", "--out", str(file))
    assert done.returncode == 0, done.stderr.decode()
    assert f"{voice} is trained, in 100 steps." in done.stdout.decode()
    assert "trains it" in done.stderr.decode()
    assert file.read_bytes().startswith(b"tone as onnx")
    with beside.client() as client:
        (model,) = client.get(f"/v1/audio/voices/{voice}").json()["trained"]
        assert (model["format"], model["origin"]) == ("tone", "training")
        answer = client.get(f"/v1/audio/voices/{voice}/model?form=json")
        assert answer.status_code == 200, answer.text


def test_a_voice_without_onnx_is_said_to_be_trained_and_how_it_leaves(
    beside: Server, voice: str, tmp_path: Path
) -> None:
    # As an engine leaves it that cannot write this voice in ONNX.
    lose = """
        CREATE TRIGGER lose AFTER INSERT ON job_encoded WHEN NEW.chapter = 0
        BEGIN DELETE FROM job_encoded WHERE job = NEW.job AND chapter = 0; END
    """
    with closing(sqlite3.connect(beside.data / "voxgate.db")) as database:
        database.execute(lose)
        try:
            done = train(beside, "Ana", "--model", "tone", "--steps", "20", "--out", str(tmp_path / "a.onnx"))
        finally:
            database.execute("DROP TRIGGER lose")
    assert done.returncode == 1
    told = done.stderr.decode().splitlines()[-1]
    assert told.startswith(f"{voice} is trained, in 20 steps, and charged; only the file is missing")
    command = told.partition(": voxgate ")[2].split()
    home = beside.cli(*command, "--as", "json", "--to", str(tmp_path / "ana.json"))
    assert home.returncode == 0
    assert (tmp_path / "ana.json").stat().st_size


def test_commands_for_jobs_tell_the_stage_and_step_of_a_training(beside: Server, voice: str) -> None:
    with beside.client() as client:
        asked = {"kind": "training", "voice": voice, "model": "tone", "steps": 2_000}
        job = client.post("/v1/jobs", json=asked).json()["id"]
        try:
            until(lambda: client.get(f"/v1/jobs/{job}").json()["training"]["step"] > 0)
            for command in (("show", job), ("list",)):
                shown = beside.cli("jobs", *command).stdout
                assert re.search(rf"{job} +training +running +\d+ of 2000 ", shown), shown
            watched = beside.cli("jobs", "watch", job, "--minutes", "0", check=False).stdout
            assert re.fullmatch(r"running, training, \d+ of 2000 steps\n", watched), watched
        finally:
            client.post(f"/v1/jobs/{job}/cancel")
    assert "canceled, training, " in beside.cli("jobs", "watch", job, check=False).stdout


def test_what_is_refused_is_said(beside: Server) -> None:
    done = train(beside, "nobody", "--model", "tone")
    assert done.returncode == 1
    assert "You have no voice 'nobody'" in done.stderr.decode()


def test_one_long_recording_is_cut_first(beside: Server, voice: str, tmp_path: Path) -> None:
    file = tmp_path / "reading.wav"
    pcm = said([f"Line {number}. " + "One and two. " * 19 for number in range(17)], pause_s=2.0)
    file.write_bytes(wav_header(len(pcm) // 2) + pcm)
    done = train(beside, "Ana", "--model", "tone", "--steps", "20", "--from", str(file))
    assert done.returncode == 0, done.stderr.decode()
    assert "17 clips, 0 left out" in done.stderr.decode()
    assert f"{voice} is trained, in 20 steps." in done.stdout.decode()
    missing = train(beside, "Ana", "--model", "tone", "--from", str(tmp_path / "none.wav"))
    assert (missing.returncode, b"none.wav" in missing.stderr) == (1, True)
