"""`voxgate env list` and `env remove`, where plugins share an environment."""

from pathlib import Path

import msgspec
import pytest

from plugins.kokoro.plugin import HOSTED as KOKORO
from plugins.piper.plugin import HOSTED as PIPER
from proxy.hosts.environments import environments
from tests.proxy.cli.test_main import Run, at_a_terminal, folder, refused, run
from tests.proxy.hosts.test_environments import made

__all__ = ["folder", "run"]


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of piper and kokoro, in which both have run."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = made(environments.root(), environments.recipe("piper", PIPER))
    for name, hosted in (("piper", PIPER), ("kokoro", KOKORO)):
        environments.interpreter(name, hosted)
    return found


def _states(run: Run) -> dict[str, str]:
    rows = run("env", "list", "--json").json["data"]
    return {row["plugin"]: row["state"] for row in rows if row["plugin"] in ("piper", "kokoro", "gone")}


def test_each_plugin_has_its_line(run: Run, shared: Path) -> None:
    assert _states(run) == {"piper": "current", "kokoro": "current"}
    rows = run("env", "list", "--json").json["data"]
    assert {row["folder"] for row in rows if row["state"] == "current"} == {str(shared)}


def test_what_another_plugin_runs_in_stays_unless_it_is_said(
    run: Run, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = at_a_terminal(run, monkeypatch, "n\n", "env", "remove", "piper", "--shared")
    assert (asked.status, "Delete the environments of piper?" in asked.err) == (1, True)
    assert "kokoro runs in the environment of piper, too; add --shared" in refused(
        run("env", "remove", "piper")
    )
    assert run("env", "remove", "piper", "--stale", "--json").json["data"] == []
    (row,) = run("env", "remove", "piper", "--shared", "--json").json["data"]
    assert (row["plugin"], shared.exists()) == ("piper", False)
    assert _states(run) == {"piper": "missing", "kokoro": "missing"}


def test_stale_ones_go_by_the_name_of_any_plugin_that_ran_there(run: Run, shared: Path) -> None:
    old = msgspec.structs.replace(environments.recipe("kokoro", KOKORO), voxgate="0.0.1")
    stale = made(environments.root(), old)
    (found,) = (each for each in environments.every() if each.folder == stale)
    environments.view(found, old.links)
    for plugin in ("kokoro", "gone"):
        environments.note_plugin(found, msgspec.structs.replace(old, plugin=plugin), old.imports)
    assert _states(run)["gone"] == "stale"
    (row,) = run("env", "remove", "gone", "--stale", "--json").json["data"]
    assert (row["hash"], stale.exists(), shared.exists()) == (old.digest, False, True)
