"""What the message of a commit has to say, so that `git log` tells why a line is so.

    python -m scripts.commit_message FILE   for the commit that is being made: the hook `commit-msg`
    python -m scripts.commit_message        for the commits that the upstream lacks: scripts/check

The subject is `area: what is different now`. If the product changes, a body says why. If a budget is raised,
the body has the reason. Merges, and commits that began before this file was there, are not looked at.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from scripts.budgets import FILE, Budgets, read_budgets, unexplained

ROOT = Path(__file__).resolve().parents[1]
MOST_LETTERS = 72
LEAST_WORDS = 8
"""So many words of a body are not in the subject."""
PRODUCT = ("proxy/", "policies/", "speech_engine/", "plugins/")
_OTHER_AREAS = {"core", "readme", "changelog", "contributing"}
_BUDGETS = FILE.relative_to(ROOT).as_posix()
_SUBJECT = re.compile(r"(?P<areas>[\w ./-]+(?:, [\w ./-]+)*): \S")
_TRAILER = re.compile(r"[A-Z][\w-]+-[Bb]y: .*|Change-Id: .*")
_SCISSORS = "# ------------------------ >8"
_UNFINISHED = ("fixup! ", "squash! ", "amend! ")
"""What a rebase joins with the commit before, whose message stays."""


class Commit(NamedTuple):
    """A commit, made or being made: its message, its files and those that it moves, and the budgets."""

    message: str
    files: tuple[str, ...]
    moved_to: tuple[str, ...]
    folders: frozenset[str]
    before: Budgets | None = None
    after: Budgets | None = None


def faults(commit: Commit) -> Iterator[str]:
    """Yield what is wrong with a commit's message, as sentences."""
    subject, _, body = commit.message.strip().partition("\n")
    body = "\n".join(line for line in body.splitlines() if not _TRAILER.fullmatch(line))
    yield from _faults_of_subject(subject, commit.folders)
    if any(file.startswith(PRODUCT) for file in commit.files):
        more = _words(body) - _words(subject)
        if not body.strip():
            yield "the product changes, so a body says why: what was wrong or missing, for whom, how we know"
        elif len(more) < LEAST_WORDS:
            yield (
                "the body has little more than the subject's words: say what was wrong or missing, for whom,"
                " how we know"
            )
    if commit.before is not None and commit.after is not None:
        yield from unexplained(commit.before, commit.after, subject, body, commit.moved_to)


def _faults_of_subject(subject: str, folders: frozenset[str]) -> Iterator[str]:
    form = _SUBJECT.match(subject)
    if form is None:
        yield "the subject is `area: what is different now`"
        return
    unknown = [area for area in form["areas"].split(", ") if not _is_area(area, folders)]
    if unknown:
        yield f"{', '.join(unknown)}: an area is a room or a feature, as `http` or `jobs`"
    if len(subject) > MOST_LETTERS:
        yield f"the subject has {len(subject)} letters, and {MOST_LETTERS} at most"
    if subject.endswith("."):
        yield "the subject ends without a full stop"


def _is_area(area: str, folders: frozenset[str]) -> bool:
    name = area.lower().replace(" ", "_")
    return name in _OTHER_AREAS or name.rstrip("/") in folders


def folders_of(files: Sequence[str]) -> frozenset[str]:
    """Return the folders that are rooms, features or plugins, as `proxy/http` and as `http`.

    They are two deep, and in the product three, as `proxy/features/jobs` and `speech_engine/host`.
    """
    found = set[str]()
    for file in files:
        names = file.split("/")[: 3 if file.startswith(PRODUCT) else 2]
        found.update("/".join(names[:depth]) for depth in range(1, min(len(names), file.count("/")) + 1))
    return frozenset({*found, *(folder.rpartition("/")[2] for folder in found)})


def _words(text: str) -> set[str]:
    return {*re.findall(r"\w+", text.lower())}


def main(arguments: Sequence[str]) -> int:
    """Print what is wrong, and return 1 if something is."""
    if arguments:
        found = [*_faults_of_message(Path(arguments[0]).read_text())]
    else:
        found = [f"{name[:12]} {each}" for name in unsent() for each in faults(_commit_of(name))]
    for each in found:
        print(f"commit message: {each}", file=sys.stderr)
    if found and arguments:
        print("CONTRIBUTING.md, Commits, has the form. Your text is in", arguments[0], file=sys.stderr)
    return bool(found)


def _faults_of_message(text: str) -> Iterator[str]:
    """Yield what is wrong with the message of the commit that is being made."""
    lines = text.partition(_SCISSORS)[0].splitlines()
    message = "\n".join(line for line in lines if not line.startswith("#")).strip()
    is_merge = bool(_git("rev-parse", "--quiet", "--verify", "MERGE_HEAD"))
    # git refuses an empty message by itself.
    if not message or is_merge or message.startswith(_UNFINISHED):
        return
    has_parent = bool(_git("rev-parse", "--quiet", "--verify", "HEAD"))
    files, moved_to = _changes(["--cached", *(["HEAD"] if has_parent else [])])
    folders = folders_of([*_git("ls-files").splitlines(), *_tree_of("HEAD")])
    yield from faults(Commit(message, files, moved_to, folders, _budgets("HEAD:"), _budgets(":")))


def unsent() -> list[str]:
    """Return the commits that the upstream lacks and whose parent has this file: merges are apart."""
    upstream = _git("rev-parse", "--quiet", "--verify", "@{upstream}").strip()
    listed = _git("rev-list", "--no-merges", "HEAD", *([f"^{upstream}"] if upstream else []))
    names = listed.split()
    own = Path(__file__).relative_to(ROOT).as_posix()
    asked = "".join(f"{name}^:{own}\n" for name in names)
    had = _git("cat-file", "--batch-check", text=asked).splitlines()
    return [name for name, line in zip(names, had, strict=False) if " blob " in line]


def _commit_of(name: str) -> Commit:
    files, moved_to = _changes([f"{name}^", name])
    folders = folders_of([*_tree_of(name), *_tree_of(f"{name}^")])
    message = _git("log", "-1", "--format=%B", name)
    return Commit(message, files, moved_to, folders, _budgets(f"{name}^:"), _budgets(f"{name}:"))


def _changes(between: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return all changed files, and the files to which others have moved."""
    rows = [line.split("\t") for line in _git("diff", "--name-status", "-M", *between).splitlines()]
    files = tuple(file for row in rows for file in row[1:])
    return files, tuple(row[2] for row in rows if row[0].startswith("R"))


def _tree_of(name: str) -> list[str]:
    return _git("ls-tree", "-r", "--name-only", name).splitlines()


def _budgets(where: str) -> Budgets | None:
    text = _git("show", f"{where}{_BUDGETS}")
    return read_budgets(text) if text else None


def _git(*words: str, text: str | None = None) -> str:
    """Return what git prints, or "" where it has nothing to say, or where there is no git."""
    try:
        ran = subprocess.run(
            ("git", "-c", "core.quotePath=off", *words), cwd=ROOT, input=text, capture_output=True, text=True
        )
    except FileNotFoundError:
        return ""
    return ran.stdout if ran.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
