"""deploy/voxgate.service: systemd understands it, and calls what is left open to it little."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

from tests.programs import program

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "voxgate.service"
MOST_EXPOSURE = 2.0
"""Of 10. The service can reach the network and its own folders; a unit without any of its limits has 9.6."""


def _analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    found = program("systemd-analyze")
    return subprocess.run(
        [found.file, *arguments],
        env={**os.environ, **found.environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_systemd_understands_every_line(tmp_path: Path) -> None:
    # It also looks for the programs: these are not installed here.
    text = re.sub(r"^(Exec\w+)=.*", r"\1=/bin/sh", UNIT.read_text(), flags=re.MULTILINE)
    copy = tmp_path / UNIT.name
    copy.write_text(text)
    told = _analyze("verify", str(copy))
    assert (told.returncode, told.stderr) == (0, "")


def test_little_is_left_open_to_the_service() -> None:
    told = _analyze(
        "security", "--offline=yes", "--no-pager", f"--threshold={MOST_EXPOSURE * 10:.0f}", str(UNIT)
    )
    assert told.returncode == 0, told.stdout
    assert "Overall exposure level" in told.stdout


def test_a_stop_leaves_time_to_drain() -> None:
    [seconds] = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)
    assert int(seconds) >= tomllib.loads((ROOT / "config.toml").read_text())["server"]["drain_s"] + 15
