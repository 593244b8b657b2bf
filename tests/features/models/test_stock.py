"""`voxgate models …`: what is imported is whole, checked and found again, with and without a server."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy.diagnosis.doctor import installation
from tests.checkpoints import Called, archive, install_chirp, safetensors, tiny, torch_file, write_rest
from tests.faults.plugin_folders import environ
from tests.proxy.cli.test_main import Run, at_a_terminal, folder, refused, run
from tests.server import VOXGATE
from tests.tables import soak

pytestmark = pytest.mark.slow

__all__ = ["folder", "run"]

IMPORT = ("--engine", "chirp", "--name", "bird", "--licence", "CPML")


@pytest.fixture
def plugins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the plugin that takes models, on the path of this process and of its children."""
    path = folder / "plugins"
    path.mkdir()
    install_chirp(path)
    monkeypatch.syspath_prepend(path)
    monkeypatch.setenv("PYTHONPATH", environ(path)["PYTHONPATH"])
    yield path
    sys.modules.pop("v_chirp", None)


@pytest.fixture
def source(folder: Path, plugins: Path) -> Path:
    made = write_rest(folder / "source")
    torch_file(made / "model.pth", tiny())
    return made


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stored") / "data"


@pytest.fixture
def bird(run: Run, folder: Path, source: Path, stored: Path) -> None:
    """The model is there. It is imported once: an import has a process of its own."""
    if stored.exists():
        shutil.copytree(stored, folder / "data")
    else:
        assert run("models", "import", str(source), *IMPORT).status == 0
        shutil.copytree(folder / "data", stored)


def _config(folder: Path, text: str) -> None:
    (folder / "config.toml").write_text((folder / "config.toml").read_text() + text)


def _models(folder: Path) -> Path:
    return folder / "data" / "models"


def test_an_imported_pickle_is_listed_as_safetensors_with_all_that_is_known(
    run: Run, folder: Path, source: Path
) -> None:
    made = run("models", "import", str(source), *IMPORT, "--json").json
    (row,) = run("models", "list", "--json").json["data"]
    assert row == {key: value for key, value in made.items() if key != "is_new"}
    assert (row["name"], row["plugin"], row["licence"], row["state"]) == ("bird", "chirp", "CPML", "current")
    assert (row["languages"], row["dtype"], row["parameters"]) == (["en", "th"], "F32", 12 + 2 * 16)
    assert row["memory_gb"] == 0.5
    stored = Path(row["folder"])
    assert sorted(file.name for file in stored.iterdir()) == [
        "config.json",
        "manifest.json",
        "model.safetensors",
        "vocab.json",
    ]
    assert stored == _models(folder) / "bird" / row["digest"]
    assert run("models", "verify", "bird", "--json").json["data"][0]["state"] == "whole"


def test_the_same_files_have_the_same_digest_whatever_they_come_as(
    run: Run, folder: Path, source: Path
) -> None:
    first = run("models", "import", str(source), *IMPORT, "--json").json
    again = run("models", "import", str(source / "model.pth"), *IMPORT, "--json").json
    (source / "model.pth").unlink()
    (source / "best_3.pth").write_bytes(safetensors(dict(reversed(tiny().items()))))
    third = run("models", "import", str(source), *IMPORT, "--language", "th", "--json").json
    assert first["digest"] == again["digest"] == third["digest"]
    assert (first["is_new"], again["is_new"], third["languages"]) == (True, False, ["th"])
    assert len(run("models", "list", "--json").json["data"]) == 1


