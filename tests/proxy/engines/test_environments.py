"""What an environment is known by: its recipe, whole or not at all, and which one a host would take."""

import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

import proxy
from plugins.kokoro.plugin import HOSTED as KOKORO
from plugins.piper.plugin import HOSTED as PIPER
from proxy.engines.environments import environment_build, environments
from proxy.engines.environments.environments import MANIFEST, EnvironmentRefused, Recipe
from speech_engine import Hosted

HOSTED = Hosted("plugins.tone.worker", packages=("bell>=1",), imports=("bell",))


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "voxgate" / "environments"


def made(root: Path, recipe: Recipe) -> Path:
    """As a build would leave it, with our own Python in it."""
    folder = root / recipe.name
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
    (folder / MANIFEST).write_bytes(msgspec.json.encode(recipe.shared))
    return folder


def test_a_plugin_that_lists_nothing_runs_under_our_own_python() -> None:
    assert environments.interpreter("tone", Hosted("plugins.tone.worker")) == sys.executable
    with pytest.raises(EnvironmentRefused, match="voxgate env build tone"):
        environments.interpreter("tone", Hosted("plugins.tone.worker", bare=("bell==1.0",)))


def test_a_missing_environment_is_refused_with_the_command_that_makes_it() -> None:
    with pytest.raises(EnvironmentRefused, match=r"^run: voxgate env build bell$"):
        environments.interpreter("bell", HOSTED)


def test_a_built_environment_is_found(root: Path) -> None:
    folder = made(root, environments.recipe("bell", HOSTED))
    python = environments.interpreter("bell", HOSTED)
    assert Path(python).is_relative_to(folder)
    assert environments.interpreter("bell", HOSTED) == python


def test_another_installation_builds_nothing_anew_and_runs_its_own_code(root: Path, tmp_path: Path) -> None:
    recipe = environments.recipe("bell", HOSTED)
    folder = made(root, recipe)
    clone = tmp_path / "clone"
    (clone / "v_steeple").mkdir(parents=True)
    (clone / "v_steeple" / "__init__.py").write_text("")
    other = msgspec.structs.replace(recipe, links={"v_steeple": str(clone / "v_steeple")})
    found = environments.find_built(other)
    assert found is not None
    assert found.folder == folder
    for links, module in ((recipe.links, "speech_engine"), (other.links, "v_steeple")):
        python = environments.view(found, links)
        # Found, not imported: its packages are not there.
        code = f"import importlib.util; print(importlib.util.find_spec({module!r}).origin)"
        done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
        assert Path(done.stdout.strip()).resolve().parent == Path(links[module])
    python = environments.view(found, recipe.links)
    lacking = subprocess.run([python, "-I", "-c", "import v_steeple"], capture_output=True, check=False)
    assert lacking.returncode != 0


