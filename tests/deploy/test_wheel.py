"""The wheel: built from what a release takes, it starts in an environment without the source beside it."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from fakes.shop import variables
from proxy.cli.main import is_trial_server, with_dev_key
from proxy.feature_list import load_config
from proxy.features.models import natural
from tests.deploy.test_natural_serve import AWAY, LINE, engine_of, require_index, said
from tests.server import Server, running
from tests.tables import each_row

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
_FETCH_S = 900.0


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the packages here. Its build leaves nothing in the repository."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = [name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]]
    for name in (*packages, "LICENSES"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(built), str(source))
    [made] = built.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, which borrows the packages that it needs from the test's own."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    _pip(f"--python={python}", "install", "--no-deps", "--no-index", "--no-compile", str(wheel))
    [site] = folder.glob("lib/python*/site-packages")
    # A path in a file is added behind the environment's own, and the .pth files there are not read: the
    # source, which the test's environment has by one, is not on the path.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    found = _run([str(python), "-c", "import proxy; print(proxy.__file__)"], cwd=folder)
    assert found.startswith(str(site)), found
    return folder


def test_the_wheel_serves_without_a_configuration_and_prints_a_key(installed: Path, tmp_path: Path) -> None:
    with serving(tmp_path, str(installed / "bin" / "voxgate"), "serve", environ=AWAY) as server:
        assert engine_of(server.speech("Hello.")) == "espeak/standard"
        _first, line = said(server)
        assert (server.data / "dev-key").read_text().strip() == server.key
    assert LINE in line
    assert "the package index cannot be reached" in line


def test_it_writes_a_shop(installed: Path, tmp_path: Path) -> None:
    environ = {**os.environ, **variables(8010, "http://127.0.0.1:8000")}
    command = [str(installed / "bin" / "voxgate"), "init", "shop", "--voices", "plain"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    source = ROOT / "proxy" / "features" / "payments" / "shop.toml"
    assert (tmp_path / "config.toml").read_text() == source.read_text()


def test_it_has_each_part_that_the_source_has(installed: Path) -> None:
    [site] = installed.glob("lib/python*/site-packages")
    kinds = {".py", ".toml", ".sql", ".html", ".css", ".js", ".svg", ".typed"}
    for package in ("proxy", "policies", "speech_engine", "plugins"):
        here = {path.relative_to(ROOT) for path in (ROOT / package).rglob("*") if path.suffix in kinds}
        there = {path.relative_to(site) for path in (site / package).rglob("*") if path.suffix in kinds}
        assert {path for path in here - there if "ruff.toml" not in path.name} == set()


@each_row(
    ("files", "url", "is_trial"),
    [
        ((), "sqlite", True),
        (("data/voxgate.db", "data/dev-key"), "sqlite", True),
        (("data/voxgate.db",), "sqlite", False),
        (("config.toml",), "sqlite", False),
        ((), "postgresql://voxgate@127.0.0.1/voxgate", False),
    ],
)
def test_a_server_that_somebody_set_up_gets_no_voices_and_no_key_unasked(
    files: tuple[str, ...], url: str, is_trial: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOXGATE_STORAGE__URL", url)
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    assert is_trial_server(None) is is_trial


def test_a_public_address_is_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOXGATE_SERVER__PUBLIC_URL", "https://speech.example.org")
    assert not is_trial_server(None)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_only_this_machine_gets_a_key_without_asking(host: str) -> None:
    config = load_config(None, {}, {"host": host})
    assert with_dev_key(config).server.dev_key is (host == "127.0.0.1")


@pytest.mark.soak
def test_an_empty_environment_speaks_naturally(wheel: Path, tmp_path: Path) -> None:
    require_index()
    _run([sys.executable, "-m", "venv", str(tmp_path / "empty")])
    _run([str(tmp_path / "empty" / "bin" / "pip"), "install", "--quiet", str(wheel)])
    with serving(tmp_path, str(tmp_path / "empty" / "bin" / "voxgate"), "serve") as server:
        _speaks_naturally(server)


@pytest.mark.soak
def test_uvx_speaks_naturally(wheel: Path, tmp_path: Path) -> None:
    require_index()
    uvx = str(Path(sys.executable).parent / "uvx")
    with serving(tmp_path, uvx, "--from", str(wheel), "voxgate", "serve") as server:
        _speaks_naturally(server)


def _speaks_naturally(server: Server) -> None:
    answer = server.speech("Hello from the wheel.")
    assert not engine_of(answer).startswith("espeak"), answer.headers
    assert natural.read_layer(server.data, dict, lambda _section, _why: None) is not None


@pytest.fixture(autouse=True)
def _no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [each for each in os.environ if each.startswith("VOXGATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def serving(
    folder: Path, *command: str, environ: dict[str, str] | None = None
) -> AbstractContextManager[Server]:
    """A server in an empty folder, as somebody starts it who has typed nothing else."""
    caches = {"XDG_CACHE_HOME": str(folder / "cache")} if environ is not None else {}
    patient = {"VOXGATE_SERVER__FIRST_AUDIO_S": "100"}
    return running(
        folder,
        None,
        command=(*command, "--port", "0"),
        cwd=folder,
        environ={**patient, **caches, **(environ or {})},
        start_s=_FETCH_S,
    )


def _pip(*arguments: str) -> None:
    _run([sys.executable, "-m", "pip", "--quiet", *arguments])


def _run(command: list[str], cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
