"""`voxgate worker`: steps of jobs beside a server, with which it shares a database and a folder."""

from __future__ import annotations

import os
import shutil
import signal
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests import speech_clips
from tests.databases import Postgres
from tests.faults.clusters import workers
from tests.faults.plugin_folders import environ, install
from tests.faults.processes import kill, state
from tests.features.jobs.apart import (
    job,
    new_job,
    refusal,
    serving,
    shared,
    sound,
    worker_config,
    working,
)
from tests.features.jobs.job_rig import said, text_of, words_of
from tests.server import ALONE, Server, stop
from tests.waiting import until

STEPS = 12
BELL = """
import os
from plugins.tone.plugin import ToneSettings
from speech_engine.plugin import Hosted, Plugin

def voxgate_register():
    packages = ("bell>=1",) if "NO_BELL" in os.environ else ()
    hosted = Hosted("plugins.tone.worker", packages=packages)
    return (Plugin(kind="engine", name="bell", settings=ToneSettings, create=hosted),)
"""
"""An engine whose environment the server's machine does not have."""
CARDS = """
from contextlib import asynccontextmanager
from pathlib import Path
import msgspec
from speech_engine import Plugin
from speech_engine.runner import NotBegun, RunnerLimits

class Settings(msgspec.Struct, forbid_unknown_fields=True):
    file: str

class Cards:
    limits = RunnerLimits(most_s=1.0, over_s=1.0, most_usd=1.0, most_bytes=9999, kept_s=1.0, stays_s=1.0)

    def __init__(self, settings):
        self.file = Path(settings.file)

    async def submit(self, work):
        raise NotBegun("There is no card.")

    async def find(self, key):
        return None

    async def look(self, name, work, since):
        raise NotImplementedError

    async def cancel(self, name):
        return None

    async def health(self):
        raise NotImplementedError

    async def tidy(self, live):
        self.file.touch()

@asynccontextmanager
async def create(name, settings, context):
    yield Cards(settings)

def voxgate_register():
    return (Plugin(kind="runner", name="cards", settings=Settings, create=create),)
"""
"""A runner that has no machine, and notes that it was asked to tidy."""
CARDS_CONFIG = """
[engines.far]
plugin = "tone"
runner = "rented"
budget_usd_day = 1
[runners.rented]
plugin = "cards"
file = "{file}"
"""


def new_voice(server: Server) -> str:
    consent = {"name": "Ana", "language": "en", "statement": "Yes."}
    with server.client() as client:
        made = client.post("/v1/audio/voice_consents", json=consent).raise_for_status().json()
        fields, files = (
            {"name": "Ana", "consent": made["id"]},
            {"audio_sample": ("a.wav", speech_clips.wav())},
        )
        voice = client.post("/v1/audio/voices", data=fields, files=files).raise_for_status().json()
    return str(voice["id"])


@pytest.fixture
def url(shared_postgres: Postgres) -> Iterator[str]:
    with shared_postgres.lent_schema() as schema:
        yield shared_postgres.url(search_path=schema)


def test_a_worker_speaks_what_its_server_leaves_to_it(tmp_path: Path, url: str) -> None:
    with serving(tmp_path, url) as server:
        id_ = new_job(server, text_of(STEPS))
        with working(tmp_path, url) as worker:
            until(lambda: job(server, id_)["status"] == "done")
            page = httpx2.get(worker.metrics).text
            assert f'voxgate_job_steps_total{{result="done"}} {STEPS}.0' in page
            assert state(worker, "tone")["state"] == "ready"
            assert "Nothing has changed" in worker.cli("reload").stdout
            assert "none, as what runs is a worker" in worker.cli("doctor", check=False).stdout
        assert said(sound(server, id_)) == words_of(STEPS)
        assert worker.process.returncode == 0


def test_a_server_that_leaves_steps_to_others_speaks_none(tmp_path: Path, url: str) -> None:
    with serving(tmp_path, url) as server:
        id_ = new_job(server, text_of(1))
        spoken = server.speech("Hello.")
        assert spoken.status_code == 200
        page = httpx2.get(server.metrics).text
        assert "voxgate_job_steps_total{" not in page
        assert job(server, id_)["status"] == "queued"


def test_steps_go_on_where_a_worker_was_killed_or_stopped(
    tmp_path: Path, url: str, shared_postgres: Postgres
) -> None:
    with serving(tmp_path, url) as server:
        id_ = new_job(server, text_of(40))
        with working(tmp_path, url) as worker:
            until(lambda: job(server, id_)["steps_done"] >= 2)
            kill(workers(worker)[0])
            done = job(server, id_)["steps_done"]
            until(lambda: job(server, id_)["steps_done"] > done)
            # What it had under way is ended, or given back: nobody waits for a lease.
            assert stop(worker.process) == 0
        # The killed process gave nothing back: let the minute of its leases pass.
        schema = url.rpartition("search_path=")[2]
        shared_postgres.psql(f"UPDATE {schema}.job_steps SET lease = lease - 60000000 WHERE lease > 0")
        with working(tmp_path, url):
            until(lambda: job(server, id_)["status"] == "done", 90.0)
        assert said(sound(server, id_)) == words_of(40)


