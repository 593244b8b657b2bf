"""Each form in which commands ever wrote natural.toml, word by word: it counts as it did, and speaks."""

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from proxy.config import config_toml
from proxy.engines import registry
from proxy.features.models import natural, natural_voices, natural_writer
from proxy.features.models.listing import open_galleries
from tests import server
from tests.faults.plugin_folders import environ
from tests.features.models.conftest import hub
from tests.features.models.test_natural_file import PULL
from tests.features.models.test_offers import gallery, plugins
from tests.plugins.piper import tiny
from tests.plugins.piper.environment import interpreter
from tests.plugins.piper.test_served import put
from tests.proxy.cli.test_main import Run, folder, run
from tests.proxy.config.files import load
from tests.waiting import until

pytestmark = pytest.mark.slow

__all__ = ["folder", "gallery", "hub", "plugins", "run"]

HEAD = """\
# Written by voxgate, and written anew by voxgate voices natural and voxgate models pull. A section or an
# alias of the same name in your own configuration wins. To be without it for good, leave this file empty.
"""
KOKORO = '[engines.kokoro]\nmodel = "kokoro-int8"\n\n'
JOE = '[engines.piper]\nvoices = ["joe"]\naccept_licence = "Blizzard-2013"\n\n'
JEFF = '[engines.piper]\nvoices = ["joe", "jeff"]\naccept_licence = "Blizzard-2013"\n\n'
KRISTIN = '[engines.piper-kristin]\nplugin = "piper"\nvoices = ["kristin"]\n\n'
LARGE = '[engines.kokoro-kokoro]\nplugin = "kokoro"\nmodel = "kokoro"\n\n'
POCKET = '[engines.pocket]\nmodels = ["pocket-en", "pocket-fr"]\n\n'
XTTS = '[engines.xtts]\nmodel = "xtts-v2"\naccept_licence = "CPML"\n\n'
ESPEAK = "espeak/standard"

FORMS = {
    "both that a server begins with": (KOKORO + JOE, ["piper/standard", "kokoro/standard"]),
    "joe alone came": (JOE, ["piper/standard"]),
    "kokoro alone came": (KOKORO, ["kokoro/standard"]),
    "another of the same licence": (KOKORO + JEFF, ["piper/standard", "kokoro/standard"]),
    "another licence": (
        KOKORO + JOE + KRISTIN,
        ["piper/standard", "kokoro/standard", "piper-kristin/standard"],
    ),
    "another model of one": (KOKORO + JOE + LARGE, ["piper/standard", "kokoro-kokoro/standard"]),
    "the engine of the plugin's name is gone": (
        KOKORO + KRISTIN + LARGE,
        ["kokoro/standard", "piper-kristin/standard", "kokoro-kokoro/standard"],
    ),
    "people's own voices": (POCKET, [ESPEAK, "pocket/pocket-en", "pocket/pocket-fr"]),
    "a licence to accept": (JOE + XTTS, ["piper/standard", ESPEAK, "xtts/xtts-v2"]),
    "a model without an alias": (KOKORO, []),
    "all at once": (
        KOKORO + JEFF + KRISTIN + LARGE + POCKET + XTTS,
        ["piper/standard", "piper-kristin/standard", ESPEAK, "pocket/pocket-en", "xtts/xtts-v2"],
    ),
    "none, and why": ("# There are none: no index\n\n", []),
    "none for good": ("", []),
}


def written(sections: str, candidates: list[str]) -> str:
    listed = ", ".join(f'"{each}"' for each in candidates)
    aliases = "".join(f"{alias} = [{listed}]\n" for alias in config_toml.built_in_models())
    return f"{HEAD}\n{sections}" + (f"[models]\n{aliases}" if candidates else "")


