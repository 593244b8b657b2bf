"""Installed packages that are missing or old, plugins that fail, sections that are wrong."""

import json
import os
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from plugins.espeak.plugin import EspeakSettings, missing
from proxy.diagnosis.doctor import installation
from proxy.diagnosis.doctor.installation import Requirement, engines
from tests import forked
from tests.faults import plugin_folders
from tests.proxy.diagnosis.doctor.checks import configured, only
from tests.tables import each_row


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


@each_row(
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


@each_row(
    ("distribution", "lines", "check", "says"),
    [
        ("voxgate", ["Requires-Dist: no-such-package>=1"], "packages", "no-such-package is missing"),
        ("av", [], "packages", "av is 0.1, voxgate needs"),
        ("voxgate", ["Requires-Python: >=4.2"], "python", "voxgate needs >=4.2"),
    ],
)
def test_a_plugin_whose_needs_are_missing_or_old_is_named(
    tmp_path: Path, distribution: str, lines: list[str], check: str, says: str
) -> None:
    described = tmp_path / "path" / f"{distribution}-0.1.dist-info"
    described.mkdir(parents=True)
    head = ["Metadata-Version: 2.1", f"Name: {distribution}", "Version: 0.1"]
    (described / "METADATA").write_text("\n".join([*head, *lines, ""]))
    environ = {"PYTHONPATH": str(tmp_path / "path")}
    done = forked.command("doctor", "--json", cwd=tmp_path, environ=environ)
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


_LISTS_PACKAGES = """
import msgspec
from speech_engine import Hosted, Plugin

class Settings(msgspec.Struct, forbid_unknown_fields=True):
    pass

def voxgate_register():
    hosted = Hosted("heavy", packages=("some>=1",))
    return (Plugin(kind="engine", name="heavy", settings=Settings, create=hosted),)
"""

_CANNOT_SAY = """
import msgspec
from speech_engine import Hosted, Plugin

class Settings(msgspec.Struct, forbid_unknown_fields=True):
    secret: str = ""

def missing(settings):
    raise RuntimeError(settings.secret)

def voxgate_register():
    return (Plugin(kind="engine", name="mute", settings=Settings, create=Hosted("mute"), missing=missing),)
"""


def run_doctor(folder: Path, config: str) -> tuple[subprocess.CompletedProcess[str], list[tuple[str, str]]]:
    """What the command says of plugins and engines, with those of `folder/packages` installed."""
    (folder / "config.toml").write_text(config)
    environ = {**plugin_folders.environ(folder / "packages"), "XDG_CACHE_HOME": str(folder)}
    done = forked.command("doctor", "--json", cwd=folder, environ=environ)
    rows = [row for row in json.loads(done.stdout)["data"] if row["check"] in ("plugin", "engine", "engines")]
    assert all(row["do"] for row in rows if row["state"] != "ok")
    return done, [(row["state"], row["found"]) for row in rows]


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    (tmp_path / "packages").mkdir()
    return tmp_path / "packages"


@each_row(
    ("text", "says"),
    [
        ("[engines.tone]\nslts = 2\n", "engines.tone.slts: no such key"),
        ("[engines.espeak]\nplugin = 'espek'\n", "did you mean espeak?"),
        ("[engines.espeak]\ndata = '/no/such/data'\n", "`data`: there is no folder /no/such/data"),
        ("[engines.espeak]\nlibrary = '/no/such.so'\n", "`library`: there is no file /no/such.so"),
        ("[server]\ndefault_model = 'gone'\n[engines.espeak]\n", "server.default_model: 'gone'"),
    ],
)
def test_a_section_with_a_fault_is_named(tmp_path: Path, text: str, says: str) -> None:
    wrong = [result for result in engines(configured(tmp_path, text)) if result.verdict == "wrong"]
    assert any(says in result.found for result in wrong), wrong
    assert all(result.do for result in wrong)


def test_espeak_without_its_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugins.espeak.plugin.find_spec", lambda _name: None)
    (lack,) = missing(EspeakSettings())
    assert (lack.what, "install espeakng-loader" in lack.do) == ("espeak-ng is not installed", True)
    assert missing(EspeakSettings(library=__file__, data=str(Path(__file__).parent))) == ()


def test_a_plugin_that_cannot_be_imported_is_named(tmp_path: Path, packages: Path) -> None:
    plugin_folders.install(packages, "torn", "import no_such_module_at_all\n")
    done, found = run_doctor(tmp_path, "[engines.espeak]\n")
    assert done.returncode == 1
    assert (
        "wrong",
        "torn: failed at import: ModuleNotFoundError: No module named 'no_such_module_at_all'",
    ) in found


def test_an_environment_that_is_not_built_says_how_to_build_it(tmp_path: Path, packages: Path) -> None:
    plugin_folders.install(packages, "heavy", _LISTS_PACKAGES)
    done, found = run_doctor(tmp_path, "[engines.heavy]\n[engines.espeak]\n")
    ((_, says),) = (row for row in found if row[0] == "wrong")
    assert done.returncode == 1
    assert "voxgate env build heavy" in says


def test_a_plugin_that_fails_when_asked_is_told_without_its_words(tmp_path: Path, packages: Path) -> None:
    plugin_folders.install(packages, "mute", _CANNOT_SAY)
    done, found = run_doctor(tmp_path, '[engines.mute]\nsecret = "hunter2"\n[engines.espeak]\n')
    assert ("wrong", "engines.mute: its plugin cannot say what is missing: RuntimeError") in found
    assert "hunter2" not in done.stdout + done.stderr
    assert ("ok", "espeak: nothing is missing") in found


def test_an_engine_that_has_all_it_needs_is_one_line(tmp_path: Path) -> None:
    text = '[server]\ndefault_model = "tone/standard"\ndefault_voice = "tone/tone"\n[engines.tone]\n'
    assert only(engines(configured(tmp_path, text))).found == "tone: nothing is missing"
    results = list(engines(configured(tmp_path, text + "[engines.espeak]\n")))
    assert [(result.what, result.verdict) for result in results] == [("engine", "ok"), ("engine", "ok")]
