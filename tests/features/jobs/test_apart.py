"""`voxgate worker`: steps of jobs beside a server, with which it shares a database and a folder.

All tests share one server, and all but the first and the last a worker.
"""

import asyncio
import os
import shutil
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from msgspec.structs import replace

from proxy.app import open_worker
from proxy.engines import registry
from proxy.feature_list import load_config
from proxy.file_store.vault import VaultFailed
from tests import commands, forked, speech_clips
from tests.databases import Postgres
from tests.faults.clusters import metric, workers
from tests.faults.plugin_folders import environ, install
from tests.faults.processes import kill, state
from tests.features.cluster.rig import Link
from tests.features.jobs.apart import (
    job,
    new_job,
    serving,
    shared,
    sound,
    worker_config,
    working,
)
from tests.features.jobs.job_rig import said, text_of, words_of
from tests.server import ALONE, Server, stop
from tests.waiting import until

pytestmark = pytest.mark.slow_but("test_a_worker_speaks_what_its_server_leaves_to_it")

STEPS = 6
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

BELL_TOO = ALONE.replace('tone = "tone"', 'tone = "tone"\nbell = "tone"') + "[engines.bell]\n"
OTHER_TOO = (
    ALONE.replace('tone = "tone"', 'tone = "tone"\nother = "tone"').replace(
        "[engines.tone]", "[engines.tone]\nhosted = false"
    )
    + '[engines.other]\nplugin = "tone"\nhosted = false\n'
)
"""Only the server has the engine `other`, until a second worker comes. Without hosts, each starts sooner."""
SERVER = OTHER_TOO.replace('other = "tone"', 'other = "tone"\nbell = "tone"') + "[engines.bell]\n"
CARDS_CONFIG = """
[engines.far]
plugin = "tone"
runner = "rented"
budget_usd_day = 1
[runners.rented]
plugin = "cards"
file = "{file}"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("apart")
    install(folder, "v_bell", BELL)
    install(folder, "v_cards", CARDS)
    return folder


@pytest.fixture(scope="module")
def url(shared_postgres: Postgres) -> Iterator[str]:
    with shared_postgres.lent_schema() as schema:
        yield shared_postgres.url(search_path=schema)


@pytest.fixture(scope="module")
def plugins(folder: Path) -> dict[str, str]:
    return {**environ(folder), "XDG_CACHE_HOME": str(folder / "cache")}


@pytest.fixture(scope="module")
def server(folder: Path, url: str, plugins: dict[str, str]) -> Iterator[Server]:
    """It has not the packages of the engine `bell`."""
    with serving(folder, url, config=SERVER, environ={**plugins, "NO_BELL": "1"}) as server:
        yield server


@pytest.fixture(scope="module")
def worker(folder: Path, url: str, server: Server, plugins: dict[str, str]) -> Iterator[Server]:
    config = BELL_TOO + CARDS_CONFIG.format(file=folder / "tidied")
    with working(folder, url, config=config, environ=plugins) as worker:
        yield worker


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


def test_a_server_that_leaves_steps_to_others_speaks_none(server: Server) -> None:
    id_ = new_job(server, text_of(1))
    assert server.speech("Hello.").status_code == 200
    page = httpx2.get(server.metrics).text
    assert "voxgate_job_steps_total{" not in page
    assert job(server, id_)["status"] == "queued"


def test_a_worker_speaks_what_its_server_leaves_to_it(server: Server, worker: Server) -> None:
    done = 'voxgate_job_steps_total{result="done"}'
    before = metric(worker, done)
    id_ = new_job(server, text_of(STEPS))
    until(lambda: job(server, id_)["status"] == "done")
    assert metric(worker, done) >= before + STEPS
    assert "voxgate_job_steps_total{" not in httpx2.get(server.metrics).text
    assert state(worker, "tone")["state"] == "ready"
    assert "Nothing has changed" in worker.cli("reload").stdout
    assert "none, as what runs is a worker" in worker.cli("doctor", check=False).stdout
    assert said(sound(server, id_)) == words_of(STEPS)


def test_a_worker_ends_machines_that_bill_for_nothing(folder: Path, worker: Server) -> None:
    """Its server may be down, or know nothing of its runner, as here."""
    until(lambda: (folder / "tidied").exists())


def test_nothing_of_a_voice_is_left_at_a_worker_when_its_receipt_is_complete(
    server: Server, worker: Server, url: str, shared_postgres: Postgres
) -> None:
    voice = new_voice(server)
    id_ = new_job(server, text_of(60), voice=voice)
    until(lambda: job(server, id_)["steps_done"] >= 2)
    with server.client() as client:
        client.delete(f"/v1/audio/voices/{voice}").raise_for_status()
        receipt = client.get(f"/v1/audio/voices/erasures/{voice}").raise_for_status().json()
    assert receipt["completed"] is not None, receipt
    # Another process had to be waited for, and it has said so.
    schema = url.rpartition("search_path=")[2]
    clips = f"SELECT count(*) FROM {schema}.job_clips WHERE job = '{id_}'"
    assert shared_postgres.psql(f"SELECT count(DISTINCT life) FROM {schema}.followers") == ["2"]
    assert shared_postgres.psql(clips) == ["0"]
    until(lambda: job(server, id_)["status"] == "failed")
    assert shared_postgres.psql(clips) == ["0"]
    assert worker.process.poll() is None


async def test_a_worker_refuses_what_is_not_its_servers(
    tmp_path: Path, folder: Path, url: str, server: Server, worker: Server
) -> None:
    new_job(server, "Its text is sealed.")
    text = ALONE + shared(folder, url)
    recordings, key = f'folder = "{folder}/recordings"\n', f'master_key = "file:{folder}/key"\n'
    (tmp_path / "other").write_bytes(b64encode(os.urandom(32)))
    others = text.replace(key, f'master_key = "file:{tmp_path}/other"\n')
    elsewhere = text.replace(recordings, f'folder = "{tmp_path}/elsewhere"\n')
    for wrong, reason in (
        (ALONE, "storage.url: a worker needs its server's PostgreSQL"),
        (text.replace(recordings, ""), "vault.folder: a worker keeps sound"),
    ):
        file = worker_config(tmp_path, wrong)
        ran = commands.command(file, "worker", check=False)
        assert (ran.returncode, reason in " ".join(ran.stderr.split())) == (1, True), ran.stderr
    for wrong, reason in (
        (text.replace(key, ""), "give this worker the key of its server"),
        (others, "sealed what the server keeps"),
        (elsewhere, "is not the vault of this database"),
    ):
        with pytest.raises(VaultFailed, match=reason):
            await open_beside(tmp_path, wrong)
    config = str(worker_config(tmp_path, elsewhere))
    ended = await asyncio.to_thread(
        forked.command, "worker", environ={"VOXGATE_CONFIG": config, "VOXGATE_SERVER__METRICS": ""}
    )
    [line] = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    assert (ended.returncode, ended.stdout) == (1, "")
    assert line.startswith(f"voxgate could not start: vault.folder: {tmp_path}/elsewhere is not the vault of")
    shutil.copytree(folder / "recordings", tmp_path / "elsewhere", dirs_exist_ok=True)
    await open_beside(tmp_path, elsewhere)


async def open_beside(folder: Path, text: str) -> None:
    """Open a worker in this process."""
    config = replace(load_config(worker_config(folder, text), {}), serves=False)
    async with open_worker(config, registry.load(), Link().made()):
        pass


def test_a_server_takes_jobs_for_a_model_that_only_a_worker_has(server: Server, worker: Server) -> None:
    def has_model() -> bool:
        with server.client() as client:
            return '"bell/standard"' in client.get("/v1/models").text

    until(has_model)
    id_ = new_job(server, text_of(3), model="bell/standard")
    until(lambda: job(server, id_)["status"] == "done")
    assert said(sound(server, id_)) == words_of(3)
    # A listener gets no answer from there, and is told so at once.
    assert server.speech("Here?", model="bell/standard").status_code == 503


def test_steps_go_on_where_a_worker_was_killed_or_stopped_and_wait_for_one_with_the_model(
    folder: Path, url: str, server: Server, worker: Server, shared_postgres: Postgres
) -> None:
    put_off = 'voxgate_job_steps_total{result="put off"}'
    lacking = new_job(server, text_of(3), model="other/standard")
    until(lambda: metric(worker, put_off))
    assert job(server, lacking)["status"] == "queued"
    id_ = new_job(server, text_of(40))
    until(lambda: job(server, id_)["steps_done"] >= 2)
    kill(workers(worker)[0])
    done = job(server, id_)["steps_done"]
    until(lambda: job(server, id_)["steps_done"] > done)
    # What it had under way is ended, or given back: no step waits for a lease.
    assert stop(worker.process) == 0
    # The killed process gave nothing back: let the minute of its leases pass.
    schema = url.rpartition("search_path=")[2]
    shared_postgres.psql(f"UPDATE {schema}.job_steps SET lease = lease - 60000000 WHERE lease > 0")
    with working(folder, url, config=OTHER_TOO):
        until(lambda: [job(server, each)["status"] for each in (id_, lacking)] == ["done", "done"], 90.0)
    assert said(sound(server, id_)) == words_of(40)
    assert said(sound(server, lacking)) == words_of(3)
