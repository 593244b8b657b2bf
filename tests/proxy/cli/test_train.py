"""`voxgate train` beside a real server: twenty recordings become a model, in memory that is booked."""

from __future__ import annotations

import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests import speech_clips
from tests.commands import run
from tests.features.own_voices.test_clips import other_wav
from tests.replies import json_of
from tests.server import ALONE, Server, live_server
from tests.waiting import until

CONFIG = ALONE.replace("[engines.tone]", "[engines.tone]\ndelay_s = 0.004") + "[jobs]\ntraining_gb = 0.5\n"

beside = live_server(CONFIG)


@pytest.fixture(scope="module")
def voice(beside: Server) -> str:
    """A voice with twenty recordings, whose speaker agrees to a training."""
    with beside.client(timeout=60.0) as client:
        consent = client.post(
            "/v1/audio/voice_consents",
            json={
                "name": "Ana",
                "language": "en",
                "statement": "Ana agreed.",
                "uses": ["training", "speech"],
            },
        ).json()["id"]
        sent = {"name": "Ana", "consent": consent}
        id_: str = json_of(
            client.post("/v1/audio/voices", data=sent, files={"audio_sample": speech_clips.wav()})
        )["id"]
        few = client.post("/v1/jobs", json={"kind": "training", "voice": id_, "model": "tone"})
        assert few.json()["error"]["code"] == "too_few_recordings"
        for number in range(19):
            files = {"file": other_wav(number)}
            added = client.post(f"/v1/audio/voices/{id_}/samples", data={"emotion": "neutral"}, files=files)
            assert added.status_code == 201, added.text
            assert added.json()["quality"]["rating"]
    return id_


def train(beside: Server, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return run("train", *arguments, environ={"VOXGATE_CONFIG": str(beside.config)}, typed=b"")


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
