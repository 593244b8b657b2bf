"""What is found in files, kept in the user's cache by the digest of each text and of the code that looks.

To read the trees of all files takes seconds, in each process that needs them. What is kept is what was found,
and no verdict: a text or a look that is new is looked at, and what is found fails as before.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

_KEPT_S = 7 * 24 * 3600
Look = Callable[[str], Any]


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "voxgate" / "found"


def found_in(texts: Mapping[str, str], look: Look) -> dict[str, Any]:
    """Return what a look finds in each text, as JSON gives it: no tuples.

    A look is a function of a module that needs nothing but the text and what its own module says.
    """
    file = _file_of(look)
    before = _read(file)
    digests = {name: sha256(text.encode()).hexdigest()[:24] for name, text in texts.items()}
    new = {digest: look(texts[name]) for name, digest in digests.items() if digest not in before}
    known = before | json.loads(json.dumps(new))
    if new:
        _write(file, {digest: known[digest] for digest in digests.values()})
    return {name: known[digest] for name, digest in digests.items()}


def _file_of(look: Look) -> Path:
    code = Path(sys.modules[look.__module__].__file__ or "").read_bytes()
    digest = sha256(b"%r %s" % (sys.version_info, code)).hexdigest()[:24]
    return cache_folder() / f"{look.__module__}.{look.__name__}-{digest}.json"


def _read(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found


def _write(file: Path, found: Mapping[str, Any]) -> None:
    """Write what was found, and remove what no checkout has asked for in a week."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(found))
        part.replace(file)
        for other in file.parent.iterdir():
            if other.stat().st_mtime < time.time() - _KEPT_S:
                other.unlink(missing_ok=True)
    except OSError:
        return  # without a cache, all is looked at again
