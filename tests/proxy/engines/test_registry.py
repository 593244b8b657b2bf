"""Plugins found in the entry points: each judged alone, and what an engine's section comes to."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.config.sections import EngineSection
from proxy.engines import registry
from proxy.engines.registry import EngineConfigError, HostedEngineSpec, InProcessSpec, Registry
from tests.faults.plugin_folders import IDLE, install
from tests.tables import each_row

REGISTER = """
def voxgate_register():
    return ({plugins},)
"""
OURS = {
    *(
        "elevenlabs",
        "espeak",
        "f5tts",
        "hibari",
        "kokoro",
        "minimax",
        "openai",
        "openai-realtime",
        "openvoice",
        "piper",
        "pocket",
        "rvc",
        "tone",
        "whisper",
    ),
    "xtts",
}

PLUGIN = "Plugin(kind='engine', name='bell', settings=Settings, create=create)"
MARK_WITH_MODEL = (
    "Plugin(kind='mark', name='seal', settings=Settings, create=create, model_format=ModelFormat(files=()))"
)
HOSTED_MARK = "Plugin(kind='mark', name='seal', settings=Settings, create=Hosted('v_seal'))"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """On the path for this test; the modules in it are forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for module in tmp_path.glob("*.py"):
        sys.modules.pop(module.stem, None)


def _loaded(folder: Path, *plugins: str, name: str = "v_bell") -> Registry:
    install(folder, name, IDLE + REGISTER.format(plugins=", ".join(plugins)))
    return registry.load()


def test_the_shipped_plugins_are_found_without_a_fault() -> None:
    found = registry.load()
    assert set(found.plugins("engine")) >= {"espeak", "tone"}
    assert "plain" in found.plugins("front_end")
    assert found.faults == ()


def test_a_third_partys_plugin_is_found_as_ours_are(folder: Path) -> None:
    found = _loaded(folder, PLUGIN)
    assert found.plugins("engine")["bell"].name == "bell"
    assert found.faults == ()


@pytest.mark.parametrize(
    ("plugins", "reason"),
    [
        (["'bell'"], "must give a tuple of Plugin"),
        ([PLUGIN.replace("'engine'", "'engin'")], "no kind of plugin called 'engin'"),
        ([PLUGIN.replace("'engine'", "['engine']")], "no kind of plugin"),
        ([PLUGIN.replace("'bell'", "7")], "must be a text"),
        ([PLUGIN.replace("'bell'", "''")], "must be a text"),
        ([PLUGIN.replace("=Settings", "=dict")], "must be a msgspec struct"),
        ([PLUGIN.replace("=Settings", "=Settings()")], "must be a msgspec struct"),
        ([PLUGIN.replace("create=create", "create=None")], "must be a function or Hosted"),
        ([MARK_WITH_MODEL], "only an engine has a model_format"),
        ([HOSTED_MARK], "since 0.2.0, no mark is Hosted"),
        ([PLUGIN, PLUGIN], "another plugin already gives the engine 'bell'"),
        ([PLUGIN.replace("'bell'", "'tone'")], "another plugin already gives the engine 'tone'"),
    ],
)
def test_an_answer_that_is_nonsense_is_a_fault_of_that_plugin_alone(
    folder: Path, plugins: list[str], reason: str
) -> None:
    found = _loaded(folder, *plugins)
    (fault,) = found.faults
    assert (fault.name, fault.stage) == ("v_bell", "answer")
    assert reason in fault.reason
    assert set(found.plugins("engine")) == OURS


def test_a_reason_is_one_line(folder: Path) -> None:
    install(folder, "v_talks", "raise RuntimeError('it is torn\\nand here is a long story')")
    (fault,) = registry.load().faults
    assert fault == ("v_talks", "import", "RuntimeError: it is torn")


def test_an_entry_point_that_bears_a_taken_name_does_not_take_anything_away(folder: Path) -> None:
    install(folder, "v_other", IDLE + REGISTER.format(plugins=PLUGIN))
    (folder / "v_other-1.0.dist-info" / "entry_points.txt").write_text("[voxgate]\ntone = v_other\n")
    found = registry.load()
    assert len(found.faults) == 1
    assert found.faults[0].name == "tone"
    assert "espeak" in found.plugins("engine")
    assert len({"tone", "bell"} & set(found.plugins("engine"))) == 1


def test_a_section_gives_a_host_or_an_engine_in_the_server() -> None:
    found = registry.load()
    hosted = found.engine("mine", EngineSection("tone", settings={"slots": 2}), "")
    assert isinstance(hosted, HostedEngineSpec)
    assert (hosted.name, hosted.module) == ("mine", "plugins.tone.worker")
    inside = found.engine("mine", EngineSection("tone", hosted=False), "")
    assert isinstance(inside, InProcessSpec)


@each_row(
    ("section", "message"),
    [
        (EngineSection("tune"), "no plugin called tune is installed; did you mean tone?"),
        (EngineSection("zzz"), f"known: {', '.join(sorted(OURS))}"),
        (EngineSection("tone", settings={"slots": 0}), "engines.mine.slots: must be"),
        (EngineSection("elevenlabs"), "engines.mine.api_key: it is missing"),
        (EngineSection("minimax", settings={"stream": 1}), "engines.mine.api_key: it is missing; engines"),
        (EngineSection("minimax", settings={"api_key": 5}), "engines.mine.api_key: must be of type str"),
        (EngineSection("tone", settings={"slot": 2}), "engines.mine.slot: no such key; did you mean slots?"),
        (EngineSection("espeak", hosted=False), "engines.mine.hosted: espeak runs only in a host"),
    ],
)
def test_a_section_that_cannot_be_used_says_what_to_mend(section: EngineSection, message: str) -> None:
    with pytest.raises(EngineConfigError) as error:
        registry.load().engine("mine", section, "")
    assert message in str(error.value)


def test_only_an_unknown_key_is_answered_with_all_keys() -> None:
    found = registry.load()
    with pytest.raises(EngineConfigError) as caught:
        found.engine("mine", EngineSection("openai", settings={"preset": "grok"}), "")
    assert str(caught.value).startswith("engines.mine.preset: must be one of openrouter, ")
    assert "base_url" not in str(caught.value)
    with pytest.raises(EngineConfigError, match=r"no such key; known: base_url, .*preset, "):
        found.engine("mine", EngineSection("openai", settings={"zzz": 1}), "")


def test_a_section_of_a_broken_plugin_says_how_that_failed(folder: Path) -> None:
    install(folder, "v_torn", "raise RuntimeError('it is torn')")
    with pytest.raises(EngineConfigError, match=r"v_torn failed at import: RuntimeError: it is torn"):
        registry.load().engine("mine", EngineSection("v_torn"), "")
