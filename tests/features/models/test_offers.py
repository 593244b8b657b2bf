"""`voxgate models search` and `pull`: nothing is fetched before its licence was read, and nothing unasked."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from proxy.commands.command import CommandContext
from proxy.diagnosis.doctor import installation
from proxy.engines import registry
from proxy.features.models import feature as models
from proxy.features.models import first_voices, natural_writer, offers
from proxy.features.models.listing import open_galleries
from proxy.features.models.natural import Layer
from proxy.features.models.natural_voices import fetch_and_build, with_model
from proxy.hosts.stored_models import ModelStore
from tests.checkpoints import install_chirp, safetensors, tiny, write_rest
from tests.faults.plugin_folders import environ
from tests.features.models.conftest import hub
from tests.features.models.hub import Hub, Manner
from tests.features.models.toys import sha256
from tests.proxy.cli.test_main import Run, folder, refused, run
from tests.proxy.diagnosis.doctor.checks import configured, only

pytestmark = pytest.mark.slow

__all__ = ["folder", "hub", "run"]

LICENCE = "MIT"
TERMS = "Copy no bird that has not agreed."


@pytest.fixture
def plugins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A third party's plugin, whose gallery is beside its module."""
    path = folder / "plugins"
    path.mkdir()
    install_chirp(path)
    module = path / "v_chirp.py"
    text = module.read_text().replace(
        "model_format=FORMAT)", 'model_format=FORMAT, gallery=__file__.replace("v_chirp.py", "gallery.toml"))'
    )
    module.write_text(text)
    monkeypatch.syspath_prepend(path)
    monkeypatch.setenv("PYTHONPATH", environ(path)["PYTHONPATH"])
    yield path
    sys.modules.pop("v_chirp", None)


@pytest.fixture
def gallery(plugins: Path, hub: Hub, tmp_path: Path) -> Path:
    source = write_rest(tmp_path / "source")
    (source / "model.safetensors").write_bytes(safetensors(tiny()))
    lines = []
    for path in sorted(source.iterdir()):
        url = hub.put(f"/{path.name}", path.read_bytes(), Manner(token="s3cret"))
        digest = sha256(path.read_bytes())
        lines.append(f'{{ name = "{path.name}", sha256 = "{digest}", urls = ["{url}"] }}')
    (plugins / "gallery.toml").write_text(
        '[bird]\ntitle = "A bird"\nlanguages = ["en"]\nlicence = "MIT"\nbasis = "CC-BY-NC-4.0"\n'
        'attribution = "The birds"\ngated = true\ntoken = "env:BIRDS"\nspeaks_samples = true\n'
        f'terms = "{TERMS}"\nterms_page = "https://birds.example/terms"\n'
        f"files = [{', '.join(lines)}]\n"
    )
    return plugins / "gallery.toml"


