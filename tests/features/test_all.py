"""The list of all features."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path

from proxy import features
from proxy.config.reader import Section
from proxy.features.all import all_features, all_sections


def test_the_list_has_every_section() -> None:
    files = Path(features.__file__).parent.glob("*/section.py")
    modules = [import_module(f"{features.__name__}.{file.parent.name}.section") for file in files]
    declared = [each for module in modules for each in vars(module).values() if isinstance(each, Section)]
    assert sorted(each.name for each in declared) == sorted(each.name for each in all_sections())
    assert len(modules) >= 3


def test_a_later_feature_may_import_an_earlier_one() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    (layers,) = (
        each["layers"]
        for each in project["tool"]["importlinter"]["contracts"]
        if each.get("containers") == ["proxy.features"]
    )
    assert layers == ["all", *reversed([feature.name for feature in all_features()])]