def test_a_second_version_is_used_and_the_first_can_be_removed(
    run: Run, folder: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = run("models", "import", str(source), *IMPORT, "--json").json["digest"]
    torch_file(source / "model.pth", {**tiny(), "more.weight": tiny()["embed.weight"]})
    new = run("models", "import", str(source), *IMPORT, "--json").json["digest"]
    rows = run("models", "list", "--json").json["data"]
    assert {row["digest"]: row["state"] for row in rows} == {old: "stale", new: "current"}
    (gone,) = run("models", "remove", "bird", "--stale", "--json").json["data"]
    assert gone["digest"] == old
    asked = at_a_terminal(run, monkeypatch, "n\n", "models", "remove", "bird")
    assert (asked.status, "Delete the model bird for good?" in asked.err) == (1, True)
    assert run("models", "remove", "bird").status == 0
    assert run("models", "list", "--json").json["data"] == []
    assert sorted(each.name for each in _models(folder).iterdir()) == [".lock"]


def _link(source: Path) -> None:
    (source / "vocab.json").unlink()
    (source / "vocab.json").symlink_to("v")


def _pipe(source: Path) -> None:
    (source / "vocab.json").unlink()
    os.mkfifo(source / "vocab.json")


def _choice(source: Path) -> None:
    (source / "model.pth").rename(source / "best_1.pth")
    (source / "best_2.pth").touch()


def _bomb(source: Path) -> None:
    archive(source / "model.pth", {"model": {}}, {"0": bytes(2**20)}, compression=zipfile.ZIP_DEFLATED)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a vocabulary of another size": (
        lambda source: write_rest(source, words=4),
        "embed.weight has the shape (3, 4); it should be (4, 4)",
    ),
    "absurd numbers": (lambda source: write_rest(source, layers=9999), "model.layers is 9999; it must be"),
    "a missing layer": (lambda source: write_rest(source, layers=3), "has no tensor layer.2.weight"),
    "no JSON": (
        lambda source: (source / "config.json").write_text("{" * 100_000),
        "config.json: it is no JSON",
    ),
    "no configuration": (lambda source: (source / "config.json").unlink(), "its config is missing"),
    "a pickle that runs something": (
        lambda source: archive(source / "model.pth", {"model": Called("posix system", ("true",))}, {}),
        "names posix.system",
    ),
    "a truncated file": (lambda source: os.truncate(source / "model.pth", 900), "cut off or damaged"),
    "a link that leads nowhere": (_link, "vocab.json: it cannot be read: No such file"),
    "a pipe": (_pipe, "vocab.json: it is not a plain file"),
    "a choice": (_choice, "best_1.pth, best_2.pth could all be its weights"),
    "a zip bomb": (_bomb, "compressed"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_used_is_refused_with_a_sentence_and_leaves_nothing(
    run: Run, folder: Path, source: Path, kind: str
) -> None:
    spoil, says = BAD[kind]
    spoil(source)
    message = refused(run("models", "import", str(source), *IMPORT))
    assert says in message
    assert sorted(each.name for each in _models(folder).iterdir()) == [".lock"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--engine", "tone", "--name", "bird", "--licence", "CPML"), "takes no imported model"),
        (("--engine", "chirp", "--name", "../up", "--licence", "CPML"), "--name: '../up' is no name"),
        (("--engine", "chirp", "--name", "bird", "--licence", "\n"), "is no name of a licence"),
        ((*IMPORT, "--language", "Thai language"), "is no language tag"),
        ((*IMPORT, "--language", "yo"), "--language: this model does not speak yo; it speaks en, th"),
    ],
)
def test_wrong_options_are_refused_by_name(
    run: Run, source: Path, options: tuple[str, ...], says: str
) -> None:
    assert says in refused(run("models", "import", str(source), *options))
    assert "there is no such file" in refused(run("models", "import", str(source / "nothing"), *IMPORT))
    assert "no model called 'owl'" in refused(run("models", "remove", "owl"))


def test_a_cache_of_links_is_imported(run: Run, folder: Path, source: Path) -> None:
    plain = run("models", "import", str(source), *IMPORT, "--json").json["digest"]
    cache = folder / "snapshots" / "abc"
    cache.mkdir(parents=True)
    for number, file in enumerate(source.iterdir()):
        (cache / file.name).symlink_to(file.rename(folder / f"blob{number}"))
    for path in (cache, cache / "model.pth"):
        assert run("models", "import", str(path), *IMPORT, "--json").json["digest"] == plain
    row = run("models", "list", "--json").json["data"][0]
    assert not any(file.is_symlink() for file in Path(row["folder"]).iterdir())


def test_a_model_is_imported_for_the_languages_that_are_named(run: Run, source: Path) -> None:
    for named, kept in ((["th-TH"], ["th"]), (["th", "en"], ["en", "th"]), ([], ["en", "th"])):
        options = [part for each in named for part in ("--language", each)]
        assert run("models", "import", str(source), *IMPORT, *options, "--json").json["languages"] == kept


def test_a_model_may_be_called_lock(run: Run, source: Path) -> None:
    options = ("--engine", "chirp", "--name", "lock", "--licence", "MIT")
    assert run("models", "import", str(source), *options).status == 0
    assert run("models", "remove", "lock").status == 0


def test_another_licence_needs_a_word_of_its_own(run: Run, folder: Path, source: Path) -> None:
    first = run("models", "import", str(source), *IMPORT, "--json").json["digest"]
    freed = (*IMPORT[:-1], "Apache-2.0")
    torch_file(source / "model.pth", {**tiny(), "more.weight": tiny()["embed.weight"]})
    says = "--licence: bird is under CPML so far; add --change-licence if Apache-2.0 is right"
    assert says in refused(run("models", "import", str(source), *freed))
    second = run("models", "import", str(source), *freed, "--change-licence", "--json").json["digest"]
    torch_file(source / "model.pth", tiny())
    back = run("models", "import", str(source), *freed)
    assert says in refused(back), "the files of the first version are under its licence"
    rows = run("models", "list", "--json").json["data"]
    assert {row["digest"]: row["licence"] for row in rows} == {first: "CPML", second: "Apache-2.0"}
    assert run("models", "import", str(source), *IMPORT, "--change-licence").status == 0