def test_a_worker_without_the_model_leaves_its_steps_to_others(tmp_path: Path, url: str) -> None:
    other = ALONE.replace("[engines.tone]", '[engines.other]\nplugin = "tone"').replace("tone/", "other/")
    other = other.replace("tone = ", "other = ").replace('"tone" =', '"another" =')
    with serving(tmp_path, url) as server:
        id_ = new_job(server, text_of(3), model="tone/standard")
        with working(tmp_path, url, config=other) as lacking:

            def page() -> str:
                return httpx2.get(lacking.metrics).text

            until(lambda: 'voxgate_job_steps_total{result="put off"}' in page())
            assert job(server, id_)["status"] == "queued"
        with working(tmp_path, url):
            until(lambda: job(server, id_)["status"] == "done")


def test_a_server_takes_jobs_for_a_model_that_only_a_worker_has(tmp_path: Path, url: str) -> None:
    install(tmp_path, "v_bell", BELL)
    config = ALONE.replace('tone = "tone"', 'tone = "tone"\nbell = "tone"') + "[engines.bell]\n"
    plugins = {**environ(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with serving(tmp_path, url, here=True, config=config, environ={**plugins, "NO_BELL": "1"}) as server:
        assert server.speech("Here?", model="bell/standard").status_code == 503
        with working(tmp_path, url, config=config, environ=plugins):

            def has_model() -> bool:
                with server.client() as client:
                    return '"bell/standard"' in client.get("/v1/models").text

            until(has_model)
            id_ = new_job(server, text_of(3), model="bell/standard")
            until(lambda: job(server, id_)["status"] == "done")
        assert said(sound(server, id_)) == words_of(3)
        # Who listens gets no answer from there, and is told so at once.
        assert server.speech("Here?", model="bell/standard").status_code == 503


def test_a_worker_ends_machines_that_bill_for_nothing(tmp_path: Path, url: str) -> None:
    """Its server may be down, or know nothing of its runner."""
    install(tmp_path, "v_cards", CARDS)
    config = ALONE + CARDS_CONFIG.format(file=tmp_path / "tidied")
    with serving(tmp_path, url), working(tmp_path, url, config=config, environ=environ(tmp_path)):
        until(lambda: (tmp_path / "tidied").exists())


def test_a_worker_refuses_what_is_not_its_servers(tmp_path: Path, url: str) -> None:
    alone = refusal(worker_config(tmp_path, ALONE))
    assert "storage.url: a worker needs its server's PostgreSQL" in alone
    text = ALONE + shared(tmp_path, url)
    folder = f'folder = "{tmp_path}/recordings"\n'
    assert "vault.folder: a worker keeps sound" in refusal(worker_config(tmp_path, text.replace(folder, "")))
    key = f'master_key = "file:{tmp_path}/key"\n'
    assert "give this worker the key of its server" in refusal(worker_config(tmp_path, text.replace(key, "")))
    with serving(tmp_path, url, here=True) as server:
        id_ = new_job(server, "Hello.")
        until(lambda: job(server, id_)["status"] == "done")
    (tmp_path / "other").write_bytes(b64encode(os.urandom(32)))
    others = text.replace(key, f'master_key = "file:{tmp_path}/other"\n')
    assert "sealed what the server keeps" in refusal(worker_config(tmp_path, others))
    elsewhere = text.replace(folder, f'folder = "{tmp_path}/elsewhere"\n')
    assert "is not the vault of this database" in refusal(worker_config(tmp_path, elsewhere))
    shutil.copytree(tmp_path / "recordings", tmp_path / "elsewhere")
    with working(tmp_path, url) as worker:
        os.kill(worker.process.pid, signal.SIGTERM)
        assert worker.process.wait(30) == 0


def test_nothing_of_a_voice_is_left_at_a_worker_when_its_receipt_is_complete(
    tmp_path: Path, url: str, shared_postgres: Postgres
) -> None:
    with serving(tmp_path, url) as server, working(tmp_path, url) as worker:
        voice = new_voice(server)
        id_ = new_job(server, text_of(60), voice=voice)
        until(lambda: job(server, id_)["steps_done"] >= 2)
        with server.client() as client:
            client.delete(f"/v1/audio/voices/{voice}").raise_for_status()
            receipt = client.get(f"/v1/audio/voices/erasures/{voice}").raise_for_status().json()
        assert receipt["completed"] is not None, receipt
        # Another process had to be waited for, and it has said so.
        schema = url.rpartition("search_path=")[2]
        assert shared_postgres.psql(f"SELECT count(DISTINCT life) FROM {schema}.followers") == ["2"]
        assert shared_postgres.psql(f"SELECT count(*) FROM {schema}.job_clips") == ["0"]
        until(lambda: job(server, id_)["status"] == "failed")
        assert shared_postgres.psql(f"SELECT count(*) FROM {schema}.job_clips") == ["0"]
        assert worker.process.poll() is None
