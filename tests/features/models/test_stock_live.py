"""Imported models beside a running server: its own are kept, others come and go."""

import json
import os
from pathlib import Path

import httpx2
import pytest

from tests import server
from tests.checkpoints import tiny, torch_file, write_rest
from tests.faults.plugin_folders import environ
from tests.faults.processes import kill, worker
from tests.features.models.test_stock import IMPORT, plugins, source
from tests.proxy.cli.test_main import Run, folder, run
from tests.sound import decoded
from tests.tones import words
from tests.waiting import until

pytestmark = pytest.mark.slow

__all__ = ["folder", "plugins", "run", "source"]


def test_models_that_a_running_server_speaks_with(source: Path, plugins: Path, run: Run) -> None:
    run("models", "import", str(source), *IMPORT)
    config = Path(os.environ["VOXGATE_CONFIG"])
    data = f"[server]\ndata = {json.dumps(str(config.parent / 'data'))}\n"
    text = server.ALONE.replace("[server]\n", data) + (
        '[engines.chirp]\nmodel = "bird"\naccept_licence = "CPML"\n'
        '[plans.free]\n[plans.sold]\nprice = "$19"\n'
    )
    with server.running(config.parent, text, environ=environ(plugins)) as running:
        _assert_the_licence_of_an_import_replaces_another(running)
        _assert_it_keeps_its_model_and_lets_others_come(running, source)
        _assert_a_worker_that_begins_later_names_the_licence_of_the_model_that_runs(running, source)
        _assert_a_restarted_engine_speaks_with_the_version_that_was_imported_last(running, source)
    assert run("models", "remove", "bird", "--force").status == 0


def _assert_the_licence_of_an_import_replaces_another(running: server.Server) -> None:
    with running.client() as client:
        shown = {each["id"]: each.get("licence") for each in client.get("/v1/models").json()["data"]}
    assert (shown["chirp/standard"], shown["tone/standard"], shown["tts-1"]) == ("CPML", "Apache-2.0", None)
    (row,) = (
        row for row in json.loads(running.cli("engines", "--json").stdout)["data"] if row["name"] == "chirp"
    )
    assert row["licences"] == {"chirp/standard": "CPML"}
    sold = running.mint_key("buyer", plan="sold").secret
    body = {"model": "chirp/standard", "voice": "chirp/tone", "input": "Not for money."}
    with running.client(sold) as client:
        refused = client.post("/v1/audio/speech", json=body)
        assert "chirp/standard" not in client.get("/v1/models").text
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "paid_use_forbidden")


def _assert_it_keeps_its_model_and_lets_others_come(running: server.Server, source: Path) -> None:
    spoken = running.speech("It speaks.", model="chirp/standard", voice="chirp/tone")
    assert spoken.status_code == 200, spoken.text
    stored = running.cli("models", "remove", "bird", "--force", check=False)
    assert stored.returncode == 1
    assert "a running server speaks with" in stored.stderr
    more = ("--engine", "chirp", "--name", "owl", "--licence", "MIT")
    assert running.cli("models", "import", str(source), *more).returncode == 0
    assert running.cli("models", "remove", "owl").returncode == 0


def _assert_a_worker_that_begins_later_names_the_licence_of_the_model_that_runs(
    running: server.Server, source: Path
) -> None:
    assert _licence(running) == "CPML"
    torch_file(source / "model.pth", {**tiny(), "more.weight": tiny()["embed.weight"]})
    free = ("--engine", "chirp", "--name", "bird", "--licence", "Apache-2.0", "--change-licence")
    assert running.cli("models", "import", str(source), *free).returncode == 0
    # The same files, too: their manifest is written anew.
    torch_file(source / "model.pth", tiny())
    assert running.cli("models", "import", str(source), *free).returncode == 0
    kill(worker(running))
    until(lambda: is_served(running))
    assert _licence(running) == "CPML"


def is_served(running: server.Server) -> bool:
    try:
        with running.client() as client:
            return client.get("/readyz").status_code == 200
    except httpx2.HTTPError:
        return False


def _assert_a_restarted_engine_speaks_with_the_version_that_was_imported_last(
    running: server.Server, source: Path
) -> None:
    assert _said(running) == ["3 well"]
    write_rest(source, words=5)
    torch_file(source / "model.pth", tiny(words=5))
    more = ("--engine", "chirp", "--name", "bird", "--licence", "MIT", "--change-licence")
    second = json.loads(running.cli("models", "import", str(source), *more, "--json").stdout)
    assert _said(running) == ["3 well"], "it goes on with what it has loaded"
    assert running.cli("engines", "restart", "chirp").returncode == 0
    assert _said(running) == ["5 well"]
    assert _licence(running) == "MIT"
    # The old version is free, and the new one is held.
    assert running.cli("models", "remove", "bird", "--stale").returncode == 0
    stored = running.cli("models", "remove", "bird", "--force", check=False)
    assert "a running server speaks with" in stored.stderr

    (running.data / "models" / "bird" / second["digest"] / "vocab.json").write_text("{}")
    refused = running.cli("engines", "restart", "chirp", check=False)
    assert refused.returncode == 1
    assert "import the model again" in refused.stderr
    assert _said(running) == ["5 well"], "it was not ended for nothing"


def _said(running: server.Server) -> list[str] | None:
    body = {"model": "chirp/standard", "voice": "chirp/tone", "response_format": "wav"}
    answer = running.speech("well", **body)
    assert answer.status_code == 200, answer.text
    heard = decoded(answer.content, "wav")
    return words(heard.samples, heard.sample_rate_hz)


def _licence(running: server.Server) -> str:
    with running.client() as client:
        return str(client.get("/v1/models/chirp/standard").json()["licence"])
