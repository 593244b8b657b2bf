"""examples/beep, the whole way of a third party's plugin: installed, listed, built, served, heard."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.examples.conftest import BEEP
from tests.server import VOXGATE, Server, running
from tests.sound import decoded

pytestmark = pytest.mark.slow

CONFIG = '[server]\ndefault_model = "beep/letters"\n[engines.beep]\nletter_ms = 50\n'


def voxgate(installed: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, **installed}
    return subprocess.run([VOXGATE, *command], env=environ, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def built(installed: dict[str, str]) -> dict[str, Any]:
    """What `env list` says before and `env build` afterwards."""
    listed = json.loads(voxgate(installed, "env", "list", "--json").stdout)["data"]
    (before,) = (row for row in listed if row["plugin"] == "beep")
    assert (before["plugin"], before["state"]) == ("beep", "missing")
    done = voxgate(installed, "env", "build", "beep", "--json")
    assert done.returncode == 0, done.stderr
    progress = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(said["step"], said["of_steps"]) for said in (progress[0], progress[-1])] == [(1, 3), (3, 3)]
    row: dict[str, Any] = json.loads(done.stdout)
    return row


@pytest.fixture(scope="module")
def server(
    installed: dict[str, str], built: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("server"), CONFIG, environ=installed) as started:
        yield started


def test_its_environment_has_the_package_and_the_servers_has_not(built: dict[str, Any]) -> None:
    assert (built["built"], built["state"]) == (True, "current")
    (python,) = Path(built["folder"]).glob("installations/*/bin/python")
    code = "import anyascii, voxgate_beep.worker; print(anyascii.__file__)"
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_relative_to(built["folder"])
    assert importlib.util.find_spec("anyascii") is None


def test_its_environment_has_nothing_of_the_servers_but_the_host(built: dict[str, Any]) -> None:
    python = Path(built["folder"]) / "bin" / "python"
    for module in ("starlette", "numpy", "proxy", "plugins"):
        done = subprocess.run([python, "-I", "-c", f"import {module}"], capture_output=True, check=False)
        assert done.returncode != 0, module


def test_beep_is_listed_with_its_model(server: Server) -> None:
    (row,) = json.loads(server.cli("engines", "--json").stdout)["data"]
    assert (row["name"], row["plugin"], row["state"]) == ("beep", "beep", "ready")
    assert row["models"] == ["beep/letters"]


def test_its_host_spells_another_script_as_only_that_package_can(server: Server) -> None:
    answer = server.speech("щи", model="beep/letters", voice="beep/low", response_format="wav")
    assert answer.status_code == 200
    heard = decoded(answer.content, "wav")
    assert heard.seconds == pytest.approx(0.05 * len("shchi"), abs=0.005)
    assert heard.loudness > 0.05


def test_its_own_tests_pass_where_an_author_would_run_them(anyascii: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": f"{anyascii}{os.pathsep}{BEEP}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(BEEP), "tests"]
    done = subprocess.run(command, cwd=BEEP, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^=* *\d\d passed", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.soak
def test_building_again_finds_it_there(installed: dict[str, str], built: dict[str, Any]) -> None:
    again = json.loads(voxgate(installed, "env", "build", "beep", "--json").stdout)
    assert again == {**built, "built": False}


@pytest.mark.soak
def test_check_tries_the_contract_in_an_environment_that_is_shared(
    installed: dict[str, str], built: dict[str, Any]
) -> None:
    # The folder itself is another installation of the plugin: it shares what is built.
    done = voxgate(installed, "env", "build", "beep", "--plugin", str(BEEP), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["hash"] == built["hash"]
    done = voxgate(installed, "check", "--plugin", str(BEEP), "--json")
    findings = json.loads(done.stdout)["data"]
    assert done.returncode == 0, findings
    assert len([finding for finding in findings if finding["check"] == "rule"]) >= 15

    gone = json.loads(voxgate(installed, "env", "remove", "beep", "--stale", "--json").stdout)["data"]
    assert gone == []
    listed = json.loads(voxgate(installed, "env", "list", "--json").stdout)["data"]
    rows = [row for row in listed if row["plugin"] == "beep"]
    assert [(row["hash"], row["state"]) for row in rows] == [(built["hash"], "current")]
