"""The shape of the code itself: sizes, seams and bans that no linter knows."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import proxy

ROOT = Path(__file__).parent.parent
PRODUCT = ("proxy", "policies", "speech_engine", "plugins", "bench", "examples")
MOST_LINES = 300
MOST_FUNCTION_LINES = 60

EXCEPTIONS: dict[str, str] = {}
"""`path` or `path:function` → why it may be longer. Empty, and better so."""

HOOK_CALLERS = {"proxy/engines/registry.py"}
"""Hooks declare, objects work. A second caller would meet the faults of all plugins at once."""

_SEAM = re.compile(r"# noqa: BLE001 - \S")


def sources(*rooms: str) -> Iterator[tuple[str, str]]:
    for room in rooms:
        for file in sorted((ROOT / room).rglob("*.py")):
            if "__pycache__" not in file.parts:
                yield file.relative_to(ROOT).as_posix(), file.read_text()


def everything() -> dict[str, str]:
    return dict(sources(*PRODUCT, "tests"))


ALL = everything()
TREES = {path: ast.parse(text) for path, text in ALL.items()}
PRODUCT_FILES = {path: text for path, text in ALL.items() if not path.startswith("tests/")}


def test_there_is_something_to_look_at() -> None:
    assert {path.partition("/")[0] for path in ALL} >= {
        "proxy",
        "policies",
        "speech_engine",
        "plugins",
        "tests",
    }


def test_a_file_is_one_idea() -> None:
    lines = {path: text.count("\n") for path, text in PRODUCT_FILES.items()}
    assert not {path: n for path, n in lines.items() if n > MOST_LINES and path not in EXCEPTIONS}


def test_a_function_fits_on_a_screen() -> None:
    lines = {
        f"{path}:{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in PRODUCT_FILES
        for node in ast.walk(TREES[path])
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert not {name: n for name, n in lines.items() if n > MOST_FUNCTION_LINES and name not in EXCEPTIONS}


def test_a_module_says_what_it_is() -> None:
    assert not [path for path, text in ALL.items() if text.strip() and not ast.get_docstring(TREES[path])]


def test_hooks_are_called_in_one_file() -> None:
    callers = {
        path
        for path in PRODUCT_FILES
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Attribute) and node.attr in ("hook", "subset_hook_caller")
    }
    assert callers == HOOK_CALLERS


def test_nothing_is_mocked() -> None:
    assert not [path for path, tree in TREES.items() if any(_is_mocked(node) for node in ast.walk(tree))]


def _is_mocked(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return any(alias.name.startswith("unittest") for alias in node.names)
    return isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("unittest", "mock"))


def test_a_handler_that_catches_everything_says_why() -> None:
    silent = []
    for path, text in ALL.items():
        lines = text.splitlines()
        silent += [
            f"{path}:{node.lineno}"
            for node in ast.walk(TREES[path])
            if isinstance(node, ast.ExceptHandler)
            and _catches_everything(node)
            and not _SEAM.search(lines[node.lineno - 1])
        ]
    assert not silent


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = [name.id for name in caught if isinstance(name, ast.Name)]
    # What is raised again is not swallowed.
    reraises = any(isinstance(node, ast.Raise) and node.exc is None for node in ast.walk(handler))
    return handler.type is None or "Exception" in names or ("BaseException" in names and not reraises)


def test_an_exception_to_the_sizes_is_still_needed() -> None:
    for name, reason in EXCEPTIONS.items():
        assert reason
        assert name.partition(":")[0] in PRODUCT_FILES


def test_one_version_everywhere() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == proxy.__version__
    changelog = ROOT / "CHANGELOG.md"
    if not changelog.exists():
        pytest.skip("there is no CHANGELOG.md yet")
    versions = re.findall(r"^## \[?(\d+\.\d+\.\d+)", changelog.read_text(), re.MULTILINE)
    assert versions[0] == proxy.__version__
