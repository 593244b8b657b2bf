"""`voxgate env …`: the environments of plugins that list packages of their own.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxy.cli import options
from proxy.cli.options import PluginName, Printed
from proxy.commands.options import Sure, confirm_or_refuse
from proxy.commands.tables import Grid, Line, Part, PrintForm, print_answer
from proxy.errors import CommandRefused

if TYPE_CHECKING:
    from proxy.engines.registry import Registry
    from proxy.hosts.environments.environment_build import BuildProgress, Say
    from proxy.hosts.environments.environments import Environment, Recipe
    from speech_engine import Hosted

env = typer.Typer(help="Environments: Pythons for plugins that need packages.", no_args_is_help=True)


@env.callback()
def _apply_service_environment() -> None:
    # A service may have another folder for environments.
    options.apply_service_environment(None)


@env.command("build")
def env_build(
    plugin: PluginName,
    folder: Annotated[
        Path | None, typer.Option("--plugin", help="A folder with the plugin, if it is not installed.")
    ] = None,
    torch: Annotated[
        str, typer.Option(help="The variant of torch, as the index calls it: cpu, cu126, ….")
    ] = "",
    index: Annotated[
        str | None,
        typer.Option(
            envvar="VOXGATE_TORCH_INDEX",
            help="The address of a further package index; {torch} in it becomes the variant.",
        ),
    ] = None,
    form: Printed = None,
) -> None:
    """Build a plugin's environment, unless it exists. A second try goes on where the first one ended."""
    from proxy.engines import plugin_folder, registry
    from proxy.hosts.environments import environment_build, environments

    if torch and not index:
        raise CommandRefused(
            f"--torch {torch}: name the index that has it with --index or VOXGATE_TORCH_INDEX"
        )
    hosted = _find_hosted(registry.load(plugin_folder.entries_of(folder) if folder else ()), plugin)
    recipe = environments.recipe(plugin, hosted, torch)
    with _progress_printer(form) as say:
        environment, is_new = environment_build.build(recipe, say, index and index.replace("{torch}", torch))
    print_answer({**_environment_row(environment, "current", plugin), "built": is_new}, form, _build_result)


@env.command("list")
def env_list(form: Printed = None) -> None:
    """List the environments, once for each plugin. No plugin needs stale environments. An environment is
    "other" if another installation of voxgate uses it."""
    from proxy.engines import registry
    from proxy.hosts.environments import environments

    recipes = {
        name: environments.recipe(name, hosted)
        for name, hosted in _plugins_with_packages(registry.load()).items()
    }
    rows = []
    for environment in environments.every():
        fitting = _plugins_that_fit(environment, recipes)
        rows += [_environment_row(environment, "current", name) for name in fitting]
        state = "stale" if environment.is_ours else "other"
        rows += [
            _environment_row(environment, state, name) for name in sorted(environment.plugins - set(fitting))
        ]
    current = {row["plugin"] for row in rows if row["state"] == "current"}
    rows += [
        {"plugin": name, "hash": recipe.digest, "state": "missing", "bytes": 0, "torch": "", "folder": ""}
        for name, recipe in recipes.items()
        if name not in current
    ]
    print_answer({"data": rows}, form, _environments_table)