def test_nothing_is_fetched_before_the_licence_is_accepted(
    run: Run, gallery: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIRDS", "s3cret")
    ran = run("models", "pull", "bird")
    assert (ran.status, ran.out) == (1, "")
    for told in ("licence: MIT", "basis: CC-BY-NC-4.0", "attribution: The birds", "--accept CC-BY-NC-4.0"):
        assert told in ran.err
    assert run("models", "pull", "bird", "--accept", "MIT").status == 1
    assert run("models", "search", "bird", "--json").json["data"][0]["is_pulled"] is False
    assert hub.asked == []


def test_a_pulled_model_is_listed_with_what_it_was_made_of(
    run: Run, gallery: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull = ("models", "pull", "bird", "--accept", "cc-by-nc-4.0", "--agree")
    said = run(*pull).err
    refusal = said.splitlines()[-1]
    assert "bird is gated, under MIT and CC-BY-NC-4.0. " in refusal
    assert f"Its terms: {TERMS} (https://birds.example/terms) " in refusal
    assert "to fetch it, run: BIRDS=… voxgate models pull bird" in refusal
    assert hub.asked == []
    monkeypatch.setenv("BIRDS", "s3cret")
    made = run(*pull, "--json").json
    assert (made["licence"], made["basis"], made["attribution"]) == ("MIT", "CC-BY-NC-4.0", "The birds")
    assert made["is_new"] is True
    asked = len(hub.asked)
    assert run(*pull, "--json").json["is_new"] is False
    assert len(hub.asked) == asked
    assert run(*pull, "--again", "--json").json["is_new"] is False
    assert len(hub.asked) > asked
    assert "CC-BY-NC-4.0" in run("models", "list").out
    (found,) = run("models", "search", "bird", "--json").json["data"]
    assert (found["is_pulled"], found["paid_use"], found["speaks_samples"]) == (True, False, True)


_PULL = ("models", "pull", "bird", "--accept", "CC-BY-NC-4.0")


def _agreement(run: Run) -> dict[str, str]:
    (row,) = run("models", "list", "--json").json["data"]
    manifest = json.loads((Path(row["folder"]) / "manifest.json").read_text())
    assert manifest["agreement"] == row["agreement"]
    return dict(row["agreement"])


def test_nothing_is_fetched_before_somebody_agrees_to_the_terms_and_once_is_enough(
    run: Run, gallery: Path, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIRDS", "s3cret")
    monkeypatch.setenv("SUDO_USER", "ana")
    ran = run(*_PULL)
    assert (ran.status, ran.out, hub.asked) == (1, "", [])
    assert f"terms: {TERMS} (https://birds.example/terms)" in ran.err
    assert ran.err.endswith("to agree, run: BIRDS=… voxgate models pull bird --accept CC-BY-NC-4.0 --agree\n")
    assert run(*_PULL, "--agree").status == 0
    found = _agreement(run)
    assert (found["by"], found["terms"], found["page"]) == ("ana", TERMS, "https://birds.example/terms")
    assert f"bird: ana agreed to its terms on {found['at'][:10]}\n" in run("models", "list").out
    asked = len(hub.asked)
    monkeypatch.setenv("SUDO_USER", "eve")
    for again in ((), ("--agree",)):
        assert run(*_PULL, *again).status == 0
        assert _agreement(run) == found, "what was agreed stays, with its day"
    assert len(hub.asked) == asked
    assert run(*_PULL, "--again").status == 0
    assert _agreement(run) == found
    asked = len(hub.asked)
    # Other terms need another agreement, and no file is fetched for it.
    gallery.write_text(gallery.read_text().replace(TERMS, "Copy no bird."))
    assert "Copy no bird. (https" in run(*_PULL).err
    assert _agreement(run) == found
    assert run(*_PULL, "--agree").status == 0
    assert (_agreement(run)["by"], _agreement(run)["terms"]) == ("eve", "Copy no bird.")
    assert len(hub.asked) == asked
    # It counts for a model of which a file is damaged.
    (row,) = run("models", "list", "--json").json["data"]
    (Path(row["folder"]) / "model.safetensors").unlink()
    assert run(*_PULL).status == 0
    assert _agreement(run)["by"] == "eve"
    assert run("models", "remove", "bird", "--yes", "--force").status == 0
    assert run(*_PULL).status == 1


@pytest.mark.parametrize("agrees", [True, False])
def test_a_terminal_shows_the_terms_and_asks(
    run: Run, gallery: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, agrees: bool
) -> None:
    asked = []

    def confirm(question: str, **_more: object) -> bool:
        asked.append(question)
        return agrees

    monkeypatch.setenv("BIRDS", "s3cret")
    monkeypatch.setattr(offers, "must_ask", lambda is_sure: not is_sure)
    monkeypatch.setattr("typer.confirm", confirm)
    ran = run(*_PULL)
    assert TERMS in ran.err
    assert asked == ["Have you read these terms, and do you agree to them?"]
    assert (ran.status, bool(hub.asked)) == ((0, True) if agrees else (1, False))
    assert run(*_PULL).status == ran.status
    assert len(asked) == (1 if agrees else 2)


def test_the_doctor_tells_who_agreed_and_where_nobody_did(
    run: Run, gallery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured(tmp_path)
    look = dict(models.FEATURE.doctor)["terms"]
    assert list(look(config)) == []
    by_hand = ("models", "import", str(tmp_path / "source"), "--engine", "chirp", "--name", "bird")
    assert run(*by_hand, "--licence", "MIT", "--basis", "CC-BY-NC-4.0").status == 0
    found = only(look(config))
    assert (found.verdict, found.found) == ("note", "bird: nobody has agreed to its terms")
    assert "https://birds.example/terms, and run BIRDS=… voxgate models pull bird" in found.do
    monkeypatch.setenv("BIRDS", "s3cret")
    monkeypatch.setenv("SUDO_USER", "ana")
    assert run(*_PULL, "--agree").status == 0
    found = only(look(config))
    assert (found.verdict, found.found[:20]) == ("ok", "bird: ana agreed on ")


def test_a_start_does_not_fetch_what_needs_a_new_agreement(
    run: Run,
    gallery: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config, loaded = configured(tmp_path), registry.load()
    (bird,) = open_galleries(loaded).search("bird")
    layer = with_model(Layer(), bird)[0]
    config = msgspec.structs.replace(config, natural=layer.sections)
    assert first_voices._find_lost(config, loaded, layer) == []
    # The log and the doctor say what to run instead, which shows the terms.
    Path(config.data).mkdir(exist_ok=True)
    natural_writer.write_layer(Path(config.data), layer)
    context = CommandContext(None, False, lambda _file: config)
    capsys.readouterr()
    assert first_voices.fetch_before_start(context) == ""
    command = "BIRDS=… voxgate models pull bird --accept CC-BY-NC-4.0"
    do = f"to read its terms and fetch it, run: {command}"
    lost = "bird is lost, and with it the agreement to its terms"
    assert capsys.readouterr().err == f"{lost}; {do}\n"
    found = only(dict(models.FEATURE.doctor)["terms"](config))
    assert (found.verdict, found.found, found.do) == ("note", lost, do)
    monkeypatch.setenv("BIRDS", "s3cret")
    assert run(*_PULL, "--agree").status == 0
    (row,) = run("models", "list", "--json").json["data"]
    (Path(row["folder"]) / "model.safetensors").unlink()
    assert first_voices._find_lost(config, loaded, layer) == [bird]


def test_a_model_of_earlier_is_used_without_an_agreement_where_its_environment_is_lost(
    run: Run, gallery: Path, hub: Hub, tmp_path: Path
) -> None:
    by_hand = ("models", "import", str(tmp_path / "source"), "--engine", "chirp", "--name", "bird")
    assert run(*by_hand, "--licence", "MIT", "--basis", "CC-BY-NC-4.0").status == 0
    config, loaded = configured(tmp_path), registry.load()
    (bird,) = open_galleries(loaded).search("bird")
    fetched = fetch_and_build(
        ModelStore(config.data), loaded, [bird], lambda _progress: None, lambda *_done: None
    )
    assert (fetched.ready, fetched.faults, hub.asked) == ([bird], {}, [])


def test_a_broken_gallery_is_told_and_the_others_stay(run: Run, gallery: Path) -> None:
    gallery.write_text("[bird]\nlanguages = 1\n")
    answer = run("models", "search", "--json").json
    assert [fault["plugin"] for fault in answer["faults"]] == ["chirp"]
    assert "bird" in answer["faults"][0]["reason"]
    assert {"joe", "xtts-v2"} <= {row["name"] for row in answer["data"]}
    assert "chirp: " in run("models", "search").out


def test_wrong_options_are_refused_before_anything(run: Run, gallery: Path, hub: Hub) -> None:
    pull = ("models", "pull", "bird", "--accept", "CC-BY-NC-4.0", "--agree")
    for options, says in {
        ("--from", "/nowhere"): "--from: /nowhere is no folder, and no address",
        ("--from", "http://hub.example"): "--from: http://hub.example is not encrypted",
        ("--sha256", "abc"): "--sha256: it is no digest",
        ("--token", "s3cret"): "--token: name it, as env:NAME or file:PATH",
        ("--token", "env:NOBODY"): "--token: ",
    }.items():
        said = run(*pull, *options).err
        assert says in said
        assert "s3cret" not in said
    assert "no gallery has a model called" in refused(run("models", "pull", "nobody"))
    assert hub.asked == []


def test_the_doctor_names_what_is_not_for_sale(
    run: Run, gallery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured(tmp_path)
    assert list(installation.licences(config)) == []
    monkeypatch.setenv("BIRDS", "s3cret")
    assert run("models", "pull", "bird", "--accept", "CC-BY-NC-4.0", "--agree").status == 0
    found = only(installation.licences(config))
    assert (found.verdict, "bird (CC-BY-NC-4.0)" in found.found) == ("note", True)


def test_an_import_by_hand_may_name_a_basis_too(run: Run, gallery: Path, tmp_path: Path) -> None:
    by_hand = ("models", "import", str(tmp_path / "source"), "--engine", "chirp", "--name", "bird")
    made = run(*by_hand, "--licence", "MIT", "--basis", "CPML", "--attribution", "Me", "--json").json
    assert (made["basis"], made["attribution"]) == ("CPML", "Me")
    said = refused(run(*by_hand, "--licence", "MIT"))
    assert "bird is under CPML so far" in said
    manifest = json.loads((Path(made["folder"]) / "manifest.json").read_text())
    assert manifest["basis"] == "CPML"
