"""The server as shipped, started for a bench: `voxgate serve` with its own data folder and a free port."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def shipped(
    folder: Path, config: Path | None = None, checkout: Path | None = None
) -> Iterator[tuple[int, int, str]]:
    """Gives (pid of the supervisor, port, key). A `checkout` of another commit has its own environment."""
    programs = Path(sys.executable).parent if checkout is None else checkout / ".venv" / "bin"
    environ = {
        **os.environ,
        **({} if config is None else {"VOXGATE_CONFIG": str(config)}),
        "VOXGATE_SERVER__DATA": str(folder),
        "VOXGATE_SERVER__DEV_KEY": "true",
        "VOXGATE_SERVER__METRICS": "",
    }
    command = [str(programs / "voxgate"), "serve", "--port", "0"]
    with subprocess.Popen(
        command, env=environ, cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            base = server.stdout.readline().split()[-1]
            port = int(base.removesuffix("/v1").rpartition(":")[2])
            yield server.pid, port, (folder / "dev-key").read_text().strip()
        finally:
            server.terminate()
