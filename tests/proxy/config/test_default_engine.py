"""`default = true` of an engine: whom the names that clients know speak with."""

from pathlib import Path

from proxy.feature_list import load_config

PIPER = "[engines.piper]\ndefault = true\n"


def models(folder: Path, text: str) -> dict[str, tuple[str, ...]]:
    file = folder / "config.toml"
    file.write_text(text)
    return load_config(file, {}).models


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
