"""`voxgate reload`: the running server reads its file again, and the command says what came of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.file_store import data_folder
from tests import server
from tests.commands import command
from tests.proxy.cli.test_main import Run, folder, refused, run

__all__ = ["folder", "run"]

_CONFIG = server.PLAIN


@pytest.fixture
def running(plain_server: server.Server) -> Iterator[server.Server]:
    with server.reconfigured(plain_server) as started:
        yield started


def test_what_changed_is_said_and_counts_at_once(running: server.Server) -> None:
    running.config.write_text(_CONFIG + '[voices.narrator]\ntone = "tone"\n')
    assert running.cli("reload").stdout == "Changed: voices.\n"
    assert running.speech("In time.", voice="narrator").status_code == 200
    assert running.cli("reload").stdout == "Nothing has changed. Keys in files were read again.\n"


def test_what_waits_for_a_restart_is_said(running: server.Server) -> None:
    running.config.write_text(_CONFIG.replace("[server]", "[server]\nstall_s = 7\nusage_days = 9"))
    answer = json.loads(running.cli("reload", "--json").stdout)
    assert answer == {"changed": ["server.usage_days"], "needs_restart": ["server.stall_s"]}
    assert "These wait for a restart: server.stall_s." in running.cli("reload").stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (_CONFIG + "[voices.alloy2]\ntoen = 'x'\n", "voices.alloy2.toen"),
        ("[server\n", "not valid TOML"),
        (_CONFIG.replace("[plans.small]\nrpm = 5\n", ""), "plans: accounts are on small"),
    ],
)
def test_a_file_that_cannot_be_used_changes_nothing_and_says_why(
    running: server.Server, text: str, says: str
) -> None:
    running.cli("accounts", "create", "ada", "--plan", "small", check=False)
    running.config.write_text(text)
    done = running.cli("reload", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
    assert running.speech("As before.").status_code == 200


def test_a_fault_that_only_the_server_sees_is_told(running: server.Server, tmp_path: Path) -> None:
    # The server reads its own file, whatever the command has read.
    file = tmp_path / "config.toml"
    file.write_text(f'[server]\ndata = "{running.data}"\n')
    running.config.write_text(_CONFIG + "[voices.alloy2]\ntoen = 'x'\n")
    done = command(file, "reload", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{running.config}: voices.alloy2.toen: no such key" in done.stderr


def test_many_at_once_are_all_answered(running: server.Server) -> None:
    with running.control() as control:
        answers = [control.post("/admin/reload") for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}


def test_no_key_reaches_it(running: server.Server) -> None:
    with running.client(running.mint_key(role="admin").secret) as client:
        assert client.post("/admin/reload").status_code == 404
        assert client.get("/admin/server").status_code == 404


def test_without_a_server_nothing_is_reloaded(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.processes.admin_client._START_WAIT_S", 0.1)
    assert f"no server runs on {folder / 'data'}; start it: voxgate serve" in refused(run("reload"))
    with data_folder.lock_data_folder(folder / "data"):
        assert "404" not in refused(run("reload"))
