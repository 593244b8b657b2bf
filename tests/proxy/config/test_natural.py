"""natural.toml: what of it counts beside a file of the operator's, and that no fault of it stops a start."""

from __future__ import annotations

import os
import string
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.config import natural, reload
from proxy.config.config_toml import Config, ConfigError
from proxy.config.natural import FILE, Layer
from proxy.diagnosis.config_check import check_config
from proxy.engines import registry
from proxy.features.all import all_sections
from tests.proxy.config.files import load

LAYER = """
[engines.piper]
voices = ["joe"]
accept_licence = "Blizzard-2013"
slots = 3
[engines.kokoro]
model = "kokoro"
[models]
"tts-1" = ["piper/standard", "kokoro/standard", "espeak/standard"]
"tts-1-hd" = ["kokoro/standard", "espeak/standard"]
"""
NATURAL = ("piper/standard", "kokoro/standard", "espeak/standard")
PLAIN = ("espeak/standard",)
SHIPPED = (Path(__file__).parents[3] / "config.toml").read_text()
COPIES = '[models]\n"tts-1" = ["espeak/standard"]\n"tts-1-hd" = ["espeak/standard"]\n'


def with_layer(folder: Path, text: str, layer: str = LAYER, **environ: str) -> Config:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / FILE).write_text(layer)
    return load(folder, text, **environ)


def test_without_it_everything_is_as_it_was(tmp_path: Path) -> None:
    config = load(tmp_path, "")
    assert (list(config.engines), config.models["tts-1"], config.natural) == (["espeak"], PLAIN, ())


@pytest.mark.parametrize("text", ["", SHIPPED, "[engines.espeak]\n", f"[engines.espeak]\n{COPIES}"])
def test_it_stands_above_what_is_shipped(tmp_path: Path, text: str) -> None:
    config = with_layer(tmp_path, text)
    assert set(config.engines) == {"espeak", "piper", "kokoro"}
    assert config.engines["piper"].accept_licence == "Blizzard-2013"
    assert config.engines["piper"].settings == {"voices": ["joe"], "slots": 3}
    assert config.models["tts-1"] == NATURAL
    assert config.models["tts-1-hd"] == ("kokoro/standard", "espeak/standard")
    assert config.models["gpt-4o-mini-tts"] == PLAIN
    assert config.natural == ("engines.piper", "engines.kokoro", "models.tts-1", "models.tts-1-hd")
    assert config.voices["alloy"].is_known_name


@pytest.mark.parametrize(
    ("text", "environ", "slots", "first"),
    [
        ("", {}, 3, "piper"),
        ("", {"VOXGATE_ENGINES__PIPER__SLOTS": "5"}, 5, "piper"),
        ("[engines.espeak]\n[engines.piper]\n", {}, None, "piper"),
        ("[engines.espeak]\n[engines.piper]\nslots = 4\n", {}, 4, "piper"),
        (
            "[engines.espeak]\n[engines.piper]\nslots = 4\n",
            {"VOXGATE_ENGINES__PIPER__SLOTS": "5"},
            5,
            "piper",
        ),
        ('[engines.espeak]\n[models]\n"tts-1" = ["kokoro/standard"]\n', {}, 3, "kokoro"),
        ('[models]\n"tts-1" = "espeak/other"\n', {}, 3, "espeak"),
        ("[engines.espeak]\ndefault = true\n", {}, 3, "espeak"),
        ("[engines.tone]\n", {}, 3, "piper"),
    ],
)
def test_what_the_operator_wrote_wins_section_by_section(
    tmp_path: Path, text: str, environ: dict[str, str], slots: int | None, first: str
) -> None:
    config = with_layer(tmp_path, text, **environ)
    assert config.engines["piper"].settings.get("slots") == slots
    assert config.engines["kokoro"].model == "kokoro"
    assert config.models["tts-1"][0].partition("/")[0] == first
    # An own section has nothing of the layer's.
    is_own = "[engines.piper]" in text
    assert config.engines["piper"].accept_licence == ("" if is_own else "Blizzard-2013")
    assert ("engines.piper" in config.natural) == (not is_own)


@pytest.mark.parametrize(
    ("text", "is_built_in"),
    [
        ("", True),
        (SHIPPED, True),
        (f"[engines.espeak]\n{COPIES}", True),
        ('[engines.espeak]\n[models]\n"tts-1" = ["espeak/standard", "kokoro/standard"]\n', False),
        ("[engines.espeak]\ndefault = true\n", False),
    ],
)
def test_a_list_that_no_operator_wrote_is_known_as_such(tmp_path: Path, text: str, is_built_in: bool) -> None:
    config = with_layer(tmp_path, text)
    assert ("tts-1" in config.built_in_models) is is_built_in
    assert load(tmp_path, "").built_in_models == config.models.keys()


def test_what_is_built_in_follows_what_it_adds(tmp_path: Path) -> None:
    config = with_layer(tmp_path, "", '[engines.kokoro]\n[models]\n"tts-1" = ["kokoro/standard"]\n')
    assert config.models["tts-1"] == ("kokoro/standard", "espeak/standard")
    last = with_layer(tmp_path, "", '[engines.kokoro]\n[models]\n"tts-1" = ["espeak/standard", "kokoro/x"]\n')
    assert last.models["tts-1"] == ("espeak/standard", "kokoro/x")


