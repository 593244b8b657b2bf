"""The environments of plugins with torch: built in CI, and used elsewhere if somebody has built them.

CI builds one for all, which saves it a gigabyte and two minutes a plugin. An operator builds one for each.
"""

import importlib.util
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import msgspec
import pytest

from plugins.f5tts import plugin as f5tts
from plugins.pocket import plugin as pocket
from plugins.resemblyzer import plugin as resemblyzer
from plugins.rvc import plugin as rvc
from plugins.xtts import plugin as xtts
from proxy.config.secret import environ_for_hosts
from proxy.engines.environments import environment_build, environments
from proxy.engines.environments.environment_build import BuildProgress
from proxy.engines.environments.environments import MANIFEST, Environment, EnvironmentRefused, Recipe
from speech_engine import Hosted
from tests.clients.environments import built
from tests.suite.ci import is_ci

PLUGINS = {
    "f5tts": f5tts.HOSTED,
    "pocket": pocket.HOSTED,
    "resemblyzer": resemblyzer.HOSTED,
    "rvc": rvc.HOSTED,
    "xtts": xtts.HOSTED,
}
SHARED = "neural"
ROOT = Path(__file__).parents[2]
TOOLS = ("pytest", "_pytest", "py", "pluggy", "iniconfig", "hypothesis", "sortedcontainers")
MORE_TOOLS = ("packaging", "pygments", "_hypothesis_ftz_detector", "_hypothesis_globals")
"""What runs cases in an environment, which has nothing of ours."""


@cache
def interpreter(plugin: str) -> str:
    """The Python that has a plugin's packages. Skips the test where it is absent, but never in CI."""
    recipe = environments.recipe(plugin, PLUGINS[plugin])
    found = environments.find_built(recipe) or shared_environment(plugin)
    return environments.view(found, recipe.links)


@cache
def shared_environment(plugin: str) -> Environment:
    recipe = _of_all(tuple(PLUGINS.items()))
    found = environments.find_built(recipe)
    if found is None and not is_ci():
        pytest.skip(f"{plugin}: its environment is not built: voxgate env build {plugin}")
    if found is None:
        found = build_once(recipe)

    def is_needed(each: Environment) -> bool:
        return each.recipe == found.recipe

    try:
        # Two gigabytes for each revision of the plugins would stay.
        environment_build.remove(SHARED, is_needed)
    except EnvironmentRefused:
        pass  # somebody else is at work there
    return found


def build_once(recipe: Recipe) -> Environment:
    """Build an environment. What fails is not tried again in this run: each try takes minutes."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    refused = Path(tempfile.gettempdir()) / f"voxgate-{recipe.name}-{run}.refused"

    def say(progress: BuildProgress) -> None:
        # Another process may fail while this one waits for its turn.
        if refused.exists():
            raise EnvironmentRefused(refused.read_text())
        print(progress)

    try:
        return environment_build.build(recipe, say)[0]
    except EnvironmentRefused as failure:
        refused.write_text(str(failure))
        raise


def lend(plugin: str) -> None:
    """Make the shared environment look like the plugin's own, for a server that looks for it."""
    recipe = environments.recipe(plugin, PLUGINS[plugin])
    if environments.find_built(recipe) is not None:
        return
    shared = shared_environment(plugin)
    folder = environments.root() / recipe.name
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("bin", "lib", "pyvenv.cfg"):
        link = folder / part
        link.unlink(missing_ok=True)
        link.symlink_to(shared.folder / part)
    (folder / MANIFEST).write_bytes(msgspec.json.encode(recipe.shared))


def environ(*paths: Path) -> dict[str, str]:
    return environ_for_hosts(os.environ, ()) | {"PYTHONPATH": os.pathsep.join(map(str, paths))}


CASES_S = 900.0
"""The longest that a plugin's cases may take: what stands still is a failure."""


def run_cases(plugin: str, cases: Path, tools: Path, which: str = "not soak") -> None:
    """Run a folder of cases in a plugin's environment, those of a marker. `tools` is an empty folder."""
    for name in (*TOOLS, *MORE_TOOLS):
        spec = importlib.util.find_spec(name)
        assert spec is not None, name
        assert spec.origin is not None, name
        place = Path(spec.origin)
        place = place.parent if spec.submodule_search_locations else place
        (tools / place.name).symlink_to(place)
    command = [interpreter(plugin), "-m", "pytest", "-c", str(cases / "pytest.ini"), "--rootdir", str(cases)]
    done = subprocess.run(
        [*command, "--confcutdir", str(cases), "-q", "-s", "-m", which, str(cases)],
        cwd=ROOT,
        env=environ(ROOT, tools),
        capture_output=True,
        text=True,
        check=False,
        timeout=CASES_S,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def kept_model(plugin: str, *kinds: str) -> Path:
    """The tiny model of a plugin's tests, made once and kept in the user's cache. Nobody writes into it."""
    python = interpreter(plugin)
    made_by = (f"plugins/{plugin}/*.py", f"tests/plugins/{plugin}/tiny.py", "speech_engine/model_files/*.py")
    sources = [file.read_text() for pattern in made_by for file in sorted(ROOT.glob(pattern))]

    def make(folder: Path) -> None:
        run_module(plugin, f"tests.plugins.{plugin}.tiny", str(folder), *kinds)

    return built("-".join(("tiny", plugin, *kinds)), [python, *sources], make)


def run_module(plugin: str, module: str, *arguments: str) -> None:
    """Run a module of ours in a plugin's environment."""
    command = [interpreter(plugin), "-m", module, *arguments]
    subprocess.run(command, cwd=ROOT, env=environ(ROOT), check=True, capture_output=True, text=True)


def _of_all(plugins: tuple[tuple[str, Hosted], ...]) -> Recipe:
    recipes = [environments.recipe(name, hosted) for name, hosted in plugins]
    first = recipes[0]
    return msgspec.structs.replace(
        first,
        plugin=SHARED,
        packages=tuple(dict.fromkeys(each for recipe in recipes for each in recipe.packages)),
        bare=tuple(dict.fromkeys(each for recipe in recipes for each in recipe.bare)),
        constraints="".join(recipe.constraints for recipe in recipes),
        imports=tuple(dict.fromkeys(each for recipe in recipes for each in recipe.imports)),
    )
