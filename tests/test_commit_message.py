"""What a commit has to say, as git's own hook and as scripts/check asks for it."""

import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from scripts.commit_message import ROOT, Commit, faults, folders_of
from tests.tables import each_row

pytestmark = [
    pytest.mark.slow,
    pytest.mark.slow_but(
        "test_a_message_names_its_area_and_says_why", "test_a_raise_without_its_reason_is_refused"
    ),
]
BODY = """Callers that sent two covers got the first one, and paid for both.
Now the second is a 400. A test sends two."""
FOLDERS = folders_of(
    ["proxy/features/jobs/kinds/cut/cut.py", "proxy/http/edge.py", "tests/suite/held.py", "Makefile"]
)


@each_row(
    ("message", "files", "fault"),
    [
        (f"jobs: two covers are refused\n\n{BODY}", ["proxy/features/jobs/a.py"], ""),
        ("tests: a wait has an end", ["tests/a.py"], ""),
        (f"proxy/http, core: a form has one cover\n\n{BODY}", ["proxy/http/edge.py"], ""),
        ("jobs: two covers are refused", ["proxy/features/jobs/a.py"], "so a body says why"),
        (
            "jobs: two covers are refused\n\nSigned-off-by: A <a@b.org>",
            ["policies/a.py"],
            "so a body says why",
        ),
        (
            "jobs: two covers are refused\n\nJobs: two covers are now refused, and refused they are.",
            ["plugins/tone/plugin.py"],
            "little more than the subject's words",
        ),
        ("Two covers are refused", [], "the subject is `area: what is different now`"),
        ("jobs:two covers", [], "the subject is `area: what is different now`"),
        ("jbos, http: two covers", [], "jbos: an area is a room or a feature"),
        ("cut: a file below a feature is no area", [], "cut: an area is a room or a feature"),
        (f"jobs: {'o' * 67}", [], "the subject has 73 letters, and 72 at most"),
        (f"jobs: {'o' * 66}", [], ""),
        ("jobs: two covers are refused.", [], "the subject ends without a full stop"),
        ('Revert "jobs: two covers are refused"', [], "the subject is `area: what is different now`"),
    ],
)
def test_a_message_names_its_area_and_says_why(message: str, files: list[str], fault: str) -> None:
    found = [*faults(Commit(message, tuple(files), (), FOLDERS))]
    assert [fault in each for each in found] == ([True] if fault else []), found