def test_the_first_writer_does_not_overwrite(tmp_path: Path) -> None:
    natural.write_first(tmp_path, Layer(), "There are none: no index")
    assert "# There are none" in (tmp_path / FILE).read_text()
    natural.write(tmp_path, Layer(models={"x": ["tone/standard"]}))
    natural.write_first(tmp_path, Layer(), "")
    assert natural.read(tmp_path) == Layer(models={"x": ["tone/standard"]})
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_nothing_of_it_outlives_a_load(tmp_path: Path) -> None:
    with_layer(tmp_path, "", VOXGATE_ENGINES__ESPEAK__PROCESSES="7", VOXGATE_ENGINES__PIPER__SLOTS="7")
    config = with_layer(tmp_path, "")
    assert config.engines["espeak"].processes is None
    assert config.engines["piper"].settings["slots"] == 3


def test_candidates_of_engines_that_are_not_there_are_passed_over(tmp_path: Path) -> None:
    config = with_layer(
        tmp_path, "[engines.tone]\n", '[models]\n"tts-1" = ["piper/standard", "tone/standard"]\n'
    )
    assert config.models["tts-1"] == ("tone/standard",)


def test_it_lies_in_the_data_folder_wherever_that_is(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / FILE).write_text(LAYER)
    assert load(tmp_path, "").natural == ()
    assert load(tmp_path, '[server]\ndata = "elsewhere"\n').models["tts-1"] == NATURAL
    environ = {"VOXGATE_SERVER__DATA": str(tmp_path / "elsewhere")}
    assert load(tmp_path, "", **environ).models["tts-1"] == NATURAL


@pytest.mark.parametrize(
    "layer",
    [
        "[engines",
        "[server]\nport = 1\n",
        "[engines]\npiper = 1\n",
        '[engines.piper]\nqueue = "x"\n',
        '[engines."a/b"]\n',
        '[models]\n"tts-1" = ["piper"]\n',
        '[models]\n"tts-1" = []\n',
        '[models]\n"tts-1" = 1\n',
        "[engines.piper]\nsince = 2026-01-01\n",
        "[engines.piper]\nshift = { joe = [inf] }\n",
        "x = " + "[" * 5000,
        "\0",
    ],
)
def test_a_broken_one_is_left_out_whole_and_noted(tmp_path: Path, layer: str) -> None:
    config = with_layer(tmp_path, "[engines.espeak]\n", layer)
    assert (list(config.engines), config.models["tts-1"], config.natural) == (["espeak"], PLAIN, ())
    (remark,) = config.warnings
    assert remark.key == FILE
    (noted,) = [each for each in check_config(config, registry.load()) if each.name == FILE]
    assert (noted.verdict, noted.do) == ("note", "run voxgate voices natural, or delete it")
    with pytest.raises(ConfigError, match=FILE):
        natural.read(tmp_path / "data")


@pytest.mark.parametrize(
    "make",
    [
        Path.mkdir,
        lambda path: path.write_bytes(b"\xff\xfe"),
        os.mkfifo,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to(path.with_name("other")),
        lambda path: path.write_text("#" * 1_000_001),
    ],
    ids=["a folder", "no text", "a pipe", "a device", "a link", "too large"],
)
def test_one_that_cannot_be_read_is_left_out(tmp_path: Path, make: Any) -> None:
    (tmp_path / "data").mkdir()
    make(tmp_path / "data" / FILE)
    config = load(tmp_path, "")
    assert [remark.key for remark in config.warnings] == [FILE]


def test_check_says_which_sections_are_its(tmp_path: Path) -> None:
    config = with_layer(tmp_path, "[engines.espeak]\n[engines.piper]\n")
    findings = check_config(config, registry.load())
    (found,) = [each for each in findings if each.name == str(tmp_path / "data" / FILE)]
    assert found.found == "engines.kokoro, models.tts-1, models.tts-1-hd: beneath your own file"


def test_a_reload_keeps_it(tmp_path: Path) -> None:
    running = with_layer(tmp_path, "")
    merged = reload.merge(running, with_layer(tmp_path, "[cache]\non = true\n"), all_sections())
    assert merged.changed == ("cache",)
    assert merged.config.models == running.models
    assert merged.config.natural == running.natural
    anew = reload.merge(
        load(tmp_path, ""), with_layer(tmp_path, "", '[engines.piper]\nvoices = ["amy"]\n'), all_sections()
    )
    assert "engines" in anew.needs_restart
    edited = with_layer(tmp_path, '[voices.ann]\nespeak = "f1"\n', '[engines.piper]\nvoices = ["bia"]\n')
    waiting = reload.merge(running, edited, all_sections())
    assert {"engines", "voices"} <= set(waiting.needs_restart), "it names what waits beside them"
    assert waiting.changed == ()


_NAMES = st.text(string.printable + "äß\x7f🎈", min_size=1, max_size=20)
_PLAIN = st.one_of(
    st.text(string.printable + "äß\x7f🎈", max_size=20),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)
_VALUES = st.recursive(
    _PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
)
_ENGINES = st.dictionaries(
    _NAMES.map(lambda name: name.lower().replace("/", "")).filter(bool),
    st.dictionaries(_NAMES.map(lambda name: f"x{name}"), _VALUES),
)
_MODELS = st.dictionaries(
    _NAMES, st.lists(_NAMES.map(lambda name: f"piper/x{''.join(name.split())}"), min_size=1)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(_ENGINES, _MODELS, st.text(string.ascii_letters + "\n.[]", max_size=40))
def test_it_is_read_as_it_was_written(
    tmp_path: Path, engines: dict[str, Any], models: dict[str, list[str]], remark: str
) -> None:
    layer = Layer(engines, models)
    file = natural.write(tmp_path, layer, remark)
    raw = tomllib.loads(file.read_text())
    assert raw.get("engines", {}) == engines
    assert raw.get("models", {}) == models
    assert natural.read(tmp_path) == layer
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