@env.command("remove")
def env_remove(
    plugin: PluginName,
    stale: Annotated[bool, typer.Option("--stale", help="Only those that no plugin needs any more.")] = False,
    shared: Annotated[bool, typer.Option("--shared", help="Also one that other plugins run in.")] = False,
    is_sure: Sure = False,
    form: Printed = None,
) -> None:
    """Delete a plugin's environments. A host that runs in one goes on until it is restarted."""
    from proxy.engines import registry
    from proxy.hosts.environments import environment_build, environments

    if any(plugin in environment.plugins for environment in environments.every()):
        confirm_or_refuse(is_sure, f"Delete {'stale' if stale else 'the'} environments of {plugin}?")
    recipes = {
        name: environments.recipe(name, hosted)
        for name, hosted in _plugins_with_packages(registry.load()).items()
    }
    others: set[str] = set()  # the plugins that `is_needed` finds in the same environments

    def is_needed(environment: Environment) -> bool:
        fitting = set(_plugins_that_fit(environment, recipes))
        if stale:
            return bool(fitting)
        sharing = fitting & environment.plugins - {plugin}
        others.update(sharing)
        return bool(sharing) and not shared

    removed = environment_build.remove(plugin, is_needed)
    if not removed and others:
        raise CommandRefused(
            f"{', '.join(sorted(others))} runs in the environment of {plugin}, too; add --shared to delete it"
        )
    if not removed and not stale:
        raise CommandRefused(
            f"this installation has no environment of {plugin!r} (run voxgate env list to see them)"
        )
    rows = [
        {"plugin": plugin, "hash": environment.recipe.digest, "state": "removed"} for environment in removed
    ]
    print_answer({"data": rows}, form, _environments_table)


def _plugins_that_fit(environment: Environment, recipes: Mapping[str, Recipe]) -> list[str]:
    """Return the installed plugins that would run in an environment."""
    from proxy.hosts.environments import environments

    return [
        name
        for name, recipe in recipes.items()
        if environment.has_python and environments.is_current(environment, recipe)
    ]


@contextmanager
def _progress_printer(form: PrintForm) -> Iterator[Say]:
    """Show progress on stderr: as JSON lines, or as `progress_line` does."""
    from proxy.hosts.environments.progress_line import progress_line, say

    printed: list[BuildProgress] = []

    def print_changes(progress: BuildProgress) -> None:
        so_far = progress._replace(line="")
        if printed != [so_far]:
            printed[:] = [so_far]
            say(json.dumps(so_far._asdict()))

    with progress_line(form) as shown:
        yield print_changes if form is True else shown.build


def _plugins_with_packages(loaded: Registry) -> dict[str, Hosted]:
    """Return the plugins that list packages of their own."""
    from speech_engine import Hosted

    return {
        name: plugin.create
        for kind in ("engine", "comparer", "mark")
        for name, plugin in loaded.plugins(kind).items()
        if isinstance(plugin.create, Hosted) and plugin.create.has_environment
    }


def _find_hosted(loaded: Registry, plugin: str) -> Hosted:
    """Return how a plugin is hosted. Raise EnvironmentRefused if it needs no environment, or has failed."""
    from proxy.config.reader import names_hint
    from proxy.hosts.environments.environments import EnvironmentRefused

    listing = _plugins_with_packages(loaded)
    if plugin in listing:
        return listing[plugin]
    if plugin in loaded.plugins("engine"):
        raise EnvironmentRefused(f"{plugin} lists no packages of its own: it runs under the server's Python")
    fault = next((fault for fault in loaded.faults if fault.name == plugin), None)
    if fault is not None:
        raise EnvironmentRefused(f"the plugin {plugin} failed at {fault.stage}: {fault.reason}")
    raise EnvironmentRefused(
        f"no plugin called {plugin!r} is installed. {names_hint(plugin, listing, 'plugins with packages')}"
    )


def _environment_row(environment: Environment, state: str, plugin: str) -> dict[str, Any]:
    return {
        "plugin": plugin,
        "hash": environment.recipe.digest,
        "state": state,
        "bytes": environment.size_bytes(),
        "torch": environment.recipe.torch,
        "folder": str(environment.folder),
    }


def _environments_table(answer: dict[str, Any]) -> list[Part]:
    rows = [
        (
            row["plugin"],
            row["state"],
            row.get("torch", ""),
            f"{row.get('bytes', 0) / 1e6:,.0f} MB",
            row["hash"],
            row.get("folder", ""),
        )
        for row in answer["data"]
    ]
    return [Grid(("plugin", "state", "torch", "size", "hash", "folder"), rows, wide=("folder",))]


def _build_result(row: dict[str, Any]) -> list[Part]:
    text = "Built." if row["built"] else "It is there already."
    return [Line(text), *_environments_table({"data": [row]})]
