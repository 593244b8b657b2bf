"""locks/: whole, by hash alone, the same for CI and for users, and of licences that somebody has allowed."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tables import each_row

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "locks"
FILES = ("build", "serve", "s3", "test")

_ENTRY = re.compile(
    r"^(?P<name>[a-z0-9._-]+)==(?P<version>\S+)(?: ; (?P<marker>.*?))? \\\n"
    r"(?P<hashes>(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)",
    re.MULTILINE,
)
_SPDX = {
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache2": "Apache-2.0",
    "bsd 2-clause license": "BSD-2-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mit or apache-2.0": "Apache-2.0 OR MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "the mit license (mit)": "MIT",
    "python software foundation license": "PSF-2.0",
}
_VAGUE = {"", "bsd license"}
"""What a package may say that names no licence: then the list decides."""


class Locked(NamedTuple):
    """A version that a lock names, and the markers under which it is installed."""

    name: str
    version: str
    marker: str | None

    @property
    def is_for_here(self) -> bool:
        return self.marker is None or Marker(self.marker).evaluate()


def _locked(file: str) -> list[Locked]:
    text = (LOCKS / f"{file}.txt").read_text()
    return [Locked(each["name"], each["version"], each["marker"]) for each in _ENTRY.finditer(text)]


ALL = {file: _locked(file) for file in FILES}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LISTED = tomllib.loads((LOCKS / "licences.toml").read_text())
LICENCES = {
    name: licence for part in ("serve", "test") for licence, names in LISTED[part].items() for name in names
}


@each_row("file", FILES)
def test_a_lock_holds_versions_and_hashes_and_nothing_else(file: str) -> None:
    text = (LOCKS / f"{file}.txt").read_text()
    rest = [line for line in _ENTRY.sub("", text).splitlines() if not line.startswith("#")]
    assert not rest, "an address, an option, or a package without a hash"
    assert "://" not in text


def test_a_package_has_one_version_for_every_python() -> None:
    versions = {(each.name, each.version) for file in FILES for each in ALL[file]}
    assert len(versions) == len({name for name, _ in versions})


@each_row("file", FILES)
def test_what_is_installed_is_what_is_locked(file: str) -> None:
    wanted = {each.name: each.version for each in ALL[file] if each.is_for_here}
    assert wanted == {name: importlib.metadata.version(name) for name in wanted}


@pytest.mark.parametrize(
    ("extras", "files"),
    [
        (set(PROJECT["project"]["optional-dependencies"]) - {"test", "s3"}, ("serve",)),
        (set(PROJECT["project"]["optional-dependencies"]) - {"test"}, ("serve", "s3")),
        (set(PROJECT["project"]["optional-dependencies"]), ("serve", "test")),
    ],
    ids=["server", "bucket", "tests"],
)
def test_a_lock_has_all_that_its_packages_ask_for(extras: set[str], files: tuple[str, ...]) -> None:
    locked = {each.name: each.version for file in files for each in ALL[file] if each.is_for_here}
    missing = [str(each) for each in _asked("voxgate", extras) if _is_missing(each, locked)]
    assert not missing, "run scripts/lock"


def test_the_build_system_is_locked() -> None:
    locked = {each.name: each.version for each in ALL["build"]}
    asked = map(Requirement, PROJECT["build-system"]["requires"])
    assert not [str(each) for each in asked if _is_missing(each, locked)]


def test_the_server_has_no_framework_of_neural_engines() -> None:
    assert not {each.name for each in ALL["serve"]} & {"torch", "torchaudio", "tensorflow", "onnxruntime"}


def test_every_package_has_a_licence_that_is_allowed() -> None:
    unlisted = {
        each.name: _stated(each.name) for file in FILES for each in ALL[file] if each.name not in LICENCES
    }
    assert not unlisted, "not in locks/licences.toml; what each says of itself"


def test_no_licence_is_listed_for_what_is_not_locked() -> None:
    assert not LICENCES.keys() - {each.name for file in FILES for each in ALL[file]}


def test_packages_have_the_licences_that_are_listed() -> None:
    changed = {
        name: stated for name in LICENCES if (stated := _stated(name)) not in (None, "", LICENCES[name])
    }
    assert not changed, "locks/licences.toml lists another; what each says of itself"


@pytest.mark.slow
def test_a_second_install_does_nothing_until_a_lock_changes(tmp_path: Path) -> None:
    for each in ("pyproject.toml", "scripts", "locks"):
        copy = shutil.copytree if (ROOT / each).is_dir() else shutil.copy
        copy(ROOT / each, tmp_path / each)
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\necho downloading\n')
    python.chmod(0o755)

    def calls(part: str) -> list[str]:
        (tmp_path / "calls").write_text("")
        command = ["sh", "scripts/install", sys.executable, "venv", part]
        done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
        lines = (tmp_path / "calls").read_text().splitlines()
        # What pip says is shown, and not on stdout, where `make serve` prints a key.
        assert done.stderr.count("downloading") == sum(" pip " in line for line in lines)
        assert done.stdout == ""
        return lines

    first = calls("test")
    assert [line for line in first if "--require-hashes" not in line] == first[-2:]
    assert "--no-deps --no-build-isolation --editable ." in first[-2]
    assert "-m compileall" in first[-1]
    assert calls("test") == calls("serve") == []
    with (tmp_path / "locks" / "serve.txt").open("a") as lock:
        lock.write("# changed\n")
    assert len(calls("serve")) == len(first) - 1


def _asked(name: str, extras: set[str], seen: set[str] | None = None) -> Iterator[Requirement]:
    """What a package asks for here, and what those ask for, from the metadata of what is installed."""
    seen = set() if seen is None else seen
    for line in importlib.metadata.requires(name) or ():
        requirement = Requirement(line)
        environments = [{"extra": extra} for extra in extras or {""}]
        if requirement.marker and not any(requirement.marker.evaluate(each) for each in environments):
            continue
        yield requirement
        key = f"{canonicalize_name(requirement.name)}{sorted(requirement.extras)}"
        if key not in seen:
            seen.add(key)
            yield from _asked(requirement.name, requirement.extras, seen)


def _is_missing(asked: Requirement, locked: dict[str, str]) -> bool:
    version = locked.get(canonicalize_name(asked.name))
    return version is None or not asked.specifier.contains(version, prereleases=True)


def _stated(name: str) -> str | None:
    """The licence that a package names. It is empty if none is clear, and None if it is not installed."""
    try:
        metadata = importlib.metadata.metadata(name)
    except PackageNotFoundError:
        return None
    classifiers = [each for each in metadata.get_all("Classifier", ()) if each.startswith("License ::")]
    texts = [text for key in ("License-Expression", "License") for text in metadata.get_all(key, ())]
    for text in (*texts, *classifiers):
        words = text.partition("\n")[0].rpartition(" :: ")[2].strip()
        if words.lower() not in _VAGUE:
            return str(_SPDX.get(words.lower(), words))
    return ""
