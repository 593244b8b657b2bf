"""How far each feature reaches: the files outside that import it, and those that name what is its own.

    python -m scripts.scatter              prints the table, and the raises of budgets by version
    python -m scripts.scatter consents     prints the files of one feature
    python -m scripts.scatter --sizes      prints the lines of each part of the house, and its budget
    python -m scripts.scatter --save       lowers scripts/budgets.toml to the lines that there are
    python -m scripts.scatter --save anew  sets it, and higher where there are more: for a merge alone
    python -m scripts.scatter --core       prints the files of the core, and for each who imports it
    python -m scripts.scatter --map        prints the rooms of the core, and the folders outside of it

What is a feature's own: its tables, its section of the configuration, its metrics and its paths. A table is
named by SQL, a section by who reads it of a configuration or tells an operator of its keys. `proxy/config` is
left out for `[consent]`, which the kernel declares. The same word as a field or in a message is nobody's own.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from proxy.feature import Feature
from proxy.feature_list import all_features
from scripts import budgets
from scripts.found import found_in

ROOT = Path(__file__).resolve().parents[1]
_ROOMS = ("proxy", "policies", "speech_engine")
"""Plugins may not import the server, and what looks like a path there is one of their provider's."""
_DECLARED_IN = {"consent": "proxy/config/"}
"""Where a section is declared, if that is not in its feature's folder."""
_METRIC = re.compile(r"voxgate_\w+\Z")
_IMPORT = re.compile(r"^\s*(?:from ([\w.]+) import (\([^)]*\)|[^\n]+)|import ([\w.]+))", re.M)


_APART = {
    "jobs/remote": ("speech_engine/host/remote_*.py", "speech_engine/runner.py"),
    "jobs/kinds/training": ("speech_engine/training.py", "speech_engine/host/training.py"),
}
"""What serves a feature in another process, and so is imported by none of its files."""
_BESIDE = {
    "console pages": "proxy/features/console/web/**/*.js",
    "mutations": "scripts/mutations/*.toml",
    **{room: f"{room}/**/*.py" for room in ("bench", "fakes", "scripts", "tests")},
}
"""What is no Python of the product, and has a budget, too."""


SECTIONS = {
    "consents": "consent",
    "lexicons": "lexicons",
    "cache": "cache",
    "marks": "marking",
    "webhooks": "webhooks",
}
"""The section of a feature. That of another one is named by nobody else."""
_SHARED_ROOTS = ("/", "/v1", "/docs", "/v1/audio/voices", "/v1/voices", "/v1/me")
"""Where the core answers as well."""
OUTSIDE = ("proxy/features/", "proxy/hosts/", "proxy/speech_steps/", "proxy/text_rules/")
"""What the core may name by a string, and does without. Another module that a string names is core."""
CORE = ("proxy/app.py", "proxy/processes/supervisor.py", "proxy/processes/worker.py")


class FeatureReach(NamedTuple):
    """A feature, its own files, and the files outside that import it and that name what is its own."""

    feature: str
    own: tuple[str, ...]
    importing: tuple[str, ...]
    naming: tuple[str, ...]


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--save"]:
        save(budgets.FILE, is_anew=arguments[1:] == ["anew"])
    elif arguments == ["--core"]:
        print("\n".join(f"{file}: {', '.join(sorted(by)) or '-'}" for file, by in sorted(core().items())))
        print(f"{sum(map(_line_count, core()))} lines in {len(core())} files")
    elif arguments == ["--map"]:
        print(core_map(), end="")
    elif arguments == ["--sizes"]:
        known = budgets.read_budgets(budgets.FILE.read_text())
        rows = {budgets.PRODUCT: budgets.sum_of_lines(lines_of_parts()), **lines_of_parts()}
        print("\n".join(f"{name:32}{lines:8}{known[name].lines:8}" for name, lines in rows.items()))
    elif arguments:
        for reach in (each for each in reaches() if each.feature in arguments):
            print("\n".join(("imports:", *reach.importing, "names:", *reach.naming)))
    else:
        raises = budgets.raises_by_version(budgets.read_budgets(budgets.FILE.read_text()))
        print(table(), raises, sep="", end="")


def save(file: Path, *, is_anew: bool = False) -> None:
    """Lower the budgets in a file to the lines that there are."""
    text = file.read_text()
    found = budgets.lowered(budgets.read_budgets(text), lines_of_parts(), is_anew=is_anew)
    file.write_text(budgets.toml_of(found, budgets.head_of(text)))


def table() -> str:
    lines = [f"{'feature':12}{'files':>6}{'lines':>7}{'imported by':>13}{'named by':>10}"]
    for reach in reaches():
        size = sum(map(_line_count, reach.own))
        lines.append(
            f"{reach.feature:12}{len(reach.own):6}{size:7}{len(reach.importing):13}{len(reach.naming):10}"
        )
    return "\n".join(lines) + "\n"


