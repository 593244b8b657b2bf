"""How far each feature reaches: the files outside that import it, and those that name what is its own.

    python scripts/scatter.py            prints the table
    python scripts/scatter.py consents   prints the files of one feature
    python scripts/scatter.py --save     writes the table into scripts/scatter.txt

What is a feature's own: its tables, its section of the configuration, its metrics and its paths. A name
counts in code and in strings; comments and docstrings may speak of everything.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FIGURES = Path(__file__).with_name("scatter.txt")
_ROOMS = ("proxy", "policies", "speech_engine", "plugins")


class Footprint(NamedTuple):
    """Its files as patterns, and the names that are its own as one pattern."""

    name: str
    files: tuple[str, ...]
    names: str


FEATURES = (
    Footprint(
        "consents",
        (
            "proxy/config/consent.py",
            "proxy/features/consents/*.py",
        ),
        r"consents|config\.consent|/consents",
    ),
    Footprint(
        "lexicons",
        (
            "proxy/config/lexicons.py",
            "proxy/features/lexicons/*.py",
        ),
        r"lexicons|config\.lexicons|/lexicons",
    ),
    Footprint(
        "cache",
        ("proxy/features/cache/*.py",),
        r"clips|config\.cache|voxgate_cache\w*",
    ),
    Footprint(
        "marks",
        ("proxy/features/marks/*.py",),
        r"receipts|manifests|config\.marking|voxgate_manifests\w*|/marks|/content_provenance_checks",
    ),
    Footprint(
        "clones",
        ("proxy/features/clones/*.py",),
        # The bindings of a voice in routing are another thing than the table.
        r"FROM bindings|INTO bindings|UPDATE bindings|JOIN bindings|clone_counts|voxgate_clones|/clones",
    ),
    Footprint(
        "own_voices",
        ("proxy/features/own_voices/*.py",),
        r"FROM voices|INTO voices|UPDATE voices|JOIN voices|/voices",
    ),
    Footprint(
        "erasure",
        ("proxy/features/erasure/*.py",),
        r"erasures|/erasures",
    ),
    Footprint(
        "models",
        ("proxy/features/models/*.py",),
        r"gallery\.toml|config\.models_folder",
    ),
)


class Reach(NamedTuple):
    """A feature, its own files, and the files outside that import it and that name what is its own."""

    feature: Footprint
    own: tuple[str, ...]
    importing: tuple[str, ...]
    naming: tuple[str, ...]


def main(arguments: list[str]) -> None:
    if arguments == ["--save"]:
        FIGURES.write_text(table())
    elif arguments:
        for reach in (each for each in reaches() if each.feature.name in arguments):
            print("\n".join(("imports:", *reach.importing, "names:", *reach.naming)))
    else:
        print(table(), end="")


def table() -> str:
    lines = [f"{'feature':12}{'files':>6}{'lines':>7}{'imported by':>13}{'named by':>10}"]
    for reach in reaches():
        size = sum(_source(file).count("\n") for file in reach.own)
        lines.append(
            f"{reach.feature.name:12}{len(reach.own):6}{size:7}{len(reach.importing):13}{len(reach.naming):10}"
        )
    return "\n".join(lines) + "\n"


def reaches() -> Iterator[Reach]:
    for feature in FEATURES:
        own = tuple(file for file in _files() if any(fnmatch(file, pattern) for pattern in feature.files))
        outside = [file for file in _files() if file not in own]
        modules = {_module(file) for file in own}
        name = re.compile(rf"(?<![\w.])(?:{feature.names})(?![\w(])")
        yield Reach(
            feature,
            own,
            tuple(file for file in outside if _imports(file) & modules),
            tuple(file for file in outside if name.search(_code(file))),
        )


@cache
def _files() -> tuple[str, ...]:
    return tuple(
        sorted(str(path.relative_to(ROOT)) for room in _ROOMS for path in (ROOT / room).rglob("*.py"))
    )


@cache
def _source(file: str) -> str:
    return (ROOT / file).read_text()


def _module(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@cache
def _imports(file: str) -> frozenset[str]:
    """The modules that a file imports, also as names of their packages."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(_source(file))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


@cache
def _code(file: str) -> str:
    """A file's code without comments, docstrings and imports, which are counted by themselves."""
    tree = ast.parse(_source(file))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [each for each in node.body if not _is_remark(each)] or [ast.Pass()]
    return ast.unparse(tree)


def _is_remark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


if __name__ == "__main__":
    main(sys.argv[1:])
