"""Packages as the installer left them: missing ones and old ones are real ones on the path of a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from proxy.diagnosis.doctor import installation
from proxy.diagnosis.doctor.installation import Requirement
from tests.proxy.diagnosis.doctor.asked import only
from tests.server import VOXGATE


def test_this_installation_is_whole() -> None:
    assert only(installation.python()).verdict == "ok"
    assert only(installation.packages()).verdict == "ok"


def test_every_requirement_of_ours_is_understood() -> None:
    lines = [line for line in metadata.requires("voxgate") or () if "extra ==" not in line]
    needed = installation.requirements()
    assert len(needed) == len(lines) > 10
    for requirement in needed:
        bounds = requirement.bounds.split(",")
        assert len(installation._BOUND.findall(requirement.bounds)) == len(bounds), requirement


@pytest.mark.parametrize(
    ("bounds", "version", "admitted"),
    [
        (">=1.2,<2", "1.2", True),
        (">=1.2,<2", "1.10.3", True),
        (">=1.2,<2", "1.1.9", False),
        (">=1.2,<2", "2.0", False),
        (">=1.2,<2", "2.0rc1", False),
        (">=2", "2.0.0", True),
        (">=2.0", "2", True),
        ("==1.5", "1.5.0", True),
        ("!=1.5", "1.5", False),
        ("", "0.1", True),
    ],
)
def test_versions_are_numbers_and_not_texts(bounds: str, version: str, admitted: bool) -> None:
    assert Requirement("some", bounds).admits(version) == admitted


@pytest.mark.parametrize(
    ("distribution", "lines", "check", "says"),
    [
        ("voxgate", ["Requires-Dist: no-such-package>=1"], "packages", "no-such-package is missing"),
        ("av", [], "packages", "av is 0.1, voxgate needs"),
        ("voxgate", ["Requires-Python: >=4.2"], "python", "voxgate needs >=4.2"),
    ],
)
def test_what_is_missing_or_old_is_named(
    tmp_path: Path, distribution: str, lines: list[str], check: str, says: str
) -> None:
    described = tmp_path / "path" / f"{distribution}-0.1.dist-info"
    described.mkdir(parents=True)
    head = ["Metadata-Version: 2.1", f"Name: {distribution}", "Version: 0.1"]
    (described / "METADATA").write_text("\n".join([*head, *lines, ""]))
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "path")}
    done = subprocess.run(
        [VOXGATE, "doctor", "--json"], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    (found,) = (row for row in json.loads(done.stdout)["data"] if row["check"] == check)
    assert found["state"] == "wrong"
    assert says in found["found"]
    assert "install" in found["do"]


def test_a_folder_of_sources_is_no_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "DISTRIBUTION", "voxgate-of-another-name")
    result = only(installation.packages())
    assert (result.verdict, "not installed" in result.found) == ("wrong", True)


def test_where_the_command_line_itself_cannot_be_loaded_it_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError('No module named typer', name='typer')\n")
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "doctor"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "there is no module typer; install it again" in done.stderr


def test_the_installed_command_begins_there() -> None:
    scripts = metadata.entry_points(group="console_scripts", name="voxgate")
    project = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"voxgate": "proxy.__main__:main"}
    assert callable(next(iter(scripts)).load())
