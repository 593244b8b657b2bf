"""What a pull leaves behind: a server that speaks with the model from its next start, or what to write."""

import shutil
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from proxy.cli import main
from proxy.config.config_toml import Config
from proxy.diagnosis.doctor import installation
from proxy.engines import registry
from proxy.engines.registry import HostedEngineSpec
from proxy.errors import CommandRefused
from proxy.feature_list import load_config
from proxy.features.models import first_voices, natural, natural_file, natural_voices, natural_writer, offers
from proxy.features.models.changes import hold_change_lock
from proxy.features.models.fetch_note import FetchNote, Note, note_path, read_note
from proxy.features.models.listing import Galleries, open_galleries
from proxy.features.models.natural_file import use_model
from proxy.features.models.natural_voices import FetchedModels
from proxy.hosts.stored_models import ModelStore
from tests.features.models.conftest import hub
from tests.features.models.test_offers import gallery, plugins
from tests.features.models.toys import sha256
from tests.plugins.kokoro import tiny as kokoro_tiny
from tests.plugins.piper import tiny
from tests.proxy.cli.test_main import Ran, Run, folder, run
from tests.proxy.engines.wheels import only
from tests.server import TONE
from tests.tables import each_row

pytestmark = pytest.mark.slow

__all__ = ["folder", "gallery", "hub", "plugins", "run"]

PULL = ("models", "pull", "bird", "--accept", "CC-BY-NC-4.0", "--agree")
SECTION = {"model": "bird", "accept_licence": "CC-BY-NC-4.0"}


@pytest.fixture(autouse=True)
def _is_allowed(gallery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIRDS", "s3cret")


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pulled") / "data"


@pytest.fixture
def bird(run: Run, folder: Path, pulled: Path) -> None:
    """The model is there, and nobody uses it. It is pulled once: its import has a process of its own."""
    if pulled.exists():
        shutil.copytree(pulled, folder / "data")
    else:
        assert run(*PULL, "--no-use").status == 0
        shutil.copytree(folder / "data", pulled)


def _loaded(folder: Path) -> Config:
    return load_config(folder / "config.toml", {})


def test_a_server_speaks_with_it_after_a_restart(run: Run, folder: Path) -> None:
    (folder / "config.toml").write_text("[engines.espeak]\n")
    made = run(*PULL)
    assert made.status == 0
    for said in ("natural.toml has these lines now", "[engines.chirp]", 'accept_licence = "CC-BY-NC-4.0"'):
        assert said in made.out
    assert made.out.splitlines()[-1] == "Restart the server: it then speaks with chirp/bird."
    config = _loaded(folder)
    assert config.engines["chirp"].model == "bird"
    assert config.models["tts-1"] == ("espeak/standard", "chirp/bird"), "it speaks with people's own voices"
    spec = registry.load().engine("chirp", config.engines["chirp"], config.data)
    assert isinstance(spec, HostedEngineSpec)
    assert spec.licence == "CC-BY-NC-4.0"
    assert run("check").status == 0


@pytest.mark.usefixtures("bird")
def test_pulled_again_it_changes_nothing(run: Run, folder: Path) -> None:
    first = run(*PULL, "--json").json
    assert (first["is_used"], first["engines"], first["fault"]) == (True, ["chirp"], "")
    before = (folder / "data" / natural.FILE).read_bytes()
    again = run(*PULL, "--json").json
    assert (again["is_used"], again["engines"]) == (False, ["chirp"])
    assert (folder / "data" / natural.FILE).read_bytes() == before
    assert _loaded(folder).models["tts-1"] == ("tone/standard",), "the operator's own"


@pytest.mark.usefixtures("bird")
def test_no_use_leaves_the_configuration_alone(run: Run, folder: Path) -> None:
    said = run(*PULL, "--no-use").out
    assert "these lines in the configuration" in said
    assert '[engines.chirp]\nmodel = "bird"' in said
    assert not (folder / "data" / natural.FILE).exists()


@pytest.mark.usefixtures("bird")
def test_an_operator_with_a_section_of_that_plugin_gets_the_lines_to_write(run: Run, folder: Path) -> None:
    (folder / "config.toml").write_text(f'{TONE}[engines.wren]\nplugin = "chirp"\n')
    said = run(*PULL).out
    assert 'this in [engines.wren]:\nmodel = "bird"' in said
    assert not (folder / "data" / natural.FILE).exists()


@pytest.mark.usefixtures("bird")
def test_what_lies_there_broken_is_written_anew(run: Run, folder: Path) -> None:
    (folder / "data" / natural.FILE).write_text("[[[")
    assert run(*PULL).status == 0
    layer = natural_file.read_checked(folder / "data")
    assert layer is not None
    assert layer.engines == {"chirp": SECTION}


@pytest.mark.usefixtures("bird")
def test_a_removed_model_is_taken_out_without_force(run: Run, folder: Path) -> None:
    run(*PULL)
    assert "chirp" in _loaded(folder).engines
    assert run("models", "remove", "bird").status == 0
    assert natural_file.read_checked(folder / "data") == natural.Layer()
    assert "chirp" not in _loaded(folder).engines
    assert run("check").status == 0


def test_changes_at_the_same_time_are_all_kept(run: Run, folder: Path) -> None:
    config = _loaded(folder)
    bird = open_galleries(registry.load()).listed_model("bird")
    names = [f"bird-{number}" for number in range(8)]
    at_once = threading.Barrier(len(names))

    def use(name: str) -> None:
        at_once.wait()
        assert use_model(config, bird._replace(name=name))

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(use, names))
    layer = natural_file.read_checked(folder / "data")
    assert layer is not None
    assert {section["model"] for section in layer.engines.values()} == set(names)


