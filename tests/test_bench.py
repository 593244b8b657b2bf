"""What a bench says where it cannot run."""

import subprocess
import sys
from pathlib import Path


def test_a_bench_names_the_program_that_it_lacks(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "bench.counts"]
    ended = subprocess.run(
        words, cwd=Path(__file__).parents[1], env={"PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (
        1,
        "this needs nginx, and there is none: apt-get install nginx\n",
    )