@pytest.mark.parametrize(
    "changed",
    [
        {"packages": ("bell>=2",)},
        {"bare": ("bell-tower==1.0",)},
        {"constraints": "bell==1.0"},
        {"voxgate": "99.0"},
        {"python": "cpython-99"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_every_part_of_a_recipe_has_a_part_in_its_name(root: Path, changed: dict[str, object]) -> None:
    recipe = environments.recipe("bell", HOSTED)
    other = msgspec.structs.replace(recipe, **changed)
    assert other.name != recipe.name
    made(root, other)
    assert environments.find_built(recipe) is None


def test_an_upgrade_of_voxgate_builds_no_environment_anew() -> None:
    """Else each server would fetch gigabytes again."""
    assert environments.recipe("bell", HOSTED).voxgate == "0.1.0" != proxy.__version__


def test_plugins_with_the_same_packages_share_an_environment(root: Path) -> None:
    bell = environments.recipe("bell", HOSTED)
    folder = made(root, bell)
    chime = environments.recipe("chime", msgspec.structs.replace(HOSTED, imports=("chime",)))
    assert chime.digest == bell.digest
    (found,) = environments.every()
    assert environments.is_current(found, chime)
    assert Path(environments.interpreter("chime", HOSTED)).is_relative_to(folder)
    assert found.plugins == {"chime"}
    assert not environments.were_imports_tried(found, chime)


def test_the_engines_of_onnx_voices_share_one() -> None:
    recipes = [environments.recipe(name, hosted) for name, hosted in (("piper", PIPER), ("kokoro", KOKORO))]
    assert len({recipe.name for recipe in recipes}) == 1
    assert recipes[0].name.startswith("onnxruntime-numpy-piper-tts-")


def test_any_variant_of_torch_serves_and_the_newest_is_taken(root: Path) -> None:
    recipe = environments.recipe("bell", HOSTED)
    folders = [made(root, msgspec.structs.replace(recipe, torch=torch)) for torch in ("cu126", "cpu", "")]
    assert len(set(folders)) == 3
    now = time.time()
    for age, folder in zip((10, 0, 20), folders, strict=True):
        os.utime(folder / MANIFEST, (now - age, now - age))
    found = environments.find_built(recipe)
    assert found is not None
    assert (found.recipe.torch, found.folder) == ("cpu", folders[1])


def test_an_environment_whose_python_has_gone_is_not_taken_but_still_known(root: Path) -> None:
    recipe = environments.recipe("bell", HOSTED)
    python = made(root, recipe) / "bin" / "python"
    python.unlink()
    python.symlink_to("/no/such/python")
    assert environments.find_built(recipe) is None
    assert [found.recipe for found in environments.every()] == [recipe.shared]


def test_a_folder_under_another_name_or_with_another_manifest_is_none(root: Path) -> None:
    recipe = environments.recipe("bell", HOSTED)
    folder = made(root, recipe)
    moved = folder.rename(root / f".building-{folder.name}")
    assert list(environments.every()) == []
    folder = moved.rename(folder)
    (folder / MANIFEST).write_text('{"plugin": "bell"')
    assert list(environments.every()) == []


@pytest.mark.parametrize(
    "package",
    [
        "--index-url=http://evil.test",
        "-r /etc/passwd",
        "-e .",
        "./here",
        "/there",
        "",
        " bell",
        "bell other",
        "bell\n--pre",
        "bell>=1\n-r x",
        "git+https://evil.test/x",
    ],
)
def test_a_text_that_is_no_package_never_reaches_pip(package: str) -> None:
    hosted = msgspec.structs.replace(HOSTED, packages=("bell", package))
    with pytest.raises(EnvironmentRefused, match="is not a package"):
        environments.recipe("bell", hosted)


@pytest.mark.parametrize(
    "package",
    [
        "bell",
        "bell>=1,<2",
        "bell[loud, x] ~= 1.0",
        "b.e-l_l==1",
        "bell @ https://x.test/b.whl",
        "bell; x<'3'",
    ],
)
def test_a_package_is_written_as_pip_reads_it(package: str) -> None:
    hosted = msgspec.structs.replace(HOSTED, packages=(package,))
    assert environments.recipe("bell", hosted).packages[-1] == package


def test_the_host_protocols_packages_come_first_and_in_our_own_versions() -> None:
    first, second, last = environments.recipe("bell", HOSTED).packages
    assert {first.split("<")[0], second.split("<")[0]} == {"grpcio", "msgspec"}
    assert last == "bell>=1"


@pytest.mark.parametrize(
    ("whose", "is_ours"), [("ours", True), ("another's", False), ("one that is gone", True)]
)
def test_an_environment_stays_while_another_installation_uses_it(
    root: Path, tmp_path: Path, whose: str, is_ours: bool
) -> None:
    recipe = environments.recipe("bell", HOSTED)
    other = tmp_path / "elsewhere" / "speech_engine"
    if whose == "another's":
        other.mkdir(parents=True)
    folder = made(root, recipe)
    (found,) = environments.every()
    links = recipe.links if whose == "ours" else {**recipe.links, "speech_engine": str(other)}
    environments.view(found, links)
    environments.note_plugin(found, msgspec.structs.replace(recipe, links=links), tried_imports=())
    assert found.is_ours == is_ours
    gone = environment_build.remove("bell", lambda _found: False)
    assert ([each.folder for each in gone], folder.exists()) == ([folder] if is_ours else [], not is_ours)


def test_unfinished_builds_of_all_its_packages_go_with_a_plugin(root: Path) -> None:
    for hosted in (HOSTED, Hosted("plugins.tone.worker", packages=("bell>=1", "gong"), imports=("bell",))):
        recipe = environments.recipe("bell", hosted)
        made(root, recipe)
        environments.interpreter("bell", hosted)
        (root / f".building-{recipe.name}").mkdir()
    assert len(environment_build.remove("bell", lambda _found: False)) == 2
    assert [*root.glob(".building-*")] == []


@pytest.mark.parametrize("name", ["../../evil", "/etc", "a b", "ümläut", ".", ".."])
def test_no_name_of_a_plugin_leads_out_of_the_folder(root: Path, name: str) -> None:
    folder = made(root, environments.recipe("bell", HOSTED))
    environments.interpreter(name, HOSTED)
    (found,) = environments.every()
    assert found.plugins == {name}
    assert {path for path in root.parent.rglob("*") if path.is_file() and folder not in path.parents} == set()


@pytest.mark.parametrize("package", ["b.e-l_l==1", "b" * 300, "bell @ https://x.test/b.whl", "béll==1"])
def test_the_name_of_a_folder_is_that_of_its_packages(package: str) -> None:
    folder = environments.recipe("x", msgspec.structs.replace(HOSTED, packages=(package,))).name
    assert folder[0] == "b"
    assert folder.isascii()
    assert "/" not in folder
    assert len(folder) < 100


def test_constraints_lie_beside_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "v_chime").mkdir()
    (tmp_path / "v_chime" / "__init__.py").write_text("raise RuntimeError('it was imported')")
    (tmp_path / "v_chime" / "pins.txt").write_text("bell==1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    hosted = Hosted("v_chime.worker", packages=("bell",), constraints="pins.txt")
    recipe = environments.recipe("chime", hosted)
    assert recipe.constraints == "bell==1.0\n"
    assert recipe.links["v_chime"] == str(tmp_path / "v_chime")
    with pytest.raises(EnvironmentRefused, match=r"none\.txt"):
        environments.recipe("chime", msgspec.structs.replace(hosted, constraints="none.txt"))


@pytest.mark.parametrize("module", ["no_such_package.worker", "sys", "-c", "a;b", ""])
def test_a_worker_without_files_is_refused(module: str) -> None:
    with pytest.raises(EnvironmentRefused, match="module"):
        environments.recipe("bell", Hosted(module, packages=("bell",)))