def reaches() -> Iterator[FeatureReach]:
    for feature in all_features():
        folder = f"proxy/features/{feature.name}/"
        own = tuple(file for file in _files() if file.startswith(folder))
        outside = [file for file in _files() if file not in own]
        modules = {module_of(file) for file in own}
        yield FeatureReach(
            feature.name,
            own,
            tuple(file for file in outside if imports_of(file) & modules),
            tuple(file for file in outside if is_named(file, feature, own)),
        )


@cache
def core() -> dict[str, set[str]]:
    """Return what server, supervisor and worker import without features and plugins, by whom in the core.

    What a string names is imported as well, unless it is `OUTSIDE`.
    """
    files = {module_of(file): file for file in _files() if not file.startswith("proxy/features/")}
    found: dict[str, set[str]] = {}
    waiting: list[tuple[str, str]] = [(file, "") for file in CORE]
    while waiting:
        file, importer = waiting.pop()
        is_new = file not in found
        found.setdefault(file, set()).update({importer} - {""})
        if is_new:
            named = {each for each in _strings(file) if not files.get(each, "").startswith(OUTSIDE)}
            wanted = {each for module in imports_of(file) | named for each in _with_packages(module)}
            waiting += [(files[each], file) for each in wanted & files.keys() if files[each] != file]
    return found


def core_map() -> str:
    """Return two tables: the rooms of the core, and those outside, those that the core shares last."""
    rooms: dict[bool, dict[str, list[str]]] = {True: {}, False: {}}
    for file in _files():
        rooms[file in core()].setdefault(_map_room(file), []).append(file)
    text = ""
    for is_core, title in ((True, "the core"), (False, "outside of it")):
        lines = {room: sum(map(_line_count, files)) for room, files in rooms[is_core].items()}
        text += f"| {title} | files | lines | what it is |\n| --- | --- | --- | --- |\n"
        rests = set() if is_core else rooms[True].keys()
        shown = (each for each in lines if lines[each] >= 50)
        for room in sorted(shown, key=lambda each: (each in rests, -lines[each])):
            files, size = len(rooms[is_core][room]), round(lines[room], -2)
            about = "Files that the core does not import." if room in rests else _first_sentence(room)
            text += f"| {room} | {files} | {size} | {about} |\n"
        text += "\n"
    return text[:-1]


def _map_room(file: str) -> str:
    folders = file.split("/")[:-1]
    return "/".join(folders[: 3 if folders[1:2] == ["features"] else 1 + (folders[0] == "proxy")])


def _line_count(file: str) -> int:
    return source_of(file).count("\n")


def _first_sentence(room: str) -> str:
    words = " ".join((ast.get_docstring(ast.parse(source_of(f"{room}/__init__.py"))) or "").split())
    return re.split(r"(?<=[.]) (?=[A-Z`])", words)[0]


def _with_packages(module: str) -> Iterator[str]:
    """Yield a module and its packages, which are imported before it."""
    yield module
    while module := module.rpartition(".")[0]:
        yield module


def lines_of_parts() -> dict[str, int]:
    """Return the lines of each part that has a budget. A file of the product counts once."""
    found = Counter[str]()
    for file, part in parts().items():
        found[part] += _line_count(file)
    for part, pattern in _BESIDE.items():
        files = (path for path in ROOT.glob(pattern) if "vendor" not in path.parts)
        found[part] = sum(path.read_text().count("\n") for path in files)
    return dict(sorted(found.items()))


def parts() -> dict[str, str]:
    """Return the part of each file of the product.

    It is its plugin; or the feature in whose folder it is or that it serves alone; or the core; or else its
    room. Of jobs, `core`, `remote`, each kind and the rest count as features.
    """
    owners = _owners()
    rest = {file: owner or ("core" if file in core() else _room(file)) for file, owner in owners.items()}
    plugins = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "plugins").rglob("*.py"))
    return rest | {file: "/".join(file.split("/")[:-1][:2]) for file in plugins}


def _room(file: str) -> str:
    room, *inner = file.split("/")
    return f"{room}/{inner[0]}" if room == "proxy" and inner[1:] else room


def _owners() -> dict[str, str]:
    """Return the feature of each file, or ""."""
    apart = {
        str(path.relative_to(ROOT)): f"features/{owner}"
        for owner, patterns in _APART.items()
        for pattern in patterns
        for path in ROOT.glob(pattern)
    }
    owners = {file: apart.get(file) or _folder(file) for file in _files()}
    is_new = True
    while is_new:
        is_new = False
        for file in [each for each, owner in owners.items() if not owner]:
            users = {owners[each] for each in _importers()[module_of(file)]}
            if len(users) == 1 and (owner := users.pop()):
                owners[file], is_new = owner, True
    return owners


