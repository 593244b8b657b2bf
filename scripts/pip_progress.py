"""Runs `pip install` and says what it does: on one line of a terminal, or in a log every ten seconds.

PYTHON scripts/pip_progress.py PACKAGES ARGUMENTS: so many packages are expected. Errors come from pip itself.
"""

import re
import select
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

EVERY_S = 10.0
MB = {"k": 0.001, "M": 1.0, "G": 1000.0}


class Shown:
    """stderr. In a log, what takes less than a second is not worth a line."""

    def __init__(self) -> None:
        self.is_terminal = sys.stderr.isatty()
        self.began = time.monotonic()
        self._next = self.began + 1.0

    def now(self, text: str) -> None:
        if self.is_terminal:
            sys.stderr.write(f"\r\033[K{text}")
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY_S
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def end(self, text: str) -> None:
        sys.stderr.write(("\r\033[K" if self.is_terminal else "") + (text and f"{text}\n"))


def main(expected: str, *arguments: str) -> int:
    site, shown, fetched, megabytes, total = Path(sysconfig.get_path("purelib")), Shown(), 0, 0.0, 0
    before = len([*site.glob("*.dist-info/RECORD")])
    pip = ["-m", "pip", "install", "--no-compile", "--no-deps", "--progress-bar=off"]
    with subprocess.Popen([sys.executable, *pip, *arguments], stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout
        while True:
            if select.select([process.stdout], [], [], 0.5)[0]:
                line = process.stdout.readline().decode(errors="replace")
                if not line:
                    break
                fetched += line.startswith(("Collecting ", "Requirement already "))
                if size := re.search(r"^  Downloading .* \(([\d.]+) ([kMG])B\)", line):
                    megabytes += float(size[1]) * MB[size[2]]
                if line.startswith("Installing collected packages: "):
                    total = line.count(",") + 1
            installed = len([*site.glob("*.dist-info/RECORD")]) - before if total else 0
            shown.now(
                f"installing: {installed} of {total} packages"
                if total
                else f"downloading: {fetched} of {expected} packages, {megabytes:,.0f} MB"
            )
    took_s = time.monotonic() - shown.began
    shown.end(f"{total} packages installed, {megabytes:,.0f} MB downloaded, {took_s:.0f} s" if total else "")
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
