"""`voxgate voices own`: from nothing to a voice's sound in two commands, and mirrors that fail."""

from pathlib import Path
from typing import NamedTuple

import pytest

from proxy.engines import registry
from proxy.features.models import own_voices
from proxy.features.models.fetch_note import OWN_NOTE, note_path, read_note
from proxy.features.models.listing import open_galleries
from proxy.features.models.natural_file import read_layer
from proxy.hosts.stored_models import ModelStore
from tests import server, speech_clips
from tests.checkpoints import safetensors, tiny, write_rest
from tests.faults.plugin_folders import environ
from tests.features.models.conftest import hub
from tests.features.models.hub import Hub, Manner
from tests.features.models.test_offers import plugins
from tests.features.models.toys import sha256
from tests.proxy.cli.test_main import Run, folder, refused, run
from tests.proxy.diagnosis.doctor.checks import configured

pytestmark = pytest.mark.slow

__all__ = ["folder", "hub", "plugins", "run"]

TERMS = "Copy no bird that has not agreed."
ENTRY = """
[{name}]
title = "A bird"
languages = {languages}
licence = "MIT"
speaks_samples = true
terms = "{terms}"
terms_page = "https://birds.example/terms"
files = [{files}]
"""


class Mirrors(NamedTuple):
    """A gallery of two models, whose weights have two places at a hub, and a folder with the same files."""

    hub: Hub
    files: Path

    def serve(self, place: str, data: bytes | None = None, manner: Manner | None = None) -> None:
        self.hub.put(f"/{place}/model.safetensors", data or self.weights, manner)

    @property
    def weights(self) -> bytes:
        return (self.files / "model.safetensors").read_bytes()


def lay_gallery(plugins: Path, hub: Hub, source: Path) -> None:
    """Let the plugin chirp have a gallery of two models, which speak and repeat people's own voices."""
    module = plugins / "v_chirp.py"
    text = module.read_text().replace("names_models=True", "names_models=False")
    gallery = 'model_format=FORMAT, gallery=__file__.replace("v_chirp.py", "gallery.toml"))'
    module.write_text(text.replace("model_format=FORMAT)", gallery))
    write_rest(source)
    (source / "model.safetensors").write_bytes(safetensors(tiny()))
    lines = []
    for path in sorted(source.iterdir()):
        data = path.read_bytes()
        urls = [hub.put(f"/{place}/{path.name}", data) for place in ("first", "second")]
        told = f'name = "{path.name}", size = {len(data)}, sha256 = "{sha256(data)}"'
        lines.append(f'{{ {told}, urls = ["{urls[0]}", "{urls[1]}"] }}')
    own = ENTRY.format(name="bird", languages='["th"]', terms=TERMS, files=", ".join(lines))
    converter = ENTRY.format(name="parrot", languages="[]", terms="MIT.", files=", ".join(lines))
    (plugins / "gallery.toml").write_text(own + converter)


@pytest.fixture
def mirrors(plugins: Path, hub: Hub, tmp_path: Path) -> Mirrors:
    lay_gallery(plugins, hub, tmp_path / "source")
    return Mirrors(hub, tmp_path / "source")


def is_whole(run: Run) -> bool:
    return "bird" in [row["name"] for row in run("models", "list", "--json").json["data"]]


