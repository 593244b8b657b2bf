"""`voxgate check --plugin DIR`: how a folder is taken for a plugin, and what is said of its engines."""

from pathlib import Path
from typing import Any

import pytest

from tests.faults.plugin_folders import IDLE
from tests.proxy.cli.test_main import Run, folder, refused, run
from tests.proxy.diagnosis.checking import check, findings

pytestmark = pytest.mark.slow

__all__ = ["folder", "run"]

ROOT = Path(__file__).parents[3]
BELL = (
    (ROOT / "examples" / "beep" / "first" / "first_beep.py")
    .read_text()
    .replace('name="first-beep"', 'name="v_bell"')
)
PROJECT = "[project.entry-points.voxgate]\nv_bell = '{}'\n"

WORKER = """
import os
from v_bell import BellSettings
{first}
def voxgate_register():
    {then}
"""
HOSTED = """
import msgspec
from speech_engine import Hosted, Plugin

class BellSettings(msgspec.Struct):
    ring: int{default}

def voxgate_register():
    return (Plugin(kind="engine", name="v_bell", settings=BellSettings, create=Hosted("v_bell_worker")),)
"""


def broken(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [finding for finding in rows if finding["state"] == "wrong"]


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": PROJECT.format("v_bell"), "v_bell.py": BELL},
        {"pyproject.toml": PROJECT.format("v_bell.front"), "src/v_bell/front.py": BELL},
        {"v_bell.py": BELL, "notes.py": "", "v_bell_worker.py": BELL, "trainer.py": BELL},
        {"__init__.py": "", "plugin.py": BELL, "worker.py": BELL},
    ],
    ids=["a project", "a project with src", "a bare module", "a package"],
)
def test_a_plugin_is_found_in_a_folder_of_any_shape(run: Run, tmp_path: Path, files: dict[str, str]) -> None:
    _, rows = findings(run, written(tmp_path / "v_bell", files))
    assert (rows[0]["check"], rows[0]["name"]) == ("plugin", "v_bell")
    assert rows[0]["found"] == "gives engine v_bell"
    assert len(rows) >= 15


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"notes.py": "x = 1"}, "is no plugin"),
        ({"a.py": BELL, "b.py": BELL}, "found 2"),
        ({"pyproject.toml": "[project]\nname = 'x'\n"}, "has no [project.entry-points.voxgate]"),
        ({"pyproject.toml": "[project"}, "has no [project.entry-points.voxgate]"),
    ],
)
def test_a_folder_without_a_plugin_is_refused(
    run: Run, tmp_path: Path, files: dict[str, str], says: str
) -> None:
    assert says in refused(check(run, written(tmp_path, files)))


def test_our_own_engine_keeps_every_rule_in_a_process_of_its_own(run: Run) -> None:
    status, rows = findings(run, ROOT / "plugins" / "tone")
    assert (status, broken(rows)) == (0, [])
    assert len([finding for finding in rows if finding["check"] == "rule"]) >= 15


def test_the_voice_to_speak_with_can_be_named(run: Run) -> None:
    status, rows = findings(run, ROOT / "plugins" / "tone", "--voice", "silent")
    assert status == 1
    assert any("every segment is heard" in finding["found"] for finding in broken(rows))


def test_a_rule_that_is_broken_is_named_with_what_came_instead(run: Run, tmp_path: Path) -> None:
    mute = BELL.replace("yield se.Finished()", "return")
    status, rows = findings(run, written(tmp_path, {"v_bell.py": mute}))
    assert status == 1
    by_rule = {finding["name"]: finding["found"] for finding in broken(rows)}
    assert by_rule["one segment is enough"] == "the last event is Finished"
    assert "its voices are well formed" not in by_rule


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("import no_such_soundbox\ndef voxgate_register(): ...", "failed at import: ModuleNotFoundError"),
        ("def voxgate_register():\n    return 7", "failed at answer"),
        (
            IDLE + "def voxgate_register():\n"
            "    return (Plugin(kind='engine', name='tone', settings=Settings, create=create),)",
            "another plugin already gives the engine 'tone'",
        ),
    ],
)
def test_a_plugin_that_breaks_is_told_as_the_registry_tells_it(
    run: Run, tmp_path: Path, module: str, says: str
) -> None:
    status, (finding,) = findings(run, written(tmp_path, {"v_bell.py": module}))
    assert (status, finding["name"], finding["state"] != "wrong") == (1, "v_bell", False)
    assert says in finding["found"]


def test_an_engine_that_cannot_be_created_is_one_broken_rule(run: Run, tmp_path: Path) -> None:
    idle = IDLE + "def voxgate_register():\n"
    idle += "    return (Plugin(kind='engine', name='v_bell', settings=Settings, create=create),)"
    status, rows = findings(run, written(tmp_path, {"v_bell.py": idle}))
    assert status == 1
    assert [finding["found"] for finding in broken(rows)] == ["RuntimeError: the model file is torn"]


@pytest.mark.parametrize(
    ("first", "then", "says"),
    [
        ("import no_such_soundbox", "return ()", "ModuleNotFoundError: No module named 'no_such_soundbox'"),
        ("", "os._exit(70)", "it ended with status 70"),
        ("", "return ()", "WorkerModuleError"),
    ],
)
def test_a_worker_that_breaks_is_told_and_does_not_take_the_command_along(
    run: Run, tmp_path: Path, first: str, then: str, says: str
) -> None:
    files = {
        "v_bell.py": HOSTED.format(default=" = 1"),
        "v_bell_worker.py": WORKER.format(first=first, then=then),
    }
    status, rows = findings(run, written(tmp_path, files))
    assert status == 1
    (finding,) = broken(rows)
    assert says in finding["found"]


def test_settings_come_from_a_config_that_is_named(run: Run, tmp_path: Path) -> None:
    written(tmp_path, {"v_bell.py": HOSTED.format(default="")})
    files = {"config.toml": "[engines.big]\nplugin = 'v_bell'\nring = 'x'\n"}
    written(tmp_path / "etc", files)
    _, rows = findings(run, tmp_path)
    assert "engines.v_bell.ring" in broken(rows)[0]["found"]
    _, rows = findings(run, tmp_path, "--config", str(tmp_path / "etc" / "config.toml"))
    assert "engines.big.ring: must be" in broken(rows)[0]["found"]