class Repository:
    """A checkout with the hook, installed as `make test` does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def git(self, *words: str, fails: bool = False) -> str:
        command = ("git", "-c", "user.name=a", "-c", "user.email=a@b.org", *words)
        ran = subprocess.run(command, cwd=self.folder, env=_ENVIRON, capture_output=True, text=True)
        assert (ran.returncode != 0) == fails, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def write(self, **files: str) -> None:
        for name, text in files.items():
            file = self.folder / "proxy" / f"{name}.py"
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        self.git("add", "-A")

    def install(self) -> str:
        """Run scripts/install where all packages are there already. Return where git looks for hooks."""
        python = self.folder / ".venv/bin/python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.symlink_to(sys.executable)
        made_from = b"".join(
            (self.folder / name).read_bytes() for name in ("pyproject.toml", "scripts/install")
        )
        (self.folder / ".venv/.test-stamp").write_text(f"{sha256(made_from).hexdigest()}  -\n")
        command = ("scripts/install", sys.executable, ".venv", "test")
        subprocess.run(command, cwd=self.folder, env=_ENVIRON, check=True)
        shutil.rmtree(self.folder / ".venv")
        return self.git("config", "--default", "", "core.hooksPath").strip()

    def check(self) -> list[str]:
        command = (sys.executable, "-m", "scripts.commit_message")
        ran = subprocess.run(command, cwd=self.folder, env=_ENVIRON, capture_output=True, text=True)
        assert (ran.returncode == 1) == bool(ran.stderr)
        return ran.stderr.splitlines()


_ENVIRON = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": "/nonexistent"}


@pytest.fixture
def checkout(tmp_path: Path) -> Repository:
    found = Repository(tmp_path / "checkout")
    for name in (
        "__init__.py",
        "budgets.py",
        "budgets.toml",
        "commit_message.py",
        "install",
        "hooks/commit-msg",
    ):
        (found.folder / "scripts" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "scripts" / name, found.folder / "scripts" / name)
    (found.folder / "pyproject.toml").write_text("")
    (found.folder / "locks").mkdir()
    (found.folder / "locks/serve.txt").write_text("")
    (found.folder / ".gitignore").write_text(".venv\n__pycache__\n")
    found.git("init", "-q", "-b", "main")
    found.git("add", "-A")
    found.git("commit", "-qm", "Without a hook, all is taken.")
    return found


def test_the_hook_refuses_a_commit_in_each_worktree_and_takes_a_merge(
    checkout: Repository, tmp_path: Path
) -> None:
    assert checkout.install() == checkout.install() == "scripts/hooks"
    checkout.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "other"))
    for place in (checkout, Repository(tmp_path / "other")):
        place.write(**{place.folder.name: "ONE = 1\n"})
        assert "so a body says why" in place.git("commit", "-m", "proxy: one", fails=True)
        assert "CONTRIBUTING.md" in place.git("commit", "-m", "proxy: one", fails=True)
        place.git("commit", "-m", "proxy: one", "-m", BODY)
    checkout.git("merge", "other", "-m", "Merge: two lines")
    checkout.write(third="ONE = 1\n")
    checkout.git("commit", "-m", "fixup! proxy: one")
    assert "the subject is `area: what is different now`" in checkout.check()[0]


def test_a_raise_without_its_reason_is_refused(checkout: Repository) -> None:
    checkout.install()
    file = checkout.folder / "scripts/budgets.toml"
    lower = file.read_text().replace("core.lines = ", "core.lines = 1")
    file.write_text(lower)
    said = checkout.git("commit", "-am", "core: more", fails=True)
    assert "no new entry of `raised` explains" in said
    assert checkout.check() == []


def test_check_looks_at_what_the_upstream_lacks(checkout: Repository, tmp_path: Path) -> None:
    checkout.git("clone", "-q", "--bare", str(checkout.folder), str(tmp_path / "upstream"))
    checkout.git("remote", "add", "origin", str(tmp_path / "upstream"))
    checkout.write(one="ONE = 1\n")
    checkout.git("commit", "-qm", "proxy: one")
    (found,) = checkout.check()
    assert found.endswith(
        "the product changes, so a body says why: what was wrong or missing, for whom, how we know"
    )
    checkout.git("push", "-q", "-u", "origin", "main")
    assert checkout.check() == []
    checkout.git("checkout", "-q", "--orphan", "before")
    checkout.git("rm", "-rqf", "scripts")
    checkout.git("commit", "-qm", "A branch that had no hook.")
    checkout.git("checkout", "-q", "main")
    checkout.git("merge", "-q", "--allow-unrelated-histories", "-X", "ours", "before", "-m", "Merge: before")
    assert checkout.check() == []


def test_hooks_that_somebody_has_chosen_stay(checkout: Repository, tmp_path: Path) -> None:
    own = checkout.folder / ".git/hooks/pre-commit"
    own.parent.mkdir(exist_ok=True)
    own.write_text("#!/bin/sh\n")
    assert checkout.install() == ""
    own.unlink()
    checkout.git("config", "core.hooksPath", "mine")
    assert checkout.install() == "mine"
    inside = Repository(tmp_path / "outer" / "inside")
    shutil.copytree(checkout.folder, inside.folder, ignore=shutil.ignore_patterns(".git"))
    checkout.git("init", "-q", str(tmp_path / "outer"))
    assert inside.install() == "", "it is a folder of somebody else's repository"
    shutil.rmtree(tmp_path / "outer" / ".git")
    assert inside.check() == []
