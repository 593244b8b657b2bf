"""The list of all features."""

from __future__ import annotations

from pathlib import Path

import grimp

from proxy import features
from proxy.feature_list import all_commands, all_features, all_sections

FOLDER = Path(features.__file__).parent


def test_the_folders_are_the_features() -> None:
    folders = {each.parent.name for each in FOLDER.glob("*/__init__.py")}
    assert folders == {each.name for each in all_features()}


def test_each_feature_adds_its_section_and_its_commands() -> None:
    assert len(all_sections()) == len([*FOLDER.glob("*/section.py")]) >= 3
    groups = {group.name for place in all_commands()[1:] for group in place}
    assert {"voices", "consents", "lexicons", "jobs", "webhooks", "models", "receipt", "keys"} <= groups


def test_a_later_feature_may_import_an_earlier_one() -> None:
    layers = ["all", *reversed([feature.name for feature in all_features()])]
    graph = grimp.build_graph("proxy")
    assert not graph.find_illegal_dependencies_for_layers(layers=layers, containers={"proxy.features"})
