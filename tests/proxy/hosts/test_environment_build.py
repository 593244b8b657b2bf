"""Environments really built, from small wheels: tried before they count, alone, and never half used."""

import fcntl
import hashlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from proxy.hosts.environments import environment_build, environments
from proxy.hosts.environments.environment_build import BuildProgress
from proxy.hosts.environments.environments import Environment, EnvironmentRefused, Recipe
from tests.proxy.engines.wheels import only, wheel
from tests.tables import soak

pytestmark = pytest.mark.slow

RECIPE = Recipe(plugin="bell", packages=("v_bell>=1",), imports=("v_bell", "v_tower"))

_BUILD = """
import sys, msgspec
from proxy.hosts.environments import environment_build
from proxy.hosts.environments.environments import Recipe
recipe = msgspec.json.decode(sys.argv[1], type=Recipe)
environment_build.build(recipe, lambda said: print(said, flush=True))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("environments")
    (folder / "wheels").mkdir()
    (folder / "v_tower.py").write_text("import v_bell\n")
    for version in ("1.0", "1.5", "2.0"):
        wheel(folder / "wheels", "v_bell", f"VERSION = {version!r}\n", version)
    wheel(folder / "wheels", "v_spire", "import v_bell\n", needs="v_none")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        for name, value in only(folder / "wheels").items():
            patch.setenv(name, value)
        yield folder


@pytest.fixture(scope="module")
def recipe(place: Path) -> Recipe:
    links = {"v_tower": str(place / "v_tower.py")}
    return msgspec.structs.replace(RECIPE, constraints="v_bell<2\n", links=links)


def _kill_build(recipe: Recipe, step: str) -> None:
    """Build, and be killed as soon as a step begins."""
    command = [sys.executable, "-c", _BUILD, msgspec.json.encode(recipe).decode()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed:
        for line in killed.stdout or ():
            if step in line:
                killed.send_signal(signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    assert environments.find_built(recipe) is None


@pytest.fixture(scope="module")
def built(recipe: Recipe) -> Environment:
    """By the second of two builds: the first was killed while pip was at work."""
    _kill_build(recipe, "installing the packages")
    assert list(environments.every()) == []
    with ThreadPoolExecutor() as builders:
        both = [builders.submit(environment_build.build, recipe, _nobody_hears) for _ in range(2)]
    (one, one_is_new), (other, other_is_new) = (building.result() for building in both)
    assert one == other
    assert sorted([one_is_new, other_is_new]) == [False, True]
    return one


def _nobody_hears(said: BuildProgress) -> None:
    """For builds whose progress is of no interest."""


def _fail(said: BuildProgress) -> None:
    pytest.fail(f"it was tried again: {said}")


def _unfinished() -> list[Path]:
    return list(environments.root().glob(".building*"))


def test_an_environment_has_its_packages_as_they_are_constrained_and_our_code(
    built: Environment, recipe: Recipe
) -> None:
    code = "import v_bell, v_tower; print(v_bell.VERSION, v_bell.__file__)"
    python = environments.view(built, recipe.links)
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    version, file = done.stdout.split()
    assert version == "1.5"
    assert Path(file).resolve().is_relative_to(built.folder)
    here = subprocess.run([sys.executable, "-I", "-c", "import v_bell"], capture_output=True, check=False)
    assert here.returncode != 0


def test_an_environment_is_found_as_it_was_built_and_nothing_else_is_left(
    built: Environment, recipe: Recipe
) -> None:
    assert environments.find_built(recipe) == built
    assert 10_000 < built.size_bytes() < 1_000_000  # a link to our code is not its size
    assert _unfinished() == []


def test_building_it_again_finds_it_there(built: Environment, recipe: Recipe) -> None:
    heard: list[BuildProgress] = []
    assert environment_build.build(recipe, heard.append) == (built, False)
    assert heard == []


def test_a_build_goes_on_where_the_last_one_was_killed(recipe: Recipe, place: Path) -> None:
    changed = {"packages": ("v_peal", "v_chime"), "bare": ("v_toll",), "imports": ("v_peal", "v_chime")}
    wanted = msgspec.structs.replace(recipe, plugin="peal", **changed)
    for name in ("v_peal", "v_chime"):
        wheel(place / "wheels", name, "")
    _kill_build(wanted, "installing packages without what they ask for")
    environment_build.remove("nobody", lambda _found: True)  # returns when its pip has ended too
    # One package is whole, and cannot be had again. Another one is as a pip leaves it that was killed.
    (place / "wheels" / "v_peal-1.0-py3-none-any.whl").unlink()
    (site,) = _unfinished()[0].glob("lib/python*/site-packages")
    (site / "v_chime-1.0.dist-info" / "RECORD").unlink()
    (site / "v_chime.py").write_text("cut sh")
    (site / "v_stray.py").touch()
    wheel(place / "wheels", "v_toll", "")
    heard: list[BuildProgress] = []
    made, is_new = environment_build.build(wanted, heard.append)
    assert is_new
    assert sorted(path.name for path in made.folder.glob("lib/python*/site-packages/*.py")) == [
        "v_chime.py",
        "v_peal.py",
        "v_toll.py",
    ]
    assert {(said.step, said.of_steps) for said in heard} == {(step, 4) for step in range(1, 5)}
    installing = [said for said in heard if said.of_packages]
    # How far it is, is looked at now and then: the second may be there before the first look.
    first, last = [(said.packages, said.of_packages) for said in (installing[0], installing[-1])]
    assert (first in ((1, 2), (2, 2)), last) == (True, (3, 3))
    assert _unfinished() == []


def test_a_bare_package_comes_without_what_it_asks_for(built: Environment, recipe: Recipe) -> None:
    bare = msgspec.structs.replace(recipe, plugin="spire", bare=("v_spire==1.0",), imports=("v_spire",))
    made, is_new = environment_build.build(bare, _nobody_hears)
    assert is_new
    assert environments.find_built(bare) == made
    asked_for = msgspec.structs.replace(recipe, packages=("v_spire",))
    with pytest.raises(EnvironmentRefused, match="No matching distribution found for v_none"):
        environment_build.build(asked_for, _nobody_hears)
    assert environments.find_built(asked_for) is None
    assert _unfinished() == []


def test_a_bare_package_with_a_hash_is_no_other(built: Environment, recipe: Recipe, place: Path) -> None:
    (file,) = (place / "wheels").glob("v_spire-*")
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    for given, is_right in (("0" * 64, False), (sha256, True)):
        package = f"v_spire==1.0 --hash=sha256:{given}"
        bare = msgspec.structs.replace(recipe, plugin="spire", bare=(package,))
        if is_right:
            assert environment_build.build(bare, _nobody_hears)[1]
        else:
            with pytest.raises(EnvironmentRefused, match="THESE PACKAGES DO NOT MATCH THE HASHES"):
                environment_build.build(bare, _nobody_hears)
            assert environments.find_built(bare) is None


@pytest.mark.parametrize(
    ("asked", "cuda", "hip", "found"),
    [
        ("rocm6.4", None, "6.4.43482-0f2d60242", ""),
        ("cu126", None, None, "cpu"),
        *soak(
            ("cpu", None, None, ""),
            ("cu126", "12.6", None, ""),
            ("cpu", "12.6", None, "cu126"),
            ("cu128", "12.6", None, "cu126"),
            ("rocm6.4", "12.6", None, "cu126"),
        ),
    ],
)
def test_another_variant_of_torch_than_was_asked_for_is_refused(
    place: Path, recipe: Recipe, asked: str, cuda: str | None, hip: str | None, found: str
) -> None:
    source = f"class version: cuda, hip = {cuda!r}, {hip!r}\n__version__ = '1.0'\n"
    name = f"torch-{asked}-{found}"
    (place / name).mkdir(exist_ok=True)
    module = place / name / "torch.py"
    module.write_text(source)
    changed = {"plugin": name, "constraints": f"# {name}", "imports": ("torch",)}
    wanted = msgspec.structs.replace(recipe, torch=asked, links={"torch": str(module)}, **changed)
    if not found:
        made, _ = environment_build.build(wanted, _nobody_hears)
        assert made.recipe.torch == asked
        return
    says = f"{asked} of torch was asked for, but the indexes gave {found}"
    with pytest.raises(EnvironmentRefused, match=says):
        environment_build.build(wanted, _nobody_hears)
    assert environments.find_built(wanted) is None


def test_a_build_that_fails_leaves_nothing_that_is_used(recipe: Recipe) -> None:
    """It is complete, and one of its packages brings our own module."""
    changed = {"constraints": "v_bell<1.5", "links": {"v_bell": "v_bell.py"}}
    wanted = msgspec.structs.replace(recipe, **changed)
    with pytest.raises(EnvironmentRefused, match=r"brings a v_bell\.py of its own"):
        environment_build.build(wanted, _nobody_hears)
    assert environments.find_built(wanted) is None
    assert _unfinished() == []


def test_a_plugin_that_shares_an_environment_is_tried_once_in_it(built: Environment, recipe: Recipe) -> None:
    toll = msgspec.structs.replace(recipe, plugin="toll", imports=("v_tower",))
    heard: list[BuildProgress] = []
    assert environment_build.build(toll, heard.append) == (built, False)
    assert [said.what for said in heard][:1] == ["trying the imports"]
    assert built.plugins == {"bell", "toll"}
    assert environment_build.build(toll, _fail) == (built, False)


def test_a_plugin_that_does_not_work_in_a_shared_environment_leaves_it_to_the_others(
    built: Environment, recipe: Recipe
) -> None:
    mute = msgspec.structs.replace(recipe, plugin="mute", imports=("v_bell", "v_none"))
    for _ in range(2):
        with pytest.raises(EnvironmentRefused, match="No module named 'v_none'"):
            environment_build.build(mute, _nobody_hears)
    assert environments.find_built(recipe) == built
    assert "mute" not in built.plugins


@pytest.mark.usefixtures("built")
def test_the_log_is_named_with_its_last_lines(recipe: Recipe) -> None:
    wanted = msgspec.structs.replace(recipe, plugin="mute", imports=("v_one", "v_two"))
    with pytest.raises(EnvironmentRefused) as refused:
        environment_build.build(wanted, _nobody_hears)
    first, *last = str(refused.value).splitlines()
    log = Path(first.split()[-1])
    assert log.parent == environments.root()
    assert log.stat().st_mode & 0o777 == 0o600
    written = [line.strip() for line in log.read_text().splitlines()]
    assert [line.strip() for line in last] == written[-len(last) :]
    assert "No module named 'v_one'" in last[-1]


def test_only_that_plugins_are_removed_and_those_that_are_to_stay_stay(
    built: Environment, recipe: Recipe
) -> None:
    assert environment_build.remove("bells", lambda _found: False) == []
    assert environment_build.remove("bell", lambda _found: True) == []
    assert environments.find_built(recipe) == built
    assert environment_build.remove("bell", lambda _found: False) == [built]
    assert not built.folder.exists()
    assert environments.find_built(recipe) is None
    assert _unfinished() == []


def test_who_waits_for_another_build_can_be_interrupted(place: Path, recipe: Recipe) -> None:
    said: list[BuildProgress] = []

    def interrupt(progress: BuildProgress) -> None:
        said.append(progress)
        if len(said) == 3:
            raise KeyboardInterrupt

    environments.root().mkdir(parents=True, exist_ok=True)
    with (environments.root() / "lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(KeyboardInterrupt):
            environment_build.build(recipe, interrupt)
    assert {each.what for each in said} == {"another build is under way; waiting for it"}
