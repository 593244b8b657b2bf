"""What a first start says while it builds and fetches: on a terminal all the while, in a log now and then."""

import time
from pathlib import Path

import pytest

from proxy.hosts.environments.environment_build import BuildProgress, PackageCount
from proxy.hosts.environments.progress_line import ProgressLine


def told(monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool) -> list[str]:
    """The lines of a minute and a half: 60 MB come in a minute, beside a build of as long."""
    lines: list[str] = []
    shown, now = ProgressLine(lines.append, is_terminal), 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    shown.build(BuildProgress("making the environment", 1, 3))
    for second in range(61):
        now += 1
        shown.fetch("kristin", second * 1_000_000, 60_000_000)
        shown.build(BuildProgress("installing the packages", 2, 3, megabytes=second * 2.0))
    shown.fetch("joe", 5_000_000, 60_000_000)
    shown.build(BuildProgress("installing the packages", 2, 3, packages=5, of_packages=30))
    shown.build(BuildProgress("trying the imports", 3, 3))
    return lines


def test_a_log_has_a_line_for_each_phase_and_one_in_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = told(monkeypatch, is_terminal=False)
    assert lines[:3] == [
        "step 1 of 3: making the environment",
        "kristin: 60 MB",
        "step 2 of 3: installing the packages",
    ]
    assert lines[-2:] == ["joe: 60 MB", "step 3 of 3: trying the imports"]
    between = lines[3:-2]
    assert 5 <= len(between) <= 6
    assert "kristin: 10 of 60 MB" in between


def test_a_terminal_shows_both_all_the_while(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = told(monkeypatch, is_terminal=True)
    assert "kristin: 30 of 60 MB · step 2 of 3: installing the packages, 60 MB" in lines
    assert "joe: 5 of 60 MB · step 2 of 3: installing the packages, 5 of 30 packages" in lines


def test_a_small_file_is_told_in_kilobytes() -> None:
    lines: list[str] = []
    ProgressLine(lines.append, is_terminal=True).fetch("config.json", 1_200, 2_400)
    assert lines == ["config.json: 1 of 2 kB"]


def test_downloads_of_a_build_are_added_up(tmp_path: Path) -> None:
    count = PackageCount(tmp_path)
    for line in (
        "Collecting numpy==2.0",
        "  Downloading numpy-2.0-cp311.whl (16.5 MB)",
        "  Downloading six-1.0.whl.metadata (500 kB)",
        "  Downloading torch-2.whl (1.5 GB)",
        "Installing collected packages: numpy, six, torch",
    ):
        count.read(line)
    assert (count.megabytes, count.total) == (1517.0, 3)
