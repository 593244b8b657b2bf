"""`voxgate check --plugin` on every plugin of this repository: what it creates is what the server creates."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.clouds import ENVIRON, KINDS, Clouds, Plugin, clouds
from tests.server import VOXGATE

ROOT = Path(__file__).parents[3]
CLOUDS: tuple[Plugin, ...] = ("elevenlabs", "minimax", "openai")
ENGINES = ("espeak", "tone")
OTHERS = ("audioseal", "latin", "plain", "py3langid", "pycld2", "pythainlp", "resemblyzer", "spread")
WITH_MODELS = ("xtts",)
SHADOWED = ("kokoro", "piper")
"""With these folders on the path, that of Piper hides the library of the same name, which both need."""


@pytest.fixture(scope="module")
def fakes() -> Iterator[Clouds]:
    with clouds() as fakes:
        yield fakes


def check(folder: str, *more: str, **environ: str) -> list[dict[str, Any]]:
    """The rows of the command. It runs in a process of its own, since it puts the folder on the path."""
    command = [str(VOXGATE), "check", "--plugin", str(ROOT / folder), "--json", *more]
    environ = {**os.environ, **ENVIRON, **environ}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environ)
    rows: list[dict[str, Any]] = json.loads(done.stdout)["data"]
    assert done.returncode == (0 if all(row["state"] != "wrong" for row in rows) else 1), done.stderr
    return rows


def test_each_plugin_of_the_repository_is_checked_here() -> None:
    folders = {file.parent.name for file in (ROOT / "plugins").glob("*/plugin.py")}
    assert folders == {*CLOUDS, *ENGINES, *OTHERS, *WITH_MODELS, *SHADOWED}


@pytest.mark.parametrize("plugin", ENGINES)
def test_a_local_engine_keeps_every_rule(plugin: str) -> None:
    rows = check(f"plugins/{plugin}")
    assert [row for row in rows if row["state"] == "wrong"] == []
    assert sum(row["check"] == "rule" for row in rows) >= 14


@pytest.mark.parametrize("plugin", CLOUDS)
def test_an_engine_of_the_cloud_keeps_every_rule(tmp_path: Path, fakes: Clouds, plugin: Plugin) -> None:
    config = tmp_path / "config.toml"
    config.write_text(fakes.engine(f"checked_{plugin}", plugin))
    rows = check(f"plugins/{plugin}", "--config", str(config))
    assert [row for row in rows if row["state"] == "wrong"] == []
    assert sum(row["check"] == "rule" for row in rows) >= 14


def test_each_key_of_an_engine_is_tried(tmp_path: Path, fakes: Clouds) -> None:
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
def test_a_plugin_without_an_engine_is_loaded(plugin: str) -> None:
    (row,) = check(f"plugins/{plugin}")
    assert (row["state"], row["name"]) == ("ok", plugin)


@pytest.mark.parametrize("plugin", WITH_MODELS)
def test_an_engine_for_imported_models_says_that_it_needs_one(plugin: str) -> None:
    first, *_, last = check(f"plugins/{plugin}")
    assert (first["state"], first["name"]) == ("ok", plugin)
    assert last["state"] == "wrong"
    assert "names no model: import one" in last["found"] or "env build" in last["found"]


@pytest.mark.parametrize("plugin", SHADOWED)
def test_the_front_of_a_shadowed_plugin_is_checked(plugin: str) -> None:
    first, *_ = check(f"plugins/{plugin}")
    assert (first["state"], first["name"]) == ("ok", plugin)


def test_the_smallest_example_speaks_and_is_told_what_it_lacks() -> None:
    ok = {row["name"]: row["state"] != "wrong" for row in check("examples/beep/first")}
    assert ok["it speaks every segment in order and says when it is done"]
    assert not ok["it stops at the most samples allowed"]


def test_an_example_whose_environment_is_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    _, rule = check("examples/beep", XDG_CACHE_HOME=str(tmp_path))
    assert rule["state"] == "wrong"
    assert "voxgate env build beep" in rule["found"]