def test_a_change_waits_for_who_changes_models(run: Run, folder: Path) -> None:
    bird = open_galleries(registry.load()).listed_model("bird")
    with ThreadPoolExecutor(1) as pool:
        with hold_change_lock(ModelStore(folder / "data"), lambda: None):
            changing = pool.submit(use_model, _loaded(folder), bird)
            with pytest.raises(TimeoutError):
                changing.result(0.3)
            assert not (folder / "data" / natural.FILE).exists()
        assert changing.result(10)


@pytest.mark.usefixtures("bird")
def test_the_doctor_has_nothing_to_ask_where_nobody_sells(run: Run, folder: Path) -> None:
    def found() -> str:
        (finding,) = installation.licences(_loaded(folder))
        return finding.verdict

    run(*PULL, "--no-use")
    assert found() == "note"
    run(*PULL)
    assert found() == "ok"
    own = f'{TONE}[engines.chirp]\nmodel = "bird"\naccept_licence = "CC-BY-NC-4.0"\n'
    (folder / "config.toml").write_text(own)
    assert found() == "note"
    (folder / "config.toml").write_text(f'{own}paid_use_basis = "a letter"\n')
    assert found() == "ok"


@pytest.mark.usefixtures("bird")
def test_its_environment_is_built_too_and_a_failure_leaves_the_model(
    run: Run, folder: Path, plugins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The plugin lists a package, and pip has none at all.
    module = plugins / "v_chirp.py"
    listing = 'Hosted("v_chirp_worker", packages=("v_none",))'
    module.write_text(module.read_text().replace('Hosted("v_chirp_worker")', listing))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "wheels").mkdir()
    for name, value in only(tmp_path / "wheels").items():
        monkeypatch.setenv(name, value)
    made = run(*PULL)
    assert made.status == 1
    assert "installing the packages" in made.err
    assert "To try again: voxgate env build chirp" in " ".join(made.out.split())
    assert _loaded(folder).engines["chirp"].model == "bird"
    without = run(*PULL, "--no-build")
    assert (without.status, "step 1" in without.err) == (0, False)


def test_a_plugin_that_the_operator_uses_is_left_alone(run: Run, folder: Path) -> None:
    config = folder / "config.toml"
    config.write_text(f'{config.read_text()}[engines.koko]\nplugin = "kokoro"\nmodel = "mine"\n')
    said = run("voices", "natural").err
    assert "kokoro-voices is left out: your own [engines.koko] decides for kokoro" in said
    assert "so nothing was fetched" in said
    assert run("voices", "natural", "--at-start").err == ""
    assert not (folder / "data" / natural.FILE).exists()