def _folder(file: str) -> str:
    """Return the feature in whose folder a file lies, as `features/jobs/core`, or ""."""
    parts = file.removeprefix("proxy/features/").split("/")[:-1]
    if not file.startswith("proxy/features/") or not parts:
        return ""
    depth = {"core": 2, "remote": 2, "kinds": 3}.get(parts[1], 1) if parts[0] == "jobs" and parts[1:] else 1
    return "/".join(("features", *parts[:depth]))


@cache
def _importers() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {module_of(file): set() for file in _files()}
    for file in _files():
        for module in imports_of(file) & found.keys() - {module_of(file)}:
            found[module].add(file)
    return found


def is_named(file: str, feature: Feature, own: tuple[str, ...]) -> bool:
    """Tell whether a file names what is a feature's own. `own` are the feature's files."""
    # The trees of all files take seconds.
    words = (*_words_of(feature, own), *(table.name for table in feature.tables))
    is_there = any(word in source_of(file) for word in words)
    return (is_there and _says(file, pattern_of(feature, own))) or _reads(
        file, SECTIONS.get(feature.name, "")
    )


@cache
def pattern_of(feature: Feature, own: tuple[str, ...]) -> re.Pattern[str]:
    """Return what is in a string that names a table, a metric or a path of a feature."""
    words = [rf"(?<![\w.]){re.escape(each)}(?:_total)?(?![\w(])" for each in _words_of(feature, own)]
    tables = [rf"\b(?:FROM|INTO|JOIN|TABLE|UPDATE)\s+{table.name}\b" for table in feature.tables]
    return re.compile("|".join((*words, *tables)) or "(?!)")


@cache
def _words_of(feature: Feature, own: tuple[str, ...]) -> tuple[str, ...]:
    """Return the paths and metrics of a feature."""
    metrics = {
        text
        for file in own
        if "voxgate_" in source_of(file)
        for text in _strings(file)
        if _METRIC.fullmatch(text)
    }
    return (*(set(feature.paths) - {*_SHARED_ROOTS}), *sorted(metrics))


def _says(file: str, text: re.Pattern[str]) -> bool:
    return any(text.search(each) for each in _strings(file))


_CONFIGURATION = re.compile(r"\b_?(?:config|loaded)\b(?:\.|\[)")


def _reads(file: str, section: str) -> bool:
    """Tell whether a file reads a section, or names its keys, outside of where it is declared."""
    if not section or section not in source_of(file) or file.startswith(_DECLARED_IN.get(section, ())):
        return False
    keys = re.compile(rf"\A{section}\.\w|\[{section}[].]")
    read = re.compile(rf"\b_?(?:config|loaded)(?:\.{section}|\.features\['{section}'\])\Z")
    return _says(file, keys) or any(map(read.search, _lookups(file)))


def _lookups(file: str) -> list[str]:
    """What a file reads of a configuration, as text: attributes and items."""
    if not _CONFIGURATION.search(source_of(file)):
        return []
    found = _all_lookups().get(file)
    return lookups_in(source_of(file)) if found is None else found


@cache
def _all_lookups() -> dict[str, list[str]]:
    files = (file for file in _files() if _CONFIGURATION.search(source_of(file)))
    return found_in({file: source_of(file) for file in files}, lookups_in)


def lookups_in(text: str) -> list[str]:
    nodes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute | ast.Subscript))
    return [*filter(_CONFIGURATION.search, map(ast.unparse, nodes))]


@cache
def _files() -> tuple[str, ...]:
    return tuple(
        sorted(str(path.relative_to(ROOT)) for room in _ROOMS for path in (ROOT / room).rglob("*.py"))
    )


@cache
def source_of(file: str) -> str:
    return (ROOT / file).read_text()


def module_of(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@cache
def imports_of(file: str) -> frozenset[str]:
    """Return the modules that a file imports, also as names of their packages, by its text: a tree of each
    file would take ten seconds."""
    found = set[str]()
    for package, names, module in _IMPORT.findall(source_of(file)):
        found.update({package, module, *(f"{package}.{name}" for name in re.findall(r"\w+", names))})
    return frozenset(found)


def _strings(file: str) -> list[str]:
    """Return the strings in a file's code."""
    found = _all_strings().get(file)
    return strings_in(source_of(file)) if found is None else found


@cache
def _all_strings() -> dict[str, list[str]]:
    return found_in({file: source_of(file) for file in _files()}, strings_in)


def strings_in(text: str) -> list[str]:
    """Return the strings in a code. Docstrings and comments may speak of everything."""
    nodes = [*ast.walk(ast.parse(text))]
    remarks = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    constants = (node for node in nodes if isinstance(node, ast.Constant) and id(node) not in remarks)
    return [node.value for node in constants if isinstance(node.value, str)]


if __name__ == "__main__":
    main(sys.argv[1:])
