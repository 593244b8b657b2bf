"""What the system grants a process: open files, and a short path for sockets."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

from proxy.diagnosis.doctor.result import Result, note, ok, wrong
from proxy.processes import runtime

FEWEST_FILES = 512
ENOUGH_FILES = 4096
_RAISE = "raise it: ulimit -n 65536, or LimitNOFILE=65536 in the systemd unit"


def open_files() -> Iterator[Result]:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or limit >= ENOUGH_FILES:
        yield ok("open files", "no limit" if limit == resource.RLIM_INFINITY else f"up to {limit}")
    elif limit >= FEWEST_FILES:
        yield note("open files", f"up to {limit}: enough for some {limit // 2} requests at once", _RAISE)
    else:
        yield wrong("open files", f"up to {limit}", _RAISE)


def sockets() -> Iterator[Result]:
    wanted = os.environ.get("XDG_RUNTIME_DIR", "")
    base = runtime.runtime_base()
    if not os.access(base, os.W_OK | os.X_OK):
        do = "let this user write there, or set XDG_RUNTIME_DIR to a short path of its own"
        yield wrong("sockets", f"{base} cannot be written", do)
    elif wanted and wanted != str(base):
        do = "set XDG_RUNTIME_DIR to a folder that this user may write, with a path under 40 characters"
        yield note("sockets", f"in {base}: XDG_RUNTIME_DIR is too long, or cannot be written", do)
    else:
        yield ok("sockets", f"in {base}")
