"""The environments of engines with onnxruntime. CI builds them apart from that with torch."""

import os
import subprocess
from functools import cache
from pathlib import Path

import pytest

from plugins.hibari import plugin as hibari
from plugins.kokoro import plugin as kokoro
from plugins.openvoice import plugin as openvoice
from plugins.piper import plugin as piper
from plugins.whisper import plugin as whisper
from proxy.config.secret import environ_for_hosts
from proxy.hosts.environments import environment_build, environments
from tests.suite.ci import is_ci

PLUGINS = {
    "hibari": hibari.HOSTED,
    "kokoro": kokoro.HOSTED,
    "openvoice": openvoice.HOSTED,
    "piper": piper.HOSTED,
    "whisper": whisper.HOSTED,
}
ROOT = Path(__file__).parents[3]


@cache
def interpreter(name: str = "piper") -> str:
    """The Python that has onnxruntime and piper-tts. Skips the test where it is absent, but never in CI."""
    recipe = environments.recipe(name, PLUGINS[name])
    found = environments.find_built(recipe)
    if found is None and not is_ci():
        pytest.skip(f"{name}: its environment is not built: voxgate env build {name}")
    if found is None:
        found, _ = environment_build.build(recipe, print)
    return environments.view(found, recipe.links)


def run(
    *arguments: str, stdin: str = "", path: tuple[Path, ...] = (), name: str = "piper"
) -> subprocess.CompletedProcess[str]:
    """Run a module in that Python, with nothing of this one's packages."""
    paths = os.pathsep.join(map(str, (ROOT, *path)))
    return subprocess.run(
        [interpreter(name), "-P", "-m", *arguments],
        input=stdin,
        cwd=ROOT,
        env=environ_for_hosts(os.environ, ()) | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
