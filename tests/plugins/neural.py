"""The environments of plugins with torch: built in CI, and used elsewhere if somebody has built them.

CI builds one for all, which saves it a gigabyte and two minutes a plugin. An operator builds one for each.
"""

from __future__ import annotations

import os
from functools import cache

import msgspec
import pytest

from plugins.resemblyzer import plugin as resemblyzer
from plugins.xtts import plugin as xtts
from proxy.engines import environment_build, environments
from proxy.engines.environments import MANIFEST, Environment, EnvironmentRefused, Recipe
from speech_engine import Hosted

PLUGINS = {"resemblyzer": resemblyzer.HOSTED, "xtts": xtts.HOSTED}
SHARED = "neural"


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
    if found is None and not os.environ.get("CI"):
        pytest.skip(f"{plugin}: its environment is not built: voxgate env build {plugin}")
    if found is None:
        found, _ = environment_build.build(recipe, print)

    def is_needed(each: Environment) -> bool:
        return each.recipe == found.recipe

    try:
        # Two gigabytes for each revision of the plugins would stay.
        environment_build.remove(SHARED, is_needed)
    except EnvironmentRefused:
        pass  # somebody else is at work there
    return found


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
