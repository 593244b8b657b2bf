"""`voxgate …` inside the test's process: the same code, without a start of Python and its imports.

A command that needs a process of its own is run by `forked.command`, and `tests/proxy/cli/test_main.py` runs
the file that is installed.
"""

import io
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import structlog

from proxy.cli import main
from proxy.http import edge
from proxy.telemetry import logs

_printing = threading.Lock()
"""Standard streams belong to the whole process."""


def command(
    config: Path, *arguments: str, check: bool = True, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run one with this config file. With `check`, a failure of the command raises CalledProcessError."""
    ran = run(*arguments, environ={"VOXGATE_CONFIG": str(config)}, typed=typed.encode())
    done = subprocess.CompletedProcess(ran.args, ran.returncode, ran.stdout.decode(), ran.stderr.decode())
    if check:
        done.check_returncode()
    return done


def run(
    *arguments: str, environ: Mapping[str, str], typed: bytes = b"", folder: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run one with these variables besides the test's own, in a folder."""
    out, err = io.BytesIO(), io.BytesIO()
    with _printing, pytest.MonkeyPatch.context() as patch:
        # Whoever runs the tests may have a key of their own.
        patch.delenv("VOXGATE_KEY", raising=False)
        for name, value in environ.items():
            patch.setenv(name, value)
        if folder is not None:
            patch.chdir(folder)
        patch.setattr(sys, "argv", ["voxgate", *arguments])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed)))
        # The folder of temporary files is looked for once in a process.
        patch.setattr(tempfile, "tempdir", None)
        quiet(patch)
        shown, told = (io.TextIOWrapper(stream, "utf-8", write_through=True) for stream in (out, err))
        # A thread of its own has no event loop yet, as the command expects.
        with redirect_stdout(shown), redirect_stderr(told), ThreadPoolExecutor(1) as thread:
            status = thread.submit(_status).result()
    return subprocess.CompletedProcess(["voxgate", *arguments], status, out.getvalue(), err.getvalue())


def _status() -> int:
    try:
        main.main()
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
            return 1
        return ended.code or 0
    return 0


def quiet(patch: pytest.MonkeyPatch) -> None:
    """What a command without a server logs is not printed, and no logger keeps the test's stderr for good."""
    patch.setattr(logs, "configure_logs", lambda *_arguments: None)
    for module in (edge, logs):
        patch.setattr(module, "_log", structlog.wrap_logger(structlog.ReturnLogger()))
