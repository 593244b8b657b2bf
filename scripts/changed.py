"""The tests that a change can reach. `make changed` runs those that are fast, and names the files left out.

    python -m scripts.changed            for what differs from the last commit of main
    python -m scripts.changed FILE …     for changes of these files

A file of a feature reaches the tests of the feature, those of features that import it, directly or through
other files of the feature, and the contract of servers with features left out. It reaches other tests that
import it, also through helpers of their own folder, or name the feature's endpoints, tables or metrics. A
file of the core reaches the tests of the core, of clients and of faults, that contract, and the tests of the
features and plugins that import it. A plugin reaches its tests, and a file of tests those that import it. A
file also reaches what the lists of mutants name for it: these tests are known to notice its changes.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from proxy.feature_list import all_features
from scripts.scatter import ROOT, imports_of, module_of, pattern_of, source_of

_ALWAYS = ("tests/test_shape.py", "tests/test_words.py", "tests/test_scatter.py")
_CONTRACT = ("tests/proxy/test_core.py", "tests/features/test_left_out.py", "tests/features/test_all.py")
_OF_CORE = ("tests/proxy/", "tests/policies/", "tests/speech_engine/", "tests/clients/", "tests/faults/")
_CORE = ("proxy/", "policies/", "speech_engine/", "pyproject.toml", "config.toml")
_TEXTS = ("docs/", "README.md", "CONTRIBUTING.md", "llms.txt")
_SLOW = "pytestmark = pytest.mark.slow"


def main(arguments: Sequence[str]) -> None:
    """Print the fast files for pytest, and on stderr what they leave out."""
    found = reached(arguments or changed())
    slow = {file for file in found if _SLOW in source_of(file)}
    print("\n".join(sorted(found - slow)))
    why = f"left out: {len(slow)} slow files (make slow): {', '.join(sorted(slow)) or 'none'}"
    print(
        f"{why}\nleft out: {len(all_tests()) - len(found)} files that the change does not reach",
        file=sys.stderr,
    )


def changed() -> list[str]:
    """Return what differs from the last commit of main, and the files that git does not know yet."""
    base = _git("merge-base", "HEAD", "main")[0]
    return [*_git("diff", "--name-only", base), *_git("ls-files", "--others", "--exclude-standard")]


def _git(*words: str) -> list[str]:
    ran = subprocess.run(("git", *words), cwd=ROOT, check=True, capture_output=True, text=True)
    return ran.stdout.splitlines()


def reached(files: Iterable[str]) -> set[str]:
    """Return the files of tests that changes of these files can reach."""
    found = {*_ALWAYS}
    for file in files:
        found.update(reached_by_rules(file), _killers().get(file, ()))
    return found & {*all_tests()}


@cache
def _killers() -> dict[str, set[str]]:
    """Return the files of tests that the lists of mutants name, by the file that they break."""
    found: dict[str, set[str]] = {}
    for topic in (ROOT / "scripts" / "mutations").glob("*.toml"):
        for mutant in tomllib.loads(topic.read_text())["mutant"]:
            for test in mutant["tests"]:
                file, folder = test.partition("::")[0], test.rstrip("/") + "/"
                found.setdefault(mutant["path"], set()).update({file, *_below(folder)})
    return found


def reached_by_rules(file: str) -> Iterator[str]:
    if file.startswith("proxy/features/") and file.count("/") > 2:
        yield from _of_feature(file.split("/")[2], module_of(file))
        if file.endswith("/commands.py"):
            yield from _below("tests/proxy/cli/")
        return
    yield from (test for test in all_tests() if file == test or module_of(file) in _modules_of(test))
    if file.startswith("plugins/"):
        yield from _below(f"tests/plugins/{file.split('/')[1]}/", "tests/plugins/test_")
    elif file.startswith(_CORE):
        yield from (*_below(*_OF_CORE), *_CONTRACT)
        yield from _below(*(f"tests/{room}/" for room in _rooms_with(module_of(file))))
    elif file.startswith(_TEXTS):
        yield from _below("tests/docs/", "tests/examples/")
    elif not file.startswith(("tests/", "fakes/")):
        yield from _below("tests/suite/")


def _rooms_with(module: str) -> set[str]:
    """Return the features and plugins that import a module of the core, as `features/jobs`."""
    return {room for room, imported in _imports_of_rooms().items() if module in imported}


@cache
def _imports_of_rooms() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for kind, folder in (("features", ROOT / "proxy" / "features"), ("plugins", ROOT / "plugins")):
        for path in folder.rglob("*.py"):
            room = f"{kind}/{path.relative_to(folder).parts[0]}"
            found.setdefault(room, set()).update(imports_of(str(path.relative_to(ROOT))))
    return found


def _of_feature(name: str, module: str) -> Iterator[str]:
    """Yield what a change of a module of a feature reaches."""
    yield from (*_CONTRACT, *_naming(name))
    with_importers = _with_importers(name, module)
    yield from (test for test in all_tests() if with_importers & _modules_in_room(test))
    importing = (room for each in with_importers for room in _rooms_with(each))
    yield from _below(*(f"tests/{room}/" for room in {f"features/{name}", *importing}))


def _with_importers(name: str, module: str) -> set[str]:
    """Return a module of a feature, and those of the feature that import it, directly or through others."""
    found, waiting = {module}, [module]
    while waiting:
        new = _importers(name)[waiting.pop()] - found
        found |= new
        waiting += new
    return found


@cache
def _importers(name: str) -> dict[str, set[str]]:
    """Return each module with the modules of a feature that import it."""
    found = defaultdict[str, set[str]](set)
    for file in _own(name):
        for imported in imports_of(file):
            found[imported].add(module_of(file))
    return found


@cache
def _naming(name: str) -> tuple[str, ...]:
    """Return the tests that name an endpoint, a table or a metric of a feature."""
    (feature,) = (each for each in all_features() if each.name == name)
    names = pattern_of(feature, _own(name))
    return tuple(test for test in all_tests() if names.search(source_of(test)))


def _own(name: str) -> tuple[str, ...]:
    folder = ROOT / "proxy" / "features" / name
    return tuple(str(path.relative_to(ROOT)) for path in folder.rglob("*.py"))


def _below(*folders: str) -> list[str]:
    return [file for file in all_tests() if file.startswith(folders)]


@cache
def all_tests() -> tuple[str, ...]:
    return tuple(str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py"))


@cache
def _modules_of(file: str, helpers: str = "tests.") -> frozenset[str]:
    """Return the modules that a test imports, itself or through files of tests whose names begin so."""
    found, waiting = set[str](), [file, *_conftests(file)]
    while waiting:
        new = imports_of(waiting.pop()) - found
        found |= new
        inside = (each.replace(".", "/") + ".py" for each in new if each.startswith(helpers))
        waiting += [each for each in inside if (ROOT / each).is_file()]
    return frozenset(found)


def _modules_in_room(test: str) -> frozenset[str]:
    """Return the modules that a test imports, itself or through helpers of its room, `tests/x/y`."""
    return _modules_of(test, ".".join(test.split("/")[:3]) + ".")


def _conftests(file: str) -> list[str]:
    folders = [parent for parent in (ROOT / file).parents if parent.is_relative_to(ROOT / "tests")]
    files = [folder / "conftest.py" for folder in folders if folder.name != "tests"]
    return [str(each.relative_to(ROOT)) for each in files if each.is_file()]


if __name__ == "__main__":
    main(sys.argv[1:])