def test_one_screen_says_what_comes_and_nothing_comes_before_its_terms(
    run: Run, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = run("voices", "own", "th")
    assert (ran.status, mirrors.hub.asked) == (1, [])
    for told in ("bird: A bird, for chirp", f"terms: {TERMS} (https://birds.example/terms)", "to fetch: "):
        assert told in ran.err
    assert ran.err.endswith("to agree, run: voxgate models pull bird --agree\n")
    monkeypatch.setenv("SUDO_USER", "ana")
    made = run("voices", "own", "th", "--agree")
    assert made.status == 0
    assert made.out.splitlines()[0] == "bird is there."
    assert made.out.splitlines()[-1].startswith("Then: voxgate voices add Ana ana.wav --statement ")
    assert "Restart the server: it then speaks with chirp/standard." in made.out
    (row,) = run("models", "list", "--json").json["data"]
    assert (row["agreement"]["by"], row["engines"]) == ("ana", ["chirp"])
    asked = len(mirrors.hub.asked)
    again = run("voices", "own", "th", "--json")
    assert (again.json["ready"], len(mirrors.hub.asked)) == (["bird"], asked)
    assert "everything of it is there" in again.err


def test_what_is_refused_before_its_fetch_is_told_at_once(
    run: Run, mirrors: Mirrors, plugins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = plugins / "gallery.toml"
    gallery.write_text(gallery.read_text().replace("title =", 'gated = true\ntoken = "env:BIRDS"\ntitle ='))
    # A fetch builds the environment, too, and ends after that.
    monkeypatch.setattr(own_voices, "fetch_models", None)
    ran = run("voices", "own", "th", "--agreed-by", "ana")
    assert "bird is gated, under MIT. " in ran.err
    note = read_note(note_path(configured(tmp_path).data, OWN_NOTE))
    assert note is not None
    assert f"Its terms: {TERMS} (https://birds.example/terms)" in note.fault


def test_without_a_language_it_is_the_servers(
    run: Run, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "pocket-own-en: " in run("voices", "own").err
    monkeypatch.setenv("VOXGATE_SERVER__DEFAULT_LANGUAGE", "th")
    assert "bird: A bird" in run("voices", "own").err
    assert refused(run("voices", "own", "eo")).startswith("no gallery has a model that speaks 'eo'")


def test_any_engine_is_repeated_by_the_converter(
    run: Run, mirrors: Mirrors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_voices, "CONVERTER", "parrot")
    galleries = open_galleries(registry.load())
    names = [each.name for each in own_voices.choose_models(galleries, "th", with_converter=True)]
    assert names == ["bird", "parrot"]
    assert run("voices", "own", "eo", "--any").status == 1, "its terms come first"
    assert run("voices", "own", "eo", "--any", "--agree").status == 0
    layer = read_layer(configured(tmp_path))
    assert (layer.converter, layer.engines) == ("chirp", {"chirp": {"model": "parrot"}})
    assert run("models", "remove", "parrot", "--yes").status == 0
    assert read_layer(configured(tmp_path)).converter == ""


@pytest.mark.parametrize("with_next", [True, False])
@pytest.mark.parametrize("fault", ["HTML", "half a file", "another digest", "gone"])
def test_a_mirror_that_fails_gives_way_to_the_next_and_then_to_a_folder(
    run: Run, mirrors: Mirrors, fault: str, with_next: bool
) -> None:
    whole = mirrors.weights
    manner = {"half a file": Manner(length=len(whole)), "gone": Manner(status=410)}.get(fault)
    data = {
        "HTML": b"<html>Sign in</html>",
        "half a file": whole[: len(whole) // 2],
        "another digest": whole[:-1] + bytes([whole[-1] ^ 1]),
    }.get(fault)
    for place in ("first", "second"):
        mirrors.serve(place, data, manner)
    ran = run("voices", "own", "th", "--agree")
    assert ran.status == 1
    assert "add --from FOLDER or --from https://…" in ran.out
    assert not is_whole(run)
    more: tuple[str, ...] = ("--from", str(mirrors.files))
    if with_next:
        mirrors.serve("second")
        more = ()
    assert run("voices", "own", "th", "--agree", *more).status == 0
    assert is_whole(run)


def test_two_commands_lead_from_no_account_at_a_hub_to_the_voices_sound(
    run: Run, mirrors: Mirrors, folder: Path, plugins: Path
) -> None:
    (folder / "config.toml").write_text("")
    recording = folder / "ana.wav"
    recording.write_bytes(speech_clips.wav())
    assert run("voices", "own", "th", "--agree").status == 0
    assert ModelStore(folder / "data").folder.is_dir()
    with server.running(folder, "", environ=environ(plugins)) as live:
        stated = ("--statement", "Ana agreed.", "--language", "th")
        made = live.cli("voices", "add", "Ana", str(recording), *stated)
        assert "a recording, high quality" in made.stdout
        sound = live.speech("สวัสดี", voice="Ana", model="tts-1")
        assert sound.status_code == 200, sound.text
