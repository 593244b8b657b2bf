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
"""Hooks declare, objects work: whoever else called one would meet the faults of all plugins at once."""

_SEAM = re.compile(r"# noqa: BLE001 - \S")


def sources(*rooms: str) -> Iterator[tuple[str, str]]:
    for room in rooms:
        for file in sorted((ROOT / room).rglob("*.py")):
            if "__pycache__" not in file.parts:
                yield file.relative_to(ROOT).as_posix(), file.read_text()


def everything() -> dict[str, str]:
    return dict(sources(*PRODUCT, "tests"))


ALL = everything()
PRODUCT_FILES = {path: text for path, text in ALL.items() if not path.startswith("tests/")}


def test_there_is_something_to_look_at() -> None:
    assert {path.partition("/")[0] for path in ALL} >= {
        "proxy",
        "policies",
        "speech_engine",
        "plugins",
        "tests",
    }


@pytest.mark.parametrize("path", PRODUCT_FILES)
def test_a_file_is_one_idea(path: str) -> None:
    lines = PRODUCT_FILES[path].count("\n")
    assert lines <= MOST_LINES or path in EXCEPTIONS, f"{path} has {lines} lines"


@pytest.mark.parametrize("path", PRODUCT_FILES)
def test_a_function_fits_on_a_screen(path: str) -> None:
    for node in ast.walk(ast.parse(PRODUCT_FILES[path])):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            name = f"{path}:{node.name}"
            assert lines <= MOST_FUNCTION_LINES or name in EXCEPTIONS, f"{name} has {lines} lines"


@pytest.mark.parametrize("path", [path for path, text in ALL.items() if text.strip()])
def test_a_module_says_what_it_is(path: str) -> None:
    assert ast.get_docstring(ast.parse(ALL[path])), path


def test_hooks_are_called_in_one_file() -> None:
    callers = {
        path
        for path, text in PRODUCT_FILES.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and node.attr in ("hook", "subset_hook_caller")
    }
    assert callers == HOOK_CALLERS


def test_nothing_is_mocked() -> None:
    for path, text in ALL.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith("unittest") for alias in node.names), path
            elif isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith(("unittest", "mock")), path


def test_whoever_catches_everything_says_why() -> None:
    for path, text in ALL.items():
        lines = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ExceptHandler) and _catches_everything(node):
                assert _SEAM.search(lines[node.lineno - 1]), f"{path}:{node.lineno}"


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
