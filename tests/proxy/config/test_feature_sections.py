"""A feature's own section: one declaration says all of it, and config.toml's rules are the same for all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, assert_type

import msgspec
import pytest

from proxy.config import config_toml
from proxy.config.config_toml import Config, ConfigError
from proxy.config.reader import Reader, Section
from proxy.config.reload import merge_config
from proxy.config.sections import Switch
from proxy.processes.supervisor_line import config_of_revision
from speech_engine.host.pipe_messages import Revision
from tests.tables import each_row


class ToySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    is_loud: Switch = False
    colours: tuple[str, ...] = ("red",)
    weight: Annotated[float, msgspec.Meta(gt=0, description="a weight above 0")] = 1.0


def _read_names(
    reader: Reader, value: object, _environ: Mapping[str, str], folder: Path
) -> dict[str, ToySection]:
    toys = {}
    for name, table in reader.table(value, "toys").items():
        if name.isdigit():
            reader.fault(f"toys.{name}", "must have a name")
        toys[f"{folder.name}/{name}"] = reader.section(ToySection, table, f"toys.{name}") or ToySection()
    return toys


TOY = Section("toy", ToySection)
FIXED = Section("fixed", ToySection, needs_restart=True)
TOYS = Section("toys", dict[str, ToySection], _read_names, from_environment=False)
ALL = (TOY, FIXED, TOYS)


def load(folder: Path, text: str, **environ: str) -> Config:
    file = folder / "config.toml"
    file.write_text(text)
    return config_toml.load(ALL, file, environ)


def faults(folder: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **environ)
    return str(caught.value).removeprefix(f"{folder / 'config.toml'}: ").split("\n")


def test_a_plain_section_is_read_without_a_word_of_how(tmp_path: Path) -> None:
    found = TOY.of(load(tmp_path, "[toy]\nis_loud = true\nweight = 2\n"))
    assert_type(found, ToySection)
    assert found == ToySection(is_loud=True, weight=2.0)
    assert TOY.of(load(tmp_path, "")) == TOY.of(Config()) == ToySection()


def test_the_environment_stands_above_the_file_where_the_section_says_so(tmp_path: Path) -> None:
    environ = {"VOXGATE_TOY__WEIGHT": "3", "VOXGATE_TOYS__ANY__WEIGHT": "3"}
    loaded = load(tmp_path, "[toy]\nweight = 2\nis_loud = true\n", **environ)
    assert TOY.of(loaded) == ToySection(is_loud=True, weight=3.0)
    assert TOYS.of(loaded) == {}


def test_a_section_with_rules_reads_itself(tmp_path: Path) -> None:
    loaded = load(tmp_path, "[toys.bear]\nis_loud = true\n")
    assert TOYS.of(loaded) == {f"{tmp_path.name}/bear": ToySection(is_loud=True)}
    assert TOYS.of(Config()) == {}


@each_row(
    ("text", "fault"),
    [
        ("toy = 1", "toy: must be a table, [toy]"),
        ("[toy]\nis_load = true", "toy.is_load: no such key; did you mean is_loud?"),
        ("[toy]\nweight = 0", "toy.weight: must be a weight above 0; got 0"),
        ("[fixe]", "fixe: no such key; did you mean fixed?"),
        ("[toys.1]", "toys.1: must have a name"),
        ("[cache]", "cache: no such key; "),
    ],
)
def test_a_fault_names_the_key_and_what_would_be_right(tmp_path: Path, text: str, fault: str) -> None:
    (line,) = faults(tmp_path, text)
    assert line.startswith(fault)


def test_a_wrong_variable_is_a_fault_of_the_section(tmp_path: Path) -> None:
    assert faults(tmp_path, "", VOXGATE_TOY__WEIGHT="x") == [
        "toy.weight: must be a weight above 0; got 'x'",
    ]


def test_who_lacks_a_key_is_told_of_the_sections_of_features_too(tmp_path: Path) -> None:
    (line,) = faults(tmp_path, "[zzzzzzzz]")
    assert line.endswith("detectors, comparers, marks, runners, toy, fixed, toys")


def test_a_reload_takes_a_section_on_or_names_it(tmp_path: Path) -> None:
    running = load(tmp_path, "")
    read = load(tmp_path, "[toys.bear]\n[fixed]\nweight = 2\n[toy]\nweight = 2\n[server]\ndrain_s = 1\n")
    reload = merge_config(running, read, ALL)
    assert reload.changed == ("server.drain_s", "toy", "toys")
    assert reload.needs_restart == ("fixed",)
    assert (TOY.of(reload.config), FIXED.of(reload.config)) == (TOY.of(read), ToySection())
    assert TOYS.of(reload.config) == TOYS.of(read)
    again = merge_config(reload.config, read, ALL)
    assert (again.changed, again.needs_restart) == ((), ("fixed",))


def test_a_section_reaches_a_worker_as_it_was_read(tmp_path: Path) -> None:
    text = '[toy]\ncolours = ["red", "blue"]\n[fixed]\nweight = 2\n[toys.bear]\nis_loud = true\n'
    loaded = load(tmp_path, text)
    there = config_of_revision(Revision(1, msgspec.msgpack.encode(loaded), 0))
    for section in ALL:
        assert section.of(there) == section.of(loaded)
    assert TOY.of(there).colours == ("red", "blue")
    assert merge_config(loaded, there, ALL)[1:] == ((), ())
