"""What a bench says where it cannot run."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MOST_FILES, MOST_FUNCTIONS = 85, 298
"""What one plain request may enter. A newcomer reads them all: lower the numbers, or say why they grow."""


def test_a_bench_names_the_program_that_it_lacks(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "bench.counts"]
    ended = subprocess.run(words, cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (
        1,
        "this needs nginx, and there is none: apt-get install nginx\n",
    )


def test_the_way_of_a_plain_request_is_no_longer_than_before() -> None:
    words = [sys.executable, "-m", "bench.counts", "--way"]
    shown = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    files, _, functions, _ = shown[-1].split()
    assert len(shown) - 1 == int(files) <= MOST_FILES
    assert 250 < int(functions) <= MOST_FUNCTIONS
    first = [line.partition(":")[0] for line in shown]
    assert first.index("proxy/http/edge.py") < first.index("proxy/speech/pipeline.py")