def test_a_check_says_how_an_installed_server_gets_the_voices_of_a_new_one(run: Run, folder: Path) -> None:
    (folder / "config.toml").write_text("[engines.espeak]\n")
    (folder / "data").mkdir(mode=0o700)
    for model, is_former in (("kokoro-int8", True), ("kokoro-voices", False)):
        natural_writer.write_layer(folder / "data", natural.Layer({"kokoro": {"model": model}}))
        said = " ".join(run("check").out.split())
        wanted = "the voices of kokoro-int8 speak no more → run voxgate voices natural"
        assert (wanted in said) is is_former
        assert (
            "hibari would speak English where it is late → run voxgate voices natural" in said
        ) is not is_former


@pytest.mark.parametrize(
    ("prepare", "lines"),
    [
        (
            lambda folder: natural_writer.write_layer(
                folder / "data", natural.Layer(models={"x": ["espeak/standard"]})
            ),
            0,
        ),
        (lambda folder: (folder / "data" / natural.FILE).write_text("[[["), 0),
        (lambda folder: natural_writer.write_layer(folder / "data", natural.Layer()), 1),
        (lambda folder: (folder / "data" / natural.FILE).touch(), 0),
    ],
    ids=["voices", "a broken layer", "a failure before", "for good"],
)
def test_before_a_start_nothing_is_asked_for_twice(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, prepare: Any, lines: int
) -> None:
    (folder / "data").mkdir(mode=0o700)
    prepare(folder)
    monkeypatch.setattr(natural_voices, "fetch_and_build", None)  # it would be a fault to get so far
    ran: Ran = run("voices", "natural", "--at-start")
    assert (ran.status, ran.out, ran.err.count("\n")) == (0, "", lines)