def test_each_counts_as_it_did(tmp_path: Path, subtests: pytest.Subtests) -> None:
    (tmp_path / "data").mkdir()
    for name, (sections, candidates) in FORMS.items():
        with subtests.test(name):
            (tmp_path / "data" / natural.FILE).write_text(written(sections, candidates))
            config = load(tmp_path, "[engines.espeak]\n")
            assert config.warnings == ()
            engines = re.findall(r"\[engines\.(.+)\]", sections)
            assert list(config.engines) == [*engines, "espeak"]
            for engine in engines:
                section = config.engines[engine]
                (lines,) = re.findall(rf"\[engines\.{engine}\]\n((?:.+\n)+)", sections)
                said = {"plugin": section.plugin, **section.settings} | (
                    {"model": section.model} if section.model else {}
                )
                said |= {"accept_licence": section.accept_licence} if section.accept_licence else {}
                for line in lines.splitlines():
                    key, _, value = line.partition(" = ")
                    assert str(said.pop(key)).replace("'", '"') == value.strip('"')
                assert said.keys() <= {"plugin"}
            for alias in config_toml.built_in_models():
                assert config.models[alias] == tuple(dict.fromkeys((*candidates, ESPEAK)))


def test_what_is_written_today_counts_too(tmp_path: Path) -> None:
    galleries, built_in = open_galleries(registry.load()), config_toml.built_in_models()
    layer = natural_voices.natural_layer(
        natural.Layer(), natural_voices.first_models(galleries), config_toml.built_in_models()
    )
    for listed in galleries.listed:
        layer, _ = natural_voices.with_speech(layer, listed, built_in)
    (tmp_path / "data").mkdir()
    natural_writer.write_layer(tmp_path / "data", layer)
    config = load(tmp_path, "[engines.espeak]\n")
    assert config.warnings == ()
    assert set(config.natural) == set(layer.sections)
    assert list(config.models["tts-1"]) == layer.models["tts-1"]


def _speaks(live: server.Server, model: str, voice: str = "alloy") -> bool:
    answer = live.speech("The boat is on the lake.", model=model, voice=voice)
    return answer.status_code == 200 and answer.headers["x-voxgate-engine"] == model


def test_lists_of_voices_speak_after_the_upgrade(tmp_path: Path) -> None:
    """The real piper, with tiny voices by the names of those that the galleries have."""
    interpreter()
    config = tmp_path / "config.toml"
    own = "[server]\nfirst_audio_s = 60\n[engines.espeak]\nprocesses = 1\n"
    config.write_text(own)
    basis: dict[str, Any] = {"reading": "text"}
    put(tmp_path, config, "joe", "--basis", "Blizzard-2013", **basis)
    put(tmp_path, config, "kristin", **basis)
    (tmp_path / "data" / natural.FILE).write_text(
        written(JOE + KRISTIN, ["piper/standard", "piper-kristin/standard"])
    )
    with server.running(tmp_path, own) as live:
        for model in ("piper/standard", "piper-kristin/standard"):
            until(partial(_speaks, live, model))
        heard = live.speech(tiny_text := "the boat is on the lake.", model="tts-1", response_format="pcm")
    assert heard.headers["x-voxgate-engine"] == "piper/standard"
    assert tiny.heard(heard.content, 24_000) == f"^{tiny_text}$"


def test_one_model_and_its_licence_speak_after_the_upgrade(
    run: Run, folder: Path, plugins: Path, gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plugin of a third party: the smallest engine that speaks with one imported model."""
    monkeypatch.setenv("BIRDS", "s3cret")
    assert run(*PULL, "--no-use").status == 0
    lines = '[engines.chirp]\nmodel = "bird"\naccept_licence = "CC-BY-NC-4.0"\n\n'
    (folder / "data" / natural.FILE).write_text(written(lines, [ESPEAK, "chirp/bird"]))
    with server.running(folder, "[engines.espeak]\nprocesses = 1\n", environ=environ(plugins)) as live:
        until(lambda: _speaks(live, "chirp/standard", "chirp/tone"))
