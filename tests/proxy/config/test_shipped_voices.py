"""The thirteen built-in voices are found by how they sound, in the words of espeak's README."""

import re
from pathlib import Path

from policies.matching import match_voices
from policies.routing import Binding, Voice
from proxy.catalogue.catalogue import Catalogue
from proxy.config import config_toml
from proxy.engines import registry
from proxy.engines.engine_list import Engines
from proxy.engines.plugin_instances import names_of_engines
from speech_engine import EngineVoice
from tests.proxy.config.files import load
from tests.tables import each_row

PLACES = '[clusters.gpu]\n[runners.far]\nplugin = "runpod"\n'
ELSEWHERE = 'cluster = "gpu"'
RENTED = 'runner = "far"\nbudget_usd_day = 1'
README = Path(__file__).parents[3] / "plugins/espeak/README.md"


def shipped(folder: Path, text: str = "") -> dict[str, Voice]:
    """Return the voices of a server whose engines have not been up yet."""
    config = load(folder, text)
    names = names_of_engines(registry.load(), config)
    return {voice.id: voice for voice in Catalogue(config, Engines({}, {}, names)).voices()}


@each_row(
    ("described", "best"),
    [
        ("deep male", ["onyx"]),
        ("a man with a low voice", ["cedar", "onyx", "verse"]),
        ("warm woman", ["nova"]),
        ("voz feminina grave", ["sage"]),
        ("high, clear man", ["fable"]),
    ],
)
def test_a_voice_that_sounds_alike_comes_first(tmp_path: Path, described: str, best: list[str]) -> None:
    found = match_voices(described, shipped(tmp_path).values())
    scores = {each.voice.id: each.score for each in found}
    assert {each.voice.id for each in found[: len(best)]} == set(best)
    assert max(scores[name] for name in scores if name not in best) < min(scores[name] for name in best)


def test_their_tags_are_the_words_of_the_readme(tmp_path: Path) -> None:
    rows = re.findall(r"^\| (\w+) \| `(\w+)` \| (.+) \|$", README.read_text(), re.MULTILINE)
    voices = shipped(tmp_path)
    listed = {name: (voice, words) for name, voice, words in rows if name in voices}
    assert listed.keys() == voices.keys() == config_toml.built_in_voices()
    for name, (espeak, words) in listed.items():
        assert voices[name].on("espeak") == Binding("espeak", EngineVoice(espeak))
        assert all(tag in words for tag in voices[name].tags), name
        assert voices[name].tags


@each_row(
    ("name", "section"),
    [
        ("openai", ""),
        ("mine", 'plugin = "openai"'),
        ("realtime", 'plugin = "openai-realtime"'),
        ("azure", 'plugin = "openai"\npreset = "azure"\nbase_url = "https://a.example"\nmodels = ["m"]'),
        ("assemblyai", 'plugin = "openai"\npreset = "assemblyai"'),
        ("piper", ""),
        ("piper", ELSEWHERE),
        ("kokoro", ELSEWHERE),
        ("kokoro", RENTED),
    ],
)
def test_engines_that_know_the_names_need_no_binding(tmp_path: Path, name: str, section: str) -> None:
    voices = shipped(tmp_path, f"{PLACES}[engines.{name}]\n{section}\n[engines.espeak]\n")
    assert len(voices) == 13
    for each in voices.values():
        assert each.on(name) == Binding(name, EngineVoice(each.id))
        assert each.on("espeak") is not None
        # They are true of espeak's voices alone.
        assert not each.tags


@each_row("section", [ELSEWHERE, RENTED])
def test_espeak_on_another_machine_knows_the_names_as_at_home(tmp_path: Path, section: str) -> None:
    assert shipped(tmp_path, f"{PLACES}[engines.espeak]\n{section}\n") == shipped(tmp_path)


@each_row(
    "section",
    ['plugin = "openai"\npreset = "vllm-omni"', 'plugin = "openai"\npreset = "groq"', 'plugin = "tone"', ""],
)
def test_the_plugin_and_not_the_sections_name_says_who_knows_the_names(tmp_path: Path, section: str) -> None:
    voices = shipped(tmp_path, f"[engines.kokoro]\n{section}\n[voices.ana]\nkokoro = 'af_heart'\n")
    assert len(voices) == (1 if section else 14)
    assert voices["ana"].bindings == (Binding("kokoro", EngineVoice("af_heart")),)
