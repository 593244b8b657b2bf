"""`voxgate check --plugin` on every plugin of this repository: what it creates is what the server creates."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.clouds import ENVIRON, KINDS, Clouds, Plugin, clouds
from tests.fixtures import opened
from tests.proxy.cli.test_main import Run, folder, run
from tests.proxy.diagnosis.checking import findings

pytestmark = pytest.mark.slow

__all__ = ["folder", "run"]

Check = Callable[..., list[dict[str, Any]]]
ROOT = Path(__file__).parents[3]
CLOUDS: tuple[Plugin, ...] = ("elevenlabs", "minimax", "openai")
ENGINES = ("espeak", "tone")
OTHERS = (*("latin", "plain", "pycld2", "pythainlp", "resemblyzer", "runpod", "spread"),)
WITH_MODELS = ("f5tts", "openvoice", "pocket", "whisper", "xtts")
SHADOWED = ("hibari", "kokoro", "piper", "rvc")
"""With these folders on the path, those of hibari, Piper and RVC hide the libraries of the same names."""


fakes = opened(clouds, scope="module")


@pytest.fixture
def check(run: Run, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Gives the rows of the command."""

    def rows(folder: str, *more: str, **environ: str) -> list[dict[str, Any]]:
        for name, value in {**ENVIRON, **environ}.items():
            monkeypatch.setenv(name, value)
        status, found = findings(run, ROOT / folder, *more)
        assert status == (0 if all(row["state"] != "wrong" for row in found) else 1)
        return found

    return rows


def test_each_plugin_of_the_repository_is_checked_here() -> None:
    folders = {file.parent.name for file in (ROOT / "plugins").glob("*/plugin.py")}
    assert folders == {*CLOUDS, *ENGINES, *OTHERS, *WITH_MODELS, *SHADOWED}


@pytest.mark.parametrize("plugin", ENGINES)
def test_a_local_engine_keeps_every_rule(check: Check, plugin: str) -> None:
    rows = check(f"plugins/{plugin}")
    assert [row for row in rows if row["state"] == "wrong"] == []
    assert sum(row["check"] == "rule" for row in rows) >= 14


@pytest.mark.parametrize("plugin", CLOUDS)
def test_an_engine_of_the_cloud_keeps_every_rule(
    check: Check, tmp_path: Path, fakes: Clouds, plugin: Plugin
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(fakes.engine(f"checked_{plugin}", plugin))
    rows = check(f"plugins/{plugin}", "--config", str(config))
    assert [row for row in rows if row["state"] == "wrong"] == []
    assert sum(row["check"] == "rule" for row in rows) >= 14


def test_each_key_of_an_engine_is_tried(check: Check, tmp_path: Path, fakes: Clouds) -> None:
    key = '"env:FAKE_ELEVENLABS_KEY"'
    config = tmp_path / "config.toml"
    config.write_text(fakes.engine("two_keys", "elevenlabs").replace(key, f'[{key}, "env:REVOKED"]'))
    revoked = f"{KINDS['elevenlabs'].key}-revoked"
    rows = check("plugins/elevenlabs", "--config", str(config), REVOKED=revoked)
    (broken,) = (row for row in rows if row["state"] == "wrong")
    assert sum(row["name"].endswith("(key 1)") for row in rows) >= 14
    assert broken["name"].endswith("(key 2)")
    assert broken["found"].startswith("EngineUnauthorized")


@pytest.mark.parametrize("plugin", OTHERS)
def test_a_plugin_without_an_engine_is_loaded(check: Check, plugin: str) -> None:
    (row,) = check(f"plugins/{plugin}")
    assert (row["state"], row["name"]) == ("ok", plugin)


@pytest.mark.parametrize("plugin", WITH_MODELS)
def test_an_engine_in_an_environment_says_how_to_build_it(check: Check, plugin: str, tmp_path: Path) -> None:
    first, *_, last = check(f"plugins/{plugin}", XDG_CACHE_HOME=str(tmp_path))
    assert (first["state"], first["name"]) == ("ok", plugin)
    assert last["state"] == "wrong"
    assert "env build" in last["found"]


@pytest.mark.parametrize("plugin", SHADOWED)
def test_the_front_of_a_shadowed_plugin_is_checked(check: Check, plugin: str) -> None:
    first, *_ = check(f"plugins/{plugin}")
    assert (first["state"], first["name"]) == ("ok", plugin)


def test_the_smallest_example_speaks_and_is_told_what_it_lacks(check: Check) -> None:
    ok = {row["name"]: row["state"] != "wrong" for row in check("examples/beep/first")}
    assert ok["it speaks every segment in order and says when it is done"]
    assert not ok["it stops at the most samples allowed"]


def test_an_example_whose_environment_is_not_built_says_how_to_build_it(check: Check, tmp_path: Path) -> None:
    _, rule = check("examples/beep", XDG_CACHE_HOME=str(tmp_path))
    assert rule["state"] == "wrong"
    assert "voxgate env build beep" in rule["found"]
