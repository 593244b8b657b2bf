"""CONTRIBUTING.md and docs/first-change.md, followed in a copy: the smallest change with its test; a feature
of new files, with one line outside of them and its budget."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.storage import schema
from scripts.commit_message import Commit, faults, folders_of
from tests.docs import pages

pytestmark = pytest.mark.slow

PAGE = pages.ROOT / "docs" / "first-change.md"
_FILE = re.compile(r"`((?:proxy|tests)/\S+\.(?:py|sql))`")
_LINE = '    "tag": (),\n'


def run(folder: Path, *words: str) -> str:
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder), "HOME": str(Path.home())}
    ran = subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    return ran.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the work tree, as a clone of it."""
    listed = subprocess.run(("git", "ls-files"), cwd=pages.ROOT, capture_output=True, text=True, check=True)
    folder = tmp_path / "voxgate"
    for name in filter(lambda each: (pages.ROOT / each).is_file(), listed.stdout.splitlines()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(pages.ROOT / name, folder / name)
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "a clone")):
        run(folder, "git", "-c", "user.name=a", "-c", "user.email=a@example.org", *words)
    return folder


def test_the_smallest_change_is_a_row_that_fails_and_a_word(copy: Path) -> None:
    page = pages.ROOT / "CONTRIBUTING.md"
    row, word = (block.text for block in pages.blocks(page, "diff"))
    test = "tests/policies/test_matching.py"
    pytest_words = (sys.executable, "-m", "pytest", "-n0", "-q", "-p", "no:cacheprovider", test)
    for patch, status in ((row, 1), (word, 0)):
        subprocess.run(("git", "apply", "-"), cwd=copy, input=patch, text=True, check=True)
        ran = subprocess.run(pytest_words, cwd=copy, capture_output=True, text=True)
        assert ran.returncode == status, ran.stdout
    changed = run(copy, "git", "diff", "--name-only").split()
    assert changed == ["policies/descriptions.py", test]
    message = "\n".join(
        line[4:]
        for line in re.findall(r"The commit says why:\n\n((?:(?:    .*)?\n)+)", page.read_text())[
            0
        ].splitlines()
    )
    assert message.startswith("policies: ")
    assert not [*faults(Commit(message, tuple(changed), (), folders_of(changed)))]


def write_feature(folder: Path) -> list[str]:
    """Write each block into the file that the sentence before it names. Return the files."""
    text, written = PAGE.read_text(), []
    for block in (*pages.blocks(PAGE, "python"), *pages.blocks(PAGE, "sql")):
        before = text.partition(block.text)[0].rpartition("```")[0].rpartition("```")[2]
        named = _FILE.findall(before)
        name = named[-1].replace("NNNN", f"{schema.known_version() + 1:04}")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(block.text)
        written.append(name)
    (folder / "tests/features/tag/__init__.py").touch()
    return written


def test_the_page_makes_a_feature_with_one_line_outside(copy: Path) -> None:
    written = write_feature(copy)
    assert len(written) == 7
    listing = copy / "proxy" / "feature_list.py"
    listing.write_text(listing.read_text().replace('    "sockets": (),\n', f'    "sockets": (),\n{_LINE}'))
    assert run(copy, "git", "diff", "--numstat") == "1\t0\tproxy/feature_list.py\n"
    budget = [line[4:] for line in PAGE.read_text().splitlines() if line.startswith('    "features/tag".')]
    with (copy / "scripts/budgets.toml").open("a") as file:
        file.writelines(f"{line}\n" for line in budget)
    sizes = run(copy, sys.executable, "-m", "scripts.scatter", "--sizes")
    lines, most = map(int, re.findall(r"^features/tag +(\d+) +(\d+)$", sizes, re.MULTILINE)[0])
    assert most - 100 <= lines <= most
    run(copy, sys.executable, "-m", "scripts.scatter", "--save", "anew")
    tools = Path(sys.executable).parent
    assert "All checks passed!" in run(copy, str(tools / "ruff"), "check", ".")
    run(copy, str(tools / "ruff"), "format", "--check", *[each for each in written if each.endswith(".py")])
    reached = run(copy, sys.executable, "-m", "scripts.changed").split()
    assert {"tests/features/tag/test_tag.py", "tests/features/test_left_out.py"} <= {*reached}
    shown = run(copy, sys.executable, "-m", "proxy", "tag", "show", "--help")
    assert "Show the tag of an account." in shown
    tests = ("tests/features/tag", "tests/features/test_all.py", "tests/features/test_left_out.py")
    more = ("tests/test_shape.py", "tests/test_scatter.py", "tests/proxy/http/test_hostile_fields.py")
    said = run(copy, sys.executable, "-m", "pytest", "-n0", "-q", "-m", "not soak", *tests, *more)
    assert re.search(r"\d+ passed", said)
    console = copy / "proxy/features/console/web"
    (console / "pages/tag.js").write_text((console / "pages/marks.js").read_text())
    frame = console / "core/frame.js"
    frame.write_text(frame.read_text().replace("const LOADED = {\n", 'const LOADED = {\n  tag: "tag",\n'))
    changed = run(copy, "git", "diff", "--numstat")
    outside = ("1\t0\tproxy/feature_list.py", "1\t0\tproxy/features/console/web/core/frame.js")
    assert [line for line in changed.splitlines() if not line.endswith("budgets.toml")] == [*outside]
    run(copy, sys.executable, "-m", "pytest", "-n0", "-q", "tests/features/console/test_files.py")
