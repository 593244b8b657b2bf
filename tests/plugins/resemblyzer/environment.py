"""The comparer's environment: built in CI, and used elsewhere if somebody has built it."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from plugins.resemblyzer.plugin import HOSTED
from proxy.engines import environment_build, environments
from proxy.engines.environments import Environment, EnvironmentRefused

NAME = "resemblyzer"
ROOT = Path(__file__).parents[3]


@cache
def interpreter() -> str:
    """The Python that has torch. Skips the test where it is absent, but never in CI."""
    recipe = environments.recipe(NAME, HOSTED)
    found = environments.find_built(recipe)
    if found is None and not os.environ.get("CI"):
        pytest.skip(f"{NAME}: its environment is not built: voxgate env build {NAME}")
    if found is None:
        found, _ = environment_build.build(recipe, print)

    def is_needed(each: Environment) -> bool:
        return each.recipe == found.recipe

    try:
        # A gigabyte for each revision of the plugin would stay.
        environment_build.remove(NAME, is_needed)
    except EnvironmentRefused:
        pass  # somebody else is at work there
    return found.interpreter
