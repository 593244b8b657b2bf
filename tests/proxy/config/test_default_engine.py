"""`default = true` of an engine: whom the names that clients know speak with."""

from __future__ import annotations

from pathlib import Path

from proxy.config import config_toml

PIPER = "[engines.piper]\ndefault = true\n"
VOICES = 13


def models(folder: Path, text: str) -> dict[str, tuple[str, ...]]:
    file = folder / "config.toml"
    file.write_text(text)
    return config_toml.load(file, {}).models


def test_it_comes_first_in_the_shipped_configuration(tmp_path: Path) -> None:
    shipped = (Path(__file__).parents[3] / "config.toml").read_text()
    found = models(tmp_path, f"{shipped}\n{PIPER}")
    for alias in ("tts-1", "tts-1-hd", "gpt-4o-mini-tts"):
        assert found[alias] == ("piper/standard", "espeak/standard")


def test_alone_it_is_all_that_the_names_mean(tmp_path: Path) -> None:
    assert models(tmp_path, PIPER)["tts-1"] == ("piper/standard",)


def test_an_alias_that_somebody_wrote_stays_as_it_is(tmp_path: Path) -> None:
    text = f'[engines.espeak]\n[engines.tone]\n{PIPER}[models]\n"tts-1" = ["tone/standard"]\n'
    found = models(tmp_path, text)
    assert found["tts-1"] == ("tone/standard",)
    assert found["tts-1-hd"] == ("piper/standard", "espeak/standard")


def test_without_it_an_engine_stands_beside_the_others(tmp_path: Path) -> None:
    found = models(tmp_path, "[engines.espeak]\n[engines.piper]\n")
    assert found["tts-1"] == ("espeak/standard",)


def test_the_thirteen_names_are_bound_to_it(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(PIPER)
    voices = config_toml.load(tmp_path / "config.toml", {}).voices
    bound = {name: voice.bindings["piper"] for name, voice in voices.items() if voice.bindings}
    assert len(bound) == VOICES
    assert all(name == id_ for name, id_ in bound.items())


def test_a_section_of_another_plugin_has_none_of_the_shipped_voices(tmp_path: Path) -> None:
    section = '[engines.kokoro]\nplugin = "openai"\npreset = "kokoro"\n'
    (tmp_path / "config.toml").write_text(f'{section}[voices.ana]\nkokoro = "af_heart"\n')
    voices = config_toml.load(tmp_path / "config.toml", {}).voices
    assert {name: voice.bindings for name, voice in voices.items()} == {"ana": {"kokoro": "af_heart"}}
