"""The sample file has every key there is, with its true default; all examples are valid configurations."""

import re
import tomllib
from base64 import b64encode
from pathlib import Path

import pytest

from proxy.config import config_toml
from proxy.config.sections import Server
from proxy.diagnosis.config_check import check_config
from proxy.engines import registry
from proxy.feature_list import load_config
from tests.docs import config_reference, pages
from tests.docs.pages import PAGES, PLUGIN_PAGES, Block
from tests.tables import each_row

_PAGE = "configuration.md"
_TOML = [block for page in (*PAGES, *PLUGIN_PAGES) for block in pages.blocks(page, "toml")]
_STEPS = ("run: voxgate env build", "has been imported", "names no model", "certificate: ")


def test_the_sample_file_has_every_key_with_its_default() -> None:
    for heading, type_, samples in config_reference.samples():
        known = {key: default for key, default, _form in config_reference.keys(type_)}
        assert set(known) <= set(samples), heading
        assert all(sample.meaning for key, sample in samples.items() if key in known), heading
        fixed = {key: default for key, default in known.items() if default not in (None, ..., [])}
        assert {key: samples[key].value for key in fixed} == fixed, heading


def test_the_sample_file_has_every_section() -> None:
    named = {heading for heading, _type, _samples in config_reference.samples()}
    assert named == {heading for heading, _type in config_reference.SECTIONS.values()}


def test_the_sample_file_is_a_configuration_without_a_fault() -> None:
    findings = check_config(load_config(config_reference.FILE, {}), registry.load())
    assert [finding.found for finding in findings if finding.verdict == "wrong"] == []


def test_the_shown_error_is_the_real_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = pages.blocks(pages.ROOT / "docs" / _PAGE, "console")[0].text
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text('[server]\nport = "x"\n[servr]\n')
    with pytest.raises(config_toml.ConfigError) as raised:
        load_config(None, {})
    assert shown == f"$ voxgate check\n{raised.value}\n"


def test_the_shipped_file_sets_nothing_to_other_than_its_documented_default() -> None:
    shipped = tomllib.loads((pages.ROOT / "config.toml").read_text())
    defaults = {key: default for key, default, _form in config_reference.keys(Server)}
    assert shipped["server"] == {key: defaults[key] for key in shipped["server"]}


@each_row("block", _TOML, ids=lambda block: block.where)
def test_every_example_is_a_configuration_without_a_fault(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    for name in ("new-key", "master-key", "data/master-key"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(b64encode(bytes(32)).decode())
    # An example of one engine leaves the defaults without theirs, which is not what it is about.
    own = "" if "[engines.espeak]" in block.text or "[engines" not in block.text else "[engines.espeak]\n"
    if "kokoro/" in block.text and "[engines.kokoro]" not in block.text:
        own += '[engines.kokoro]\nmodel = "kokoro-voices"\n'
    file.write_text(own + block.text)
    secrets = dict.fromkeys(re.findall(r"env:(\w+)", block.text), "a secret")
    secrets |= {"SMTP_URL": "smtp://127.0.0.1"} if "SMTP_URL" in secrets else {}
    findings = check_config(load_config(file, secrets), registry.load())
    # Whether an environment was built, or a model imported, is not what an example is about.
    wrong = [finding.found for finding in findings if finding.verdict == "wrong"]
    assert [found for found in wrong if not any(step in found for step in _STEPS)] == []
