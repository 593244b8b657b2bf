"""The list of all features."""

import subprocess
import sys
from pathlib import Path

import grimp

from proxy import features
from proxy.cli.main import all_commands
from proxy.feature_list import FEATURES, all_features, all_sections

FOLDER = Path(features.__file__).parent


def test_the_folders_are_the_features() -> None:
    folders = {each.parent.name for each in FOLDER.glob("*/__init__.py")}
    assert folders == {each.name for each in all_features()}


def test_each_feature_adds_its_section_and_its_commands() -> None:
    assert len(all_sections()) == len([*FOLDER.glob("*/section.py")]) >= 3
    groups = {group.name for place in all_commands()[1:] for group in place}
    assert {"voices", "consents", "lexicons", "jobs", "webhooks", "models", "keys"} <= groups


def test_each_line_of_the_list_names_what_its_feature_imports() -> None:
    graph = grimp.build_graph("proxy")
    found: dict[str, set[str]] = {name: set() for name in FEATURES}
    for name, needs in found.items():
        for module in {name_of(name), *graph.find_descendants(name_of(name))}:
            needs |= {
                each.split(".")[2] for each in graph.find_modules_directly_imported_by(module) if is_own(each)
            }
        needs.discard(name)
    assert found == {name: {*needs} for name, needs in FEATURES.items()}
    for number, (name, line) in enumerate(FEATURES.items()):
        before = [*FEATURES][:number]
        assert line == tuple(each for each in before if each in line), f"{name} stands before one of {line}"


def name_of(feature: str) -> str:
    return f"proxy.features.{feature}"


def is_own(module: str) -> bool:
    return module.startswith(name_of(""))


def test_to_read_the_list_imports_nothing() -> None:
    command = "import sys; before = {*sys.modules}; import proxy.feature_list; print({*sys.modules} - before)"
    read = subprocess.run((sys.executable, "-c", command), capture_output=True, text=True, check=True).stdout
    assert "proxy.feature_list" in read
    assert "proxy.features" not in read
    assert "msgspec" not in read
