"""The environment that all tests of networks share."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

from proxy.engines import environment_build, environments
from proxy.engines.environment_build import BuildProgress, Say
from proxy.engines.environments import EnvironmentRefused, Recipe
from tests.plugins import neural


def test_a_build_that_failed_is_not_tried_again_in_the_same_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tries: list[str] = []

    def build(recipe: Recipe, say: Say) -> NoReturn:
        say(BuildProgress("installing"))
        tries.append(recipe.name)
        raise EnvironmentRefused("no space left")

    monkeypatch.setattr(environment_build, "build", build)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    recipe = environments.recipe("rvc", neural.PLUGINS["rvc"])
    for _ in range(2):
        with pytest.raises(EnvironmentRefused, match="no space left"):
            neural.build_once(recipe)
    assert tries == [recipe.name]
