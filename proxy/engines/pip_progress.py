"""How far a pip is, by what it prints. As a program, for scripts/install, it runs pip and says how far it is:
on one line of a terminal, or in a log every ten seconds. It needs no package, since none is installed yet.
"""

import re
import select
import subprocess
import sys
import time
from pathlib import Path

_PIP = ("-m", "pip", "install", "--no-compile", "--no-deps", "--progress-bar=off")
_EVERY_S = 10.0
_RECORDS = "lib/python*/site-packages/*.dist-info/RECORD"
"""pip writes a package's list of files last."""

_BEGINS = "Installing collected packages: "
_DOWNLOADS = re.compile(r"\s*Downloading .*\(([\d.]+) ([kMG])B\)")
_MB = {"k": 0.001, "M": 1.0, "G": 1000.0}


class PackageCount:
    """The packages in an environment, and what a pip has `found` and downloaded for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.before = self.now
        self.found = self.total = 0
        self.megabytes = 0.0

    @property
    def now(self) -> int:
        return sum(1 for _ in self._folder.glob(_RECORDS))

    def read(self, line: str) -> None:
        self.found += line.startswith(("Collecting ", "Requirement already "))
        if line.startswith(_BEGINS):
            self.total = self.before + line.removeprefix(_BEGINS).count(",") + 1
        elif size := _DOWNLOADS.match(line):
            self.megabytes += float(size[1]) * _MB[size[2]]


def main(expected: str, *arguments: str) -> int:
    count, clear = PackageCount(Path(sys.prefix)), "\r\033[K" if sys.stderr.isatty() else ""
    began, line = time.monotonic(), b"-"
    say_at = began + (0.0 if clear else 1.0)  # in a log, what is quick has no line
    with subprocess.Popen([sys.executable, *_PIP, *arguments], stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout
        while line:
            if select.select([process.stdout], [], [], 0.5)[0]:
                line = process.stdout.readline()
                count.read(line.decode(errors="replace"))
            if time.monotonic() >= say_at:
                so_far = f"downloading: {count.found} of {expected} packages, {count.megabytes:,.0f} MB"
                so_far = f"installing: {count.now} of {count.total} packages" if count.total else so_far
                sys.stderr.write(f"{clear}{so_far}" + ("" if clear else "\n"))
                sys.stderr.flush()
                say_at = time.monotonic() + (0.0 if clear else _EVERY_S)
    took = f"{count.megabytes:,.0f} MB downloaded, {time.monotonic() - began:.0f} s"
    done = f"{count.total - count.before} packages installed, {took}\n"
    sys.stderr.write(clear + (done if count.total else ""))
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
