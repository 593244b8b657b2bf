"""Finds and loads a plugin from a folder, without installing it."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

from proxy.engines.registry import GROUP
from proxy.errors import CommandRefused


def entries_of(folder: Path) -> tuple[EntryPoint, ...]:
    """Return the entry points of its pyproject.toml, or its one front module. Make them importable.

    Raise CommandRefused if the folder holds no plugin.
    """
    folder = folder.resolve()
    if (file := folder / "pyproject.toml").is_file():
        try:
            table = tomllib.loads(file.read_text())["project"]["entry-points"][GROUP]
            entries = tuple(EntryPoint(name, value, GROUP) for name, value in table.items())
        except (ValueError, KeyError, TypeError, AttributeError):
            raise CommandRefused(
                f"{file} has no [project.entry-points.{GROUP}] table with a plugin"
            ) from None
        places = [folder / "src", folder] if (folder / "src").is_dir() else [folder]
    else:
        entries, places = (_only_front(folder),), [folder.parent if _is_package(folder) else folder]
    # The folder comes before installed packages, since the check is about it.
    sys.path[:0] = map(str, places)
    return entries


def python_path(folder: Path) -> str:
    folder = folder.resolve()
    inside = folder.parent if _is_package(folder) else folder
    return f"{folder / 'src'}:{inside}" if (folder / "src").is_dir() else str(inside)


def _only_front(folder: Path) -> EntryPoint:
    fronts = [file for file in sorted(folder.glob("*.py")) if _is_front(file)]
    if len(fronts) != 1:
        raise CommandRefused(
            f"{folder} is no plugin: it has neither a pyproject.toml with [project.entry-points.{GROUP}] nor "
            f"one module with voxgate_register() that is no worker and no trainer (found {len(fronts)})"
        )
    module = fronts[0].stem
    name = folder.name if _is_package(folder) else module
    if not _is_package(folder):
        return EntryPoint(name, module, GROUP)
    return EntryPoint(name, name if module == "__init__" else f"{name}.{module}", GROUP)


def _is_package(folder: Path) -> bool:
    return (folder / "__init__.py").is_file()


def _is_front(file: Path) -> bool:
    """Return whether a file, which is not run, has the hook and is no worker or trainer."""
    if file.stem.endswith(("_worker", "_trainer")) or file.stem in ("worker", "trainer"):
        return False
    try:
        tree = ast.parse(file.read_text())
    except (SyntaxError, ValueError):
        return False
    return any(isinstance(node, ast.FunctionDef) and node.name == "voxgate_register" for node in tree.body)
