"""The environment of Piper. It is small, so CI builds it apart from the one that has torch."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

import pytest

from plugins.piper.plugin import HOSTED
from proxy.config.secret import environ_for_hosts
from proxy.engines import environment_build, environments

NAME = "piper"
ROOT = Path(__file__).parents[3]


@cache
def interpreter() -> str:
    """The Python that has onnxruntime and piper-tts. Skips the test where it is absent, but never in CI."""
    recipe = environments.recipe(NAME, HOSTED)
    found = environments.find_built(recipe)
    if found is None and not os.environ.get("CI"):
        pytest.skip(f"{NAME}: its environment is not built: voxgate env build {NAME}")
    if found is None:
        found, _ = environment_build.build(recipe, print)
    return environments.view(found, recipe.links)


def run(*arguments: str, stdin: str = "", path: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run a module in that Python, with nothing of this one's packages."""
    paths = os.pathsep.join(map(str, (ROOT, *path)))
    return subprocess.run(
        [interpreter(), "-P", "-m", *arguments],
        input=stdin,
        cwd=ROOT,
        env=environ_for_hosts(os.environ, ()) | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
