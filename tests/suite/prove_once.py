"""Tests of engines with torch are long, and are run once for the same code.

A whole run in which all tests of such a file passed notes the digest of what they depend on in the user's
cache: of the engine, its tests, what hosts it and the locks, and of all of the server, unless the file needs
the engine alone. The next whole run leaves the file out until the digest is new. `make soak` runs them all.
"""

import platform
import sys
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest

from tests.clients.environments import cache_folder
from tests.suite.budget import is_whole
from tests.suite.folders import TESTS

ENGINES = ("f5tts", "pocket", "rvc", "xtts")
WITHOUT_SERVER = ("test_in_environment.py", "test_hosted.py")
"""The files whose tests are of an engine alone."""
_NEED_TORCH = (b"from tests.plugins.neural import", b"from tests.plugins import neural", b".kept_host import")


class ProveOnce:
    """Leaves out the files that are proved, and notes those that a run has proved."""

    def __init__(self, notes: Path | None = None) -> None:
        self._notes = notes or cache_folder()
        self._outcomes: defaultdict[str, set[str]] = defaultdict(set)

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", "torch: needs an engine's environment; once for the same code")

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        engines = {path: engine_of(path) for path in {item.path for item in items}}
        for item in items:
            if engines[item.path]:
                item.add_marker("torch")
        if not is_whole(config) or config.option.collectonly:
            return
        proved = {path for path, engine in engines.items() if engine and self.note_of(path, engine).exists()}
        left_out = [item for item in items if item.path in proved]
        items[:] = [item for item in items if item.path not in proved]
        config.hook.pytest_deselected(items=left_out)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._outcomes[report.nodeid.partition("::")[0]].add(report.outcome)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        # In a run of several processes, the first one alone sees all outcomes. One that broke off ran a part.
        is_over = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        if not is_over or not is_whole(session.config) or hasattr(session.config, "workerinput"):
            return
        for path in self.proved():
            note = self.note_of(path, engine_of(path))
            note.parent.mkdir(parents=True, exist_ok=True)
            note.touch()

    def proved(self) -> list[Path]:
        """Return the files of engines of which each test has passed, and none was skipped."""
        passed = [TESTS.parent / name for name, outcomes in self._outcomes.items() if outcomes == {"passed"}]
        return [path for path in passed if engine_of(path)]

    def note_of(self, path: Path, engine: str) -> Path:
        digest = digest_of(engine, with_server=path.name not in WITHOUT_SERVER)
        return self._notes / f"proved-{engine}-{path.stem}-{digest}"


@cache
def engine_of(path: Path) -> str:
    """Return the engine whose environment a file of tests needs, or ""."""
    engine = path.parent.name
    if engine not in ENGINES or path.parent.parent != TESTS / "plugins" or not path.exists():
        return ""
    text = path.read_bytes()
    return engine if any(line in text for line in _NEED_TORCH) else ""


@cache
def digest_of(engine: str, *, with_server: bool) -> str:
    """Return a digest of all that the tests of an engine depend on."""
    patterns = [f"plugins/{engine}/**/*", f"tests/plugins/{engine}/**/*", "tests/plugins/*.py"]
    patterns += ["speech_engine/**/*.py", "locks/*.txt", "pyproject.toml", "proxy/engines/**/*.py"]
    patterns += ["plugins/*/*.py", "fakes/**/*.py", "tests/*.py", "tests/speech_engine/**/*.py"]
    if with_server:
        patterns += ["proxy/**/*", "policies/**/*", "plugins/**/*.py", "tests/features/**/*.py"]
    return _digest(sorted({file for each in patterns for file in TESTS.parent.glob(each)}))


def _digest(files: Iterable[Path]) -> str:
    whole = sha256(f"{sys.version} {platform.machine()}".encode())
    for file in files:
        # What other processes compile meanwhile comes and goes there under many names.
        if "__pycache__" not in file.parts and file.is_file():
            whole.update(str(file.relative_to(TESTS.parent)).encode() + b"\0" + file.read_bytes())
    return whole.hexdigest()[:16]