def test_files_beyond_their_limits_are_refused(run: Run, folder: Path, source: Path) -> None:
    with (source / "notes.txt").open("wb") as notes:
        notes.truncate(16 * 1024 * 1024 + 1)
    assert "it has more than 16,777,216 bytes" in refused(run("models", "import", str(source), *IMPORT))
    (source / "notes.txt").unlink()
    with (source / "model.pth").open("r+b") as weights:
        weights.truncate(64 * 1024 * 1024 + 1)
    assert "67,108,864 are allowed" in refused(run("models", "import", str(source), *IMPORT))
    assert sorted(each.name for each in _models(folder).iterdir()) == [".lock"]


@pytest.mark.usefixtures("bird")
def test_a_model_of_another_engine_is_refused_by_name(run: Run, folder: Path) -> None:
    _config(folder, '[engines.mine]\nplugin = "xtts"\nmodel = "bird"\n')
    checked = run("check")
    assert checked.status == 1
    assert "bird was imported for chirp, not for xtts" in checked.out


@pytest.mark.usefixtures("bird")
def test_a_changed_byte_is_found_and_an_import_mends_it(run: Run, folder: Path, source: Path) -> None:
    (row,) = run("models", "list", "--json").json["data"]
    file = Path(row["folder"]) / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    ran = run("models", "verify", "--json")
    assert ran.status == 1
    assert "has changed since the import" in json.loads(ran.out)["data"][0]["fault"]
    _config(folder, '[engines.chirp]\nmodel = "bird"\n')
    assert "has changed since the import" in run("doctor").out
    assert run("models", "import", str(source), *IMPORT, "--json").json["is_new"] is False
    assert run("models", "verify").status == 0
    assert "has changed" not in run("doctor").out


@pytest.mark.usefixtures("bird")
def test_the_doctor_does_not_wait_for_a_slow_disk(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _config(folder, '[engines.chirp]\nmodel = "bird"\n')
    monkeypatch.setattr(installation, "_READ_S", -1.0)
    assert "bird: too large to be read whole here" in run("doctor").out


@pytest.mark.usefixtures("bird")
def test_a_model_that_the_configuration_names_is_kept_unless_forced(run: Run, folder: Path) -> None:
    _config(folder, '[engines.mine]\nplugin = "chirp"\nmodel = "bird"\n')
    assert "[engines.mine] names 'bird'" in refused(run("models", "remove", "bird"))
    assert run("models", "list", "--json").json["data"][0]["engines"] == ["mine"]
    assert run("models", "remove", "bird", "--force").status == 0
    found = run("check").out
    assert "engines.mine.model: no model called bird has been imported" in found


@pytest.mark.usefixtures("bird")
def test_a_damaged_manifest_is_shown_and_can_be_removed(run: Run) -> None:
    (row,) = run("models", "list", "--json").json["data"]
    manifest = Path(row["folder"]) / "manifest.json"
    manifest.write_text(manifest.read_text().replace("model.safetensors", "../../../secret"))
    assert run("models", "list", "--json").json["data"][0]["state"] == "broken"
    assert run("models", "verify").status == 1
    assert run("models", "remove", "bird").status == 0
    assert run("models", "list", "--json").json["data"] == []


@pytest.mark.parametrize("moment", [".import-*/vocab.json", *soak(".import-*/manifest.json")])
def test_a_kill_in_mid_import_leaves_no_half_model(run: Run, folder: Path, source: Path, moment: str) -> None:
    command = [str(VOXGATE), "models", "import", str(source), *IMPORT]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as importing:
        while not list(_models(folder).glob(moment)) and importing.poll() is None:
            time.sleep(0.001)
        importing.send_signal(signal.SIGKILL)
    assert run("models", "verify").status == 0
    assert run("models", "import", str(source), *IMPORT).status == 0
    assert run("models", "verify", "bird").status == 0
    assert sorted(each.name for each in _models(folder).iterdir()) == [".lock", "bird"]


@pytest.mark.usefixtures("bird")
@pytest.mark.parametrize(
    ("section", "status", "says"),
    [
        ("", 1, "CPML: it forbids paid use of the model and of what it says, and the company that sold"),
        ("", 1, 'before engines.mine.accept_licence = "CPML"'),
        ("", 1, "name what allows it in engines.mine.paid_use_basis"),
        ('accept_licence = "cpml"\n', 0, "name what allows it in engines.mine.paid_use_basis"),
        (
            'accept_licence = "CPML"\npaid_use_basis = "a contract"\n',
            0,
            "paid plans have it by your paid_use_basis",
        ),
    ],
)
def test_check_says_what_the_licence_forbids_and_what_would_allow_it(
    run: Run, folder: Path, section: str, status: int, says: str
) -> None:
    _config(
        folder, f'[engines.mine]\nplugin = "chirp"\nmodel = "bird"\n{section}[plans.sold]\nprice = "$9"\n'
    )
    checked = run("check")
    assert (checked.status, says in checked.out) == (status, True), checked.out
