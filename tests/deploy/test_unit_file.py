"""The unit files in deploy/: systemd understands them, and calls what is left open to them little."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.programs import program

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "voxgate.service"
HOST_UNIT = ROOT / "deploy" / "voxgate-host.service"
MOST_EXPOSURE = 2.0
"""Of 10. The service can reach the network and its own folders; a unit without any of its limits has 9.6."""


def _analyze(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Asks as an ordinary user would: systemd wants a folder for its sockets, even to read a file."""
    found = program("systemd-analyze")
    return subprocess.run(
        [found.file, "--user", "--no-pager", *arguments],
        env={**os.environ, **found.environ, "XDG_RUNTIME_DIR": str(folder), "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _complaints(folder: Path, text: str) -> list[str]:
    """What systemd says of a unit's lines. It also looks for the programs, which are not installed here."""
    unit = folder / UNIT.name
    unit.write_text(re.sub(r"^(Exec\w+)=.*", r"\1=/bin/sh", text, flags=re.MULTILINE))
    told = _analyze(folder, "verify", str(unit))
    return [line for line in told.stderr.splitlines() if line.startswith(f"{unit}:")]


@pytest.mark.parametrize("unit", [UNIT, HOST_UNIT])
def test_systemd_understands_every_line(tmp_path: Path, unit: Path) -> None:
    text = unit.read_text()
    assert _complaints(tmp_path, text.replace("ProtectHome", "ProtectHouse")), "nothing is looked at"
    assert _complaints(tmp_path, text) == []


@pytest.mark.parametrize("unit", [UNIT, HOST_UNIT])
def test_little_is_left_open_to_the_service(tmp_path: Path, unit: Path) -> None:
    most = f"--threshold={MOST_EXPOSURE * 10:.0f}"
    told = _analyze(tmp_path, "security", "--offline=yes", most, str(unit))
    assert told.returncode == 0, told.stdout + told.stderr
    assert "Overall exposure level" in told.stdout


@pytest.mark.parametrize(("unit", "lag_s"), [(UNIT, 60), (HOST_UNIT, 0)])
def test_a_stop_leaves_time_to_drain(unit: Path, lag_s: int) -> None:
    [seconds] = re.findall(r"^TimeoutStopSec=(\d+)$", unit.read_text(), re.MULTILINE)
    assert int(seconds) >= lag_s + tomllib.loads((ROOT / "config.toml").read_text())["server"]["drain_s"] + 15


def test_commands_beside_the_service_are_typed_with_its_environment() -> None:
    """Else an environment that a command builds lies where the service never looks."""
    wrapper = (ROOT / "deploy" / "voxgate").read_text()
    variables = re.findall(r"^Environment=(\S+)$", UNIT.read_text(), re.MULTILINE)
    assert len(variables) == 4
    assert set(variables) <= set(wrapper.split())
