"""What scripts/install says while pip downloads and installs: on a terminal, and in a log."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
_PIP = """
import sys, time
print("Collecting numpy==2.0 (from -r locks/serve.txt (line 1))", flush=True)
print("  Downloading numpy-2.0.whl (16.5 MB)", flush=True)
time.sleep({pause_s})
print("Collecting six==1.0", flush=True)
print("  Downloading six-1.0.whl (500 kB)", flush=True)
print("Installing collected packages: numpy, six", flush=True)
print("ERROR: " + sys.argv[1], file=sys.stderr)
sys.exit(int(sys.argv[-1]))
"""


def command(folder: Path, pause_s: float, status: int) -> tuple[list[str], dict[str, str]]:
    (folder / "pip").mkdir()
    (folder / "pip" / "__init__.py").touch()
    (folder / "pip" / "__main__.py").write_text(_PIP.format(pause_s=pause_s))
    words = [sys.executable, "-P", str(ROOT / "proxy" / "engines" / "pip_progress.py"), "57", str(status)]
    return words, {**os.environ, "PYTHONPATH": str(folder)}


def test_a_log_has_a_line_after_a_second_and_one_at_the_end(tmp_path: Path) -> None:
    words, environ = command(tmp_path, 1.2, 0)
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=True)
    *lines, last = done.stderr.splitlines()
    assert {*lines} == {"downloading: 1 of 57 packages, 16 MB", "ERROR: install"}
    assert last.startswith("2 packages installed, 17 MB downloaded, ")
    assert done.stdout == ""


def test_a_terminal_has_one_line_that_changes(tmp_path: Path) -> None:
    words, environ = command(tmp_path, 0.0, 0)
    ours, its = pty.openpty()
    with subprocess.Popen(words, env=environ, stderr=its) as process:
        os.close(its)
        process.wait(30)
        shown = os.read(ours, 65_536).decode()
    os.close(ours)
    assert "\r\x1b[Kdownloading: 2 of 57 packages, 17 MB" in shown
    assert re.search(r"\r\x1b\[Kinstalling: \d+ of \d+ packages", shown)
    assert shown.endswith(" s\r\n")


def test_a_pip_that_fails_ends_the_install(tmp_path: Path) -> None:
    words, environ = command(tmp_path, 0.0, 3)
    assert subprocess.run(words, env=environ, capture_output=True, check=False).returncode == 3
    assert 'pip "$(grep -c == "$lock")" --require-hashes' in (ROOT / "scripts" / "install").read_text()
