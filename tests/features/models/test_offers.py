"""`voxgate models search` and `pull`: nothing is fetched before its licence was read, and nothing unasked."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.diagnosis.doctor import installation
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
    pull = ("models", "pull", "bird", "--accept", "cc-by-nc-4.0")
    said = run(*pull).err
    assert "bird is gated: to fetch it, run: BIRDS=… voxgate models pull bird" in said
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


def test_a_broken_gallery_is_told_and_the_others_stay(run: Run, gallery: Path) -> None:
    gallery.write_text("[bird]\nlanguages = 1\n")
    answer = run("models", "search", "--json").json
    assert [fault["plugin"] for fault in answer["faults"]] == ["chirp"]
    assert "bird" in answer["faults"][0]["reason"]
    assert {"joe", "xtts-v2"} <= {row["name"] for row in answer["data"]}
    assert "chirp: " in run("models", "search").out


def test_wrong_options_are_refused_before_anything(run: Run, gallery: Path, hub: Hub) -> None:
    pull = ("models", "pull", "bird", "--accept", "CC-BY-NC-4.0")
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
    assert run("models", "pull", "bird", "--accept", "CC-BY-NC-4.0").status == 0
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