@pytest.fixture
def away(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no index, no npm, and no environment."""
    (tmp_path / "wheels").mkdir()
    for name, value in only(tmp_path / "wheels").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.usefixtures("away")
def test_before_a_start_any_failure_is_a_line_and_is_remembered(run: Run, folder: Path) -> None:
    ran = run("voices", "natural", "--at-start")
    assert ran.status == 0
    begun, failed = ran.err.splitlines()
    assert (
        begun
        == "Natural voices come first; without them: voxgate serve --voices plain (make serve VOICES=plain)"
    )
    assert failed.startswith("No natural voices, so espeak speaks: the package index cannot be reached")
    assert natural_file.read_checked(folder / "data") == natural.Layer()


def test_a_cache_that_cannot_be_written_is_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("no folder can be here")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(natural_voices, "require_index", lambda _listed: None)
    ran = run("voices", "natural", "--at-start")
    (failed,) = [line for line in ran.err.splitlines() if "To fetch them, run" in line]
    assert ran.status == 0
    assert failed.startswith("No natural voices, so espeak speaks: ")


def test_the_voice_that_stands_in_speaks_before_the_others_are_there(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    fetched: list[str] = []
    faults = [*2 * [{"kokoro-voices": "the disk is full"}], {}]

    def have(_store: Any, _loaded: Any, listed: Any, *_more: Any) -> Any:
        fetched.extend(each.name for each in listed)
        return FetchedModels(listed, faults.pop(0))

    monkeypatch.setattr(natural_voices, "require_index", lambda _listed: None)
    monkeypatch.setattr(
        natural_voices, "build_environment", lambda _loaded, plugin, _say: built.append(plugin)
    )
    monkeypatch.setattr(natural_voices, "fetch_and_build", have)
    for _ in range(2):
        ran = run("voices", "natural", "--at-start")
        follow = "Heart speaks English now; 41 voices in 6 languages follow in some minutes.\n"
        assert (ran.status, ran.out, built, fetched) == (0, follow, ["hibari"], [])
        built.clear()
        layer = natural_file.read_checked(folder / "data")
        assert layer is not None
        assert layer.engines == {"kokoro": {"model": "kokoro-voices"}, "hibari": {}}
        assert layer.models["tts-1"] == ["kokoro/standard", "hibari/standard"]
    monkeypatch.setattr(first_voices, "_PAUSES_S", (0.0, 0.0, 0.0))
    ran = run("voices", "natural", "--beside")
    (line,) = ran.err.splitlines()  # what fails again is told once
    assert line.startswith("kokoro-voices could not be fetched: the disk is full. It is tried again")
    assert "To try now, run: " in line
    assert (built, fetched, faults) == ([], ["kokoro-voices"] * 3, []), "what failed is fetched again"
    assert read_note(note_path(str(folder / "data"))) is None, "all is there"


@pytest.mark.usefixtures("away")
def test_pulls_that_all_fail_leave_no_aliases_behind(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(natural_voices, "require_index", lambda _listed: None)
    assert "No natural voices, so espeak speaks" in run("voices", "natural", "--at-start").err
    assert natural_file.read_checked(folder / "data") == natural.Layer()
    assert "To fetch them, run:" in run("voices", "natural", "--at-start").err


@pytest.mark.usefixtures("away")
def test_what_is_gone_is_asked_for_again_at_each_start(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "data").mkdir(mode=0o700)
    layer = natural.Layer({"kokoro": {"model": "kokoro-voices"}}, {"tts-1": ["kokoro/standard"]})
    natural_writer.write_layer(folder / "data", layer)
    monkeypatch.setattr(first_voices, "_PAUSES_S", (0.0,))
    for _ in range(2):
        begun = run("voices", "natural", "--at-start")
        assert (begun.out, begun.err) == ("41 voices in 6 languages follow in some minutes.\n", "")
    (failed,) = run("voices", "natural", "--beside").err.splitlines()
    assert failed.startswith("kokoro-voices could not be fetched: ")
    assert "voices natural" in failed
    assert natural_file.read_checked(folder / "data") == layer
    (folder / "config.toml").write_text(f'{TONE}[engines.kokoro]\nmodel = "own"\n')
    assert run("voices", "natural", "--at-start").err == "", "the operator's own section counts, not this one"


def test_the_start_promises_what_comes_and_a_fault_has_the_models_own_command(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise CommandRefused("no compiler")

    (folder / "data").mkdir(mode=0o700)
    natural_writer.write_layer(
        folder / "data", natural.Layer({"whisper": {"model": "whisper-base"}, "hibari": {}})
    )
    monkeypatch.setattr(natural_voices, "build_environment", refuse)
    begun = run("voices", "natural", "--at-start")
    assert "hibari cannot speak: no compiler" in begun.err
    assert begun.out == "whisper-base will be there in some minutes.\n"
    monkeypatch.setattr(natural_voices, "fetch_and_build", refuse)
    monkeypatch.setattr(first_voices, "_PAUSES_S", (0.0,))
    failed = run("voices", "natural", "--beside").err
    assert failed.endswith("To try now, run: voxgate models pull whisper-base\n")


def test_a_note_is_there_while_something_is_fetched(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = note_path(str(folder / "data"))
    seen: list[Note | None] = []

    def have(_store: Any, _loaded: Any, listed: Any, _build: Any, fetch: Any, *_more: Any) -> FetchedModels:
        for each in listed[0].entry.packages:
            fetch(f"{each.package} {each.version}", each.size, each.size)
        seen.append(read_note(path))
        return FetchedModels(listed, {})

    monkeypatch.setattr(natural_voices, "build_environment", lambda *_: None)
    monkeypatch.setattr(natural_voices, "fetch_and_build", have)
    assert run("voices", "natural").status == 0
    assert [note.plugins for note in seen if note] == [("kokoro",)]
    assert read_note(path) is None
    # It also goes where nothing is left to fetch.
    (folder / "data" / natural.FILE).unlink()
    FetchNote(str(folder / "data"), ()).write_note(fault="It is tried again.")
    run("voices", "natural", "--beside")
    assert read_note(path) is None


def test_the_note_of_a_servers_fetch_ends_with_the_server(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FetchNote(str(folder / "data"), ()).write_note(fault="It is tried again.")
    fetch = subprocess.Popen(("sleep", "100"))
    monkeypatch.setattr(main, "_fetch_voices", lambda *_: ("", fetch))
    monkeypatch.setattr(main, "_run_server", lambda *_: None)
    assert run("serve", "--voices", "natural").status == 0
    assert fetch.poll() == -signal.SIGTERM
    assert read_note(note_path(str(folder / "data"))) is None


def test_a_small_voice_stands_in_for_a_language_that_only_kokoro_speaks(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offers, "build_environment", lambda *_: False)
    source = tiny.voice(folder / "source", "fr_FR-mls-medium", language="fr_FR", espeak_voice="fr")
    digests = [f"--sha256={sha256(path.read_bytes())}" for path in source.parent.iterdir()]
    assert run("models", "pull", "mls-fr", "--from", str(source.parent), "--no-use", *digests).status == 0
    said = run("voices", "natural", "fr", "--quick")
    assert (said.status, "licence: CC-BY-4.0 (paid use is allowed)" in said.err) == (0, True)
    config = _loaded(folder)
    quick = config.engines["piper-quick"]
    assert (quick.plugin, quick.stands_in, quick.settings["voices"]) == ("piper", True, ["mls-fr"])
    assert config.models["tts-1-hd"][0] == "piper-quick/standard"
    # It comes once, and shares its engine with no voice that speaks for itself.
    assert run("voices", "natural", "fr-FR", "--quick").status == 0
    assert _loaded(folder).models == config.models
    assert run("models", "remove", "mls-fr", "--yes", "--force").status == 0
    assert "piper-quick" not in _loaded(folder).engines


@each_row(
    ("asked", "says"),
    [
        (("en", "--quick"), "no voice of piper that may be sold can stand in for 'en'"),
        (("pt", "--quick"), "voxgate models search --language pt"),
        # Kokoro does not speak it, so nothing has to stand in.
        (("de", "--quick"), "can stand in for 'de'"),
        (("--quick",), "--quick needs a LANGUAGE"),
        (("ja",), "no natural model that may be sold speaks 'ja'. See voxgate models search --language ja"),
    ],
)
def test_what_cannot_stand_in_is_refused(run: Run, asked: tuple[str, ...], says: str) -> None:
    ran = run("voices", "natural", *asked)
    assert ran.status != 0
    assert says in " ".join(ran.err.replace("│", " ").split())


def test_a_language_beside_the_first_models_has_a_model_of_its_own(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offers, "build_environment", lambda *_: False)
    monkeypatch.setattr(first_voices, "fetch_natural_voices", lambda _: {"fetched": "the first models"})
    assert open_galleries(registry.load()).natural_voice("fr").name == "kokoro-voices"  # type: ignore[union-attr]
    thai = open_galleries(registry.load()).listed_model("kokoro-thai")
    # A small stand-in of the true form has other digests.
    files = tuple(
        replace(file, sha256="", size=0, members=(), urls=(f"https://hub.test/{file.name}",))
        for file in thai.entry.files
    )
    small = thai._replace(entry=replace(thai.entry, files=files, wheels=(), megabytes=1))
    galleries = Galleries((open_galleries(registry.load()).listed_model("kokoro-voices"), small), ())
    monkeypatch.setattr(offers, "open_galleries", lambda _: galleries)
    source = kokoro_tiny.thai(folder / "source")
    (source / "kokoro-v1.0.onnx").rename(source / "kokoro_thai.onnx")
    (source / "ipa.json").rename(source / "words.json")
    digests = [f"--sha256={sha256(path.read_bytes())}" for path in source.iterdir()]
    pulled = run("models", "pull", "kokoro-thai", "--from", str(source), "--no-use", *digests)
    assert pulled.status == 0, pulled.err
    said = run("voices", "natural", "th-TH")
    assert (said.status, "licence: Apache-2.0 (paid use is allowed)" in said.err) == (0, True)
    config = _loaded(folder)
    engine = config.engines["kokoro-thai"]
    assert (engine.plugin, engine.model, engine.stands_in) == ("kokoro", "kokoro-thai", False)
    assert config.models["tts-1-hd"][0] == "kokoro-thai/standard"
    (folder / "config.toml").write_text("[engines.kokoro]\n")
    assert "your own [engines.kokoro] decides for kokoro" in run("voices", "natural", "th").err


def test_the_operators_own_piper_decides(run: Run, folder: Path) -> None:
    (folder / "config.toml").write_text("[engines.piper]\n")
    assert "your own [engines.piper] decides for piper" in run("voices", "natural", "es", "--quick").err
