"""natural.toml: what of it counts beside a file of the operator's, and that no fault of it stops a start."""

import os
import string
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.config import reload
from proxy.config.config_toml import Config, ConfigError
from proxy.config.defaults import parse_toml
from proxy.diagnosis.config_check import check_config
from proxy.engines import registry
from proxy.feature_list import all_sections
from proxy.features.models import natural, natural_writer
from proxy.features.models.natural import FILE, Layer
from proxy.features.models.natural_file import read_checked as layer_of
from tests.proxy.config.files import load
from tests.tables import each_row

LAYER = """
[engines.piper]
voices = ["joe"]
accept_licence = "Blizzard-2013"
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


@each_row("text", ["", SHIPPED, "[engines.espeak]\n", f"[engines.espeak]\n{COPIES}"])
def test_it_stands_above_what_is_shipped(tmp_path: Path, text: str) -> None:
    config = with_layer(tmp_path, text)
    assert set(config.engines) == {"espeak", "piper", "kokoro"}
    assert config.engines["piper"].accept_licence == "Blizzard-2013"
    assert config.engines["piper"].settings == {"voices": ["joe"]}
    assert config.models["tts-1"] == NATURAL
    assert config.models["tts-1-hd"] == ("kokoro/standard", "espeak/standard")
    assert config.models["gpt-4o-mini-tts"] == PLAIN
    # The names of 2023 are in no file of an older version.
    assert config.models["tts-1-1106"] == NATURAL
    assert config.models["tts-1-hd-1106"] == config.models["tts-1-hd"]
    assert config.natural == ("engines.piper", "engines.kokoro", "models.tts-1", "models.tts-1-hd")
    assert config.voices["alloy"].is_known_name


_OWN = '[engines.up]\nplugin = "tone"\nhosted = false\n[models]\n'


@each_row(
    ("models", "name", "candidates"),
    [
        ("tts-1 = 'up/fine'", "tts-1-1106", ("up/fine",)),
        ("tts-1-hd = ['up/hd', 'up/fine']", "tts-1-hd-1106", ("up/hd", "up/fine")),
        ("gpt-4o-mini-tts = 'up/fine'", "gpt-4o-mini-tts-2025-03-20", ("up/fine",)),
        ("gpt-4o-mini-tts = 'up/fine'", "gpt-4o-mini-tts-2025-12-15", ("up/fine",)),
        ("gpt-4o-mini-transcribe = 'up/ears'", "gpt-4o-mini-transcribe-2025-12-15", ("up/ears",)),
        ("tts-1 = 'up/fine'\ntts-1-1106 = 'up/old'", "tts-1-1106", ("up/old",)),
        ("tts-1-1106 = 'up/old'", "tts-1", None),
        ("tts-1 = 'up/fine'", "tts-1-hd-1106", None),
    ],
)
def test_a_dated_name_that_the_file_lacks_has_the_candidates_of_its_short_name(
    tmp_path: Path, models: str, name: str, candidates: tuple[str, ...] | None
) -> None:
    config = load(tmp_path, _OWN + models)
    assert config.models.get(name) == candidates
    assert name not in config.built_in_models
    # So it is above the layer of natural voices, and above what is shipped.
    layered = with_layer(tmp_path, "[engines.espeak]\n" + _OWN + models)
    assert candidates is None or layered.models[name] == candidates


@each_row(
    ("text", "environ", "slots", "first"),
    [
        ("", {}, None, "piper"),
        ("", {"VOXGATE_ENGINES__PIPER__SLOTS": "5"}, 5, "piper"),
        ("[engines.espeak]\n[engines.piper]\n", {}, None, "piper"),
        ("[engines.espeak]\n[engines.piper]\nslots = 4\n", {}, 4, "piper"),
        (
            "[engines.espeak]\n[engines.piper]\nslots = 4\n",
            {"VOXGATE_ENGINES__PIPER__SLOTS": "5"},
            5,
            "piper",
        ),
        ('[engines.espeak]\n[models]\n"tts-1" = ["kokoro/standard"]\n', {}, None, "kokoro"),
        ('[models]\n"tts-1" = "espeak/other"\n', {}, None, "espeak"),
        ("[engines.espeak]\ndefault = true\n", {}, None, "espeak"),
        ("[engines.tone]\n", {}, None, "piper"),
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


@each_row(
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


@each_row(
    ("text", "hears"),
    [
        ("", None),
        ('[engines.whisper]\nmodel = "whisper-base"\n', ("whisper/base",)),
        ('[engines.whisper]\nmodel = "whisper-tiny-en"\n', ("whisper/tiny-en",)),
        ('[engines.whisper]\nmodel = "mine"\n', ("whisper/mine",)),
        ('[engines.ears]\nplugin = "whisper"\nmodel = "whisper-base"\n', None),
        ("[engines.whisper]\ndefault = true\n", ("whisper/base",)),
        ('[engines.espeak]\n[models]\n"whisper-1" = ["espeak/standard"]\n', ("espeak/standard",)),
    ],
)
def test_openais_names_that_hear_mean_the_model_of_the_engine_whisper(
    tmp_path: Path, text: str, hears: tuple[str, ...] | None
) -> None:
    assert load(tmp_path, text).models.get("whisper-1") == hears


def test_the_first_writer_does_not_overwrite(tmp_path: Path) -> None:
    natural_writer.write_layer_if_absent(tmp_path, Layer(), "There are none: no index")
    assert "# There are none" in (tmp_path / FILE).read_text()
    natural_writer.write_layer(tmp_path, Layer(models={"x": ["espeak/standard"]}))
    natural_writer.write_layer_if_absent(tmp_path, Layer(), "")
    assert layer_of(tmp_path) == Layer(models={"x": ["espeak/standard"]})
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_nothing_of_it_outlives_a_load(tmp_path: Path) -> None:
    with_layer(tmp_path, "", VOXGATE_ENGINES__ESPEAK__PROCESSES="7", VOXGATE_ENGINES__PIPER__SLOTS="7")
    config = with_layer(tmp_path, "")
    assert config.engines["espeak"].processes is None
    assert "slots" not in config.engines["piper"].settings


def test_candidates_of_engines_that_are_not_there_are_passed_over(tmp_path: Path) -> None:
    config = with_layer(
        tmp_path, "[engines.espeak]\n", '[models]\n"tts-1" = ["piper/standard", "espeak/other"]\n'
    )
    assert config.models["tts-1"] == ("espeak/other", "espeak/standard")


def test_it_lies_in_the_data_folder_wherever_that_is(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / FILE).write_text(LAYER)
    assert load(tmp_path, "").natural == ()
    assert load(tmp_path, '[server]\ndata = "elsewhere"\n').models["tts-1"] == NATURAL
    environ = {"VOXGATE_SERVER__DATA": str(tmp_path / "elsewhere")}
    assert load(tmp_path, "", **environ).models["tts-1"] == NATURAL


def test_a_broken_one_is_left_out_whole_and_noted(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for layer in ("[engines", "port = 1\n", "x = " + "[" * 5000, "\0", "engines = 1\n", "[[models]]\n", BOMB):
        with subtests.test(layer[:20]):
            config = with_layer(tmp_path, "[engines.espeak]\n", layer)
            assert (list(config.engines), config.models["tts-1"], config.natural) == (["espeak"], PLAIN, ())
            (remark,) = config.warnings
            assert remark.key == FILE
            (noted,) = [each for each in check_config(config, registry.load()) if each.name == FILE]
            assert (noted.verdict, noted.do) == ("note", "run voxgate voices natural, or delete it")
            with pytest.raises(ConfigError, match=FILE):
                layer_of(tmp_path / "data")


BOMB = f"[engines.piper]\n{'.'.join('a' * 100_000)} = 1\n"
"""A key of so many parts takes 40 GB of tomllib."""
ALIAS, ENGINE = '"tts-1-hd" = ["kokoro/standard"]\n', '[engines.kokoro]\nmodel = "kokoro"\n'
MORE = {
    "another section": ("server", "[server]\nport = 1\n"),
    "a setting of the operator's": ("engines.piper", '[engines.piper]\nvoices = ["joe"]\nslots = 3\n'),
    "no table": ("engines.piper", "[engines]\npiper = 1\n"),
    "a stranger's server": (
        "engines.evil",
        '[engines.evil]\nplugin = "openai"\nbase_url = "http://evil.test"\napi_key = "env:OPENAI_API_KEY"\n',
    ),
    "a provider": ("engines.minimax", "[engines.minimax]\n"),
    "a plugin without a gallery": ("engines.tone", "[engines.tone]\n"),
    "no plugin": ("engines.x", "[engines.x]\nplugin = [1]\n"),
    "a plugin that is not here": ("engines.gone", "[engines.gone]\n"),
    "a plugin by the name of another": (
        "engines.openai",
        '[engines.openai]\nplugin = "piper"\nvoices = ["joe"]\n',
    ),
    "a name in two parts": ("engines.piper-a/b", '[engines."piper-a/b"]\nplugin = "piper"\n'),
    "a secret as the licence": ("engines.piper", '[engines.piper]\naccept_licence = "env:KEY"\n'),
    "a secret as the model": ("engines.piper", '[engines.piper]\nmodel = "file:/etc/passwd"\n'),
    "a secret among the voices": ("engines.piper", '[engines.piper]\nvoices = ["joe", "env:KEY"]\n'),
    "a model by its path": ("engines.piper", '[engines.piper]\nmodel = "../../model"\n'),
    "a folder": ("engines.piper", '[engines.piper]\nmodel_paths = ["/etc"]\n'),
    "the list of another plugin": ("engines.piper", '[engines.piper]\nmodels = ["joe"]\n'),
    "a runner": ("engines.piper", '[engines.piper]\nrunner = "runpod"\n'),
    "no host": ("engines.piper", "[engines.piper]\nhosted = false\n"),
    "first of all": ("engines.piper", "[engines.piper]\ndefault = true\n"),
    "a basis for paid use": ("engines.piper", '[engines.piper]\npaid_use_basis = "mine"\n'),
    "credentials": ("engines.piper", '[engines.piper.credentials.a]\napi_key = "env:KEY"\n'),
    "costs": ("engines.piper", '[engines.piper.costs]\n"*" = { usd = 0, per = "job" }\n'),
    "a date": ("engines.piper", "[engines.piper]\nmodel = 2026-01-01\n"),
    "tables in tables": ("engines.piper", f"[engines.piper]\n{'.'.join('a' * 1500)} = 1\n"),
    "no list": ("models.tts-1", '[models]\n"tts-1" = 1\n'),
    "an empty list": ("models.tts-1", '[models]\n"tts-1" = []\n'),
    "no engine": ("models.tts-1", '[models]\n"tts-1" = ["piper"]\n'),
    "the operator's provider": ("models.tts-1", '[models]\n"tts-1" = ["openai/tts-1"]\n'),
    "a secret as a candidate": ("models.tts-1", '[models]\n"tts-1" = ["env:KEY/x"]\n'),
    "an alias like a model": ("models.openai/tts-1", '[models]\n"openai/tts-1" = ["espeak/standard"]\n'),
    "a secret as an alias": ("models.env:KEY", '[models]\n"env:KEY" = ["espeak/standard"]\n'),
}


def test_a_section_that_no_command_writes_is_left_out_alone_and_named(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    operator = '[engines.espeak]\n[engines.openai]\napi_key = "k"\n'
    (tmp_path / "data").mkdir()
    for name, (section, lines) in MORE.items():
        with subtests.test(name):
            models = "" if "[models]" in lines else "[models]\n"
            text = f"{lines}{models}{ALIAS}{ENGINE}"
            config = with_layer(tmp_path, operator, text)
            assert list(config.engines) == ["kokoro", "espeak", "openai"]
            assert config.models["tts-1"] == PLAIN
            assert config.models["tts-1-hd"] == ("kokoro/standard", "espeak/standard")
            assert {remark.key for remark in config.warnings} == {FILE}
            found = [each for each in check_config(config, registry.load()) if each.name == FILE]
            assert {each.verdict for each in found} == {"note"}
            assert f"{section} is left out" in " ".join(each.found for each in found)


def test_of_an_alias_the_candidates_of_strangers_alone_are_left_out(tmp_path: Path) -> None:
    lines = '[engines.kokoro]\nmodel = "kokoro"\n[models]\n"tts-1" = ["openai/x", "kokoro/standard"]\n'
    config = with_layer(tmp_path, '[engines.espeak]\n[engines.openai]\napi_key = "k"\n', lines)
    assert config.models["tts-1"] == ("kokoro/standard", "espeak/standard")
    (remark,) = config.warnings
    assert "models.tts-1 is left out" in remark.text
    assert "openai/x" in remark.text


def test_an_operators_engine_of_the_same_name_that_works_elsewhere_gets_no_alias(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    runner = '[engines.piper]\nrunner = "pods"\nbudget_usd_day = 5\n[runners.pods]\nplugin = "runpod"\n'
    for name, text, environ in (
        ("a section", '[engines.espeak]\n[engines.piper]\nplugin = "openai"\napi_key = "k"\n', {}),
        ("a variable", "[engines.espeak]\n", {"VOXGATE_ENGINES__PIPER__PLUGIN": "openai"}),
        ("a built-in engine", '[engines.espeak]\nplugin = "openai"\napi_key = "k"\n[engines.piper]\n', {}),
        ("a runner", f"[engines.espeak]\n{runner}", {}),
    ):
        with subtests.test(name):
            lines = '[engines.piper]\nvoices = ["joe"]\n[models]\n"tts-1" = ["piper/x", "espeak/x"]\n'
            said = with_layer(tmp_path, text, lines, **environ).models["tts-1"]
            assert ("espeak/x" if name == "a built-in engine" else "piper/x") not in said


@each_row(
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
    merged = reload.merge_config(running, with_layer(tmp_path, "[cache]\non = true\n"), all_sections())
    assert merged.changed == ("cache",)
    assert merged.config.models == running.models
    assert merged.config.natural == running.natural
    anew = reload.merge_config(
        load(tmp_path, ""), with_layer(tmp_path, "", '[engines.piper]\nvoices = ["amy"]\n'), all_sections()
    )
    assert "engines" in anew.needs_restart
    edited = with_layer(tmp_path, '[voices.ann]\nespeak = "f1"\n', '[engines.piper]\nvoices = ["bia"]\n')
    waiting = reload.merge_config(running, edited, all_sections())
    assert {"engines", "voices"} <= set(waiting.needs_restart), "it names what waits beside them"
    assert waiting.changed == ()


_TEXTS = st.text(string.printable + "äß\x7f🎈", min_size=1, max_size=20)
_NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,9}", fullmatch=True)
_ENGINES = st.dictionaries(
    _NAMES.map(lambda name: f"piper-{name}"),
    st.builds(
        lambda names, licence: {"plugin": "piper", "voices": names, "accept_licence": licence},
        st.lists(_NAMES, min_size=1),
        _TEXTS.filter(lambda text: not text.startswith(("env:", "file:"))),
    ),
)
_MODELS = st.dictionaries(
    _TEXTS.map(lambda name: f"x{name}".replace("/", "")),
    st.lists(_TEXTS.map(lambda name: f"espeak/x{''.join(name.split())}"), min_size=1),
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=min(50, settings().max_examples)
)
@given(_ENGINES, _MODELS, st.text(string.ascii_letters + "\n.[]", max_size=40))
def test_it_is_read_as_it_was_written(
    tmp_path: Path, engines: dict[str, Any], models: dict[str, list[str]], remark: str
) -> None:
    layer = Layer(engines, models)
    file = natural_writer.write_layer(tmp_path, layer, remark)
    raw = tomllib.loads(file.read_text())
    assert raw.get("engines", {}) == engines
    assert raw.get("models", {}) == models
    assert natural.read_layer(tmp_path, lambda: {"piper": "voices"}, _refuse) == layer
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def _refuse(section: str, why: str) -> None:
    raise AssertionError(f"{section}: {why}")


PARSED = {
    "dots in a text": ("x = '" + "." * 3_000 + "'", True),
    "dots in a long text": ('x = """\n' + "." * 3_000 + '"""', True),
    "dots in a comment": ("x = 1  # " + "." * 3_000, True),
    "addresses in a line": ("x = [" + ", ".join(['"10.0.0.1"'] * 700) + "]", True),
    "a key of many parts": (".".join("a" * 2_100) + " = 1", False),
    "such a key behind a text": ('x = "#"\n' + ".".join("a" * 2_100) + " = 1", False),
    "such a key between texts": ('"".' + ".".join("a" * 2_100) + '."" = 1', False),
}


def test_a_key_of_too_many_parts_is_refused_and_a_text_is_not(subtests: pytest.Subtests) -> None:
    for name, (text, may) in PARSED.items():
        with subtests.test(name):
            if may:
                assert parse_toml(text)
            else:
                with pytest.raises(ValueError, match="dots in a line"):
                    parse_toml(text)


@pytest.mark.clock
def test_a_text_without_end_takes_no_longer_than_its_letters(subtests: pytest.Subtests) -> None:
    for text in ('a = "' + '\\"' * 400_000, '"""' * 300_000, '"' + "\\" * 900_000, "'''" + "y\n" * 400_000):
        with subtests.test(text[:8]):
            began = time.thread_time()
            with pytest.raises(ValueError):
                parse_toml(text)
            assert time.thread_time() - began < 2.0
