"""docs/configuration.md: every key there is, with its true default, and no other; its examples are valid."""

from __future__ import annotations

import re
import tomllib
from base64 import b64encode
from pathlib import Path
from typing import Any, get_origin

import msgspec
import pytest

from proxy.config import config_toml
from proxy.config.engines import CostSection
from proxy.config.plans import PlanSection, PriceSection
from proxy.config.routes import RouteSection
from proxy.config.sections import (
    ConsentSection,
    EngineSection,
    LimitsStore,
    Server,
    Storage,
    Upstream,
    VaultSection,
    VoiceSection,
)
from proxy.diagnosis.config_check import check_config
from proxy.engines import registry
from proxy.features.all import all_sections, load_config
from tests.docs import pages
from tests.docs.pages import PAGES, PLUGIN_PAGES, Block
from tests.tables import each_row

_PAGE = "configuration.md"
_TOML = [block for page in (*PAGES, *PLUGIN_PAGES) for block in pages.blocks(page, "toml")]

# What a struct collects under a name of its own, or is told by the reader, is no key of the file.
_COLLECTED = ("settings", "bindings", "fault")
_STEPS = ("run: voxgate env build", "has been imported", "names no model")
_NO_VALUE = ("none", "needed", "the section's name")


@each_row(
    ("heading", "section"),
    [
        ("[server]", Server),
        ("[storage]", Storage),
        ("[limits]", LimitsStore),
        ("[vault]", VaultSection),
        ("[consent]", ConsentSection),
        ("[upstream]", Upstream),
        ("[plans.NAME]", PlanSection),
        ("[plans.NAME.prices]", PriceSection),
        ("[engines.NAME]", EngineSection),
        ("[engines.NAME.costs]", CostSection),
        ("[[routes]]", RouteSection),
        ("[voices.NAME]", VoiceSection),
        *((f"[{each.name}]", each.type_) for each in all_sections() if get_origin(each.type_) is None),
    ],
)
def test_every_key_is_documented_with_its_default(heading: str, section: type[msgspec.Struct]) -> None:
    table = pages.rows(pages.section(pages.doc(_PAGE), heading))
    documented = {pages.codes(key)[0]: _value(default) for key, default, _meaning in table}
    actual = {
        field.encode_name: _default(field)
        for field in msgspec.structs.fields(section)
        if field.name not in _COLLECTED
    }
    assert documented == actual


def test_the_shown_error_is_the_real_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = pages.blocks(pages.ROOT / "docs" / _PAGE, "console")[0].text
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text('[server]\nprot = 1\nport = "x"\n[plans.free]\nrpm = 0\n[servr]\n')
    with pytest.raises(config_toml.ConfigError) as raised:
        load_config(None, {})
    assert shown == f"$ voxgate check\n{raised.value}\n"


def test_the_shipped_file_sets_nothing_to_other_than_its_documented_default() -> None:
    shipped = tomllib.loads((pages.ROOT / "config.toml").read_text())
    defaults = {field.encode_name: _default(field) for field in msgspec.structs.fields(Server)}
    assert shipped["server"] == {key: defaults[key] for key in shipped["server"]}


@each_row("block", _TOML, ids=lambda block: block.where)
def test_every_example_is_a_configuration_without_a_fault(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    for name in ("new-key", "data/master-key"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(b64encode(bytes(32)).decode())
    # An example of one engine leaves the defaults without theirs, which is not what it is about.
    own = "" if "[engines.espeak]" in block.text or "[engines" not in block.text else "[engines.espeak]\n"
    file.write_text(own + block.text)
    secrets = dict.fromkeys(re.findall(r"env:(\w+)", block.text), "a secret")
    findings = check_config(load_config(file, secrets), registry.load())
    # Whether an environment was built, or a model imported, is not what an example is about.
    wrong = [finding.found for finding in findings if finding.verdict == "wrong"]
    assert [found for found in wrong if not any(step in found for step in _STEPS)] == []


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default is msgspec.NODEFAULT:
        return None
    return list(field.default) if isinstance(field.default, tuple) else field.default


def _value(cell: str) -> Any:
    return None if cell in _NO_VALUE else tomllib.loads(f"value = {pages.codes(cell)[0]}")["value"]
