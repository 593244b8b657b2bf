"""Changes of the imported models. One process makes them at a time, and none deletes a model in use."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from proxy.engines.engine_models import StoredModel
from proxy.hosts.stored_models import CURRENT, BrokenModel, ModelRefused, ModelStore, open_folder

LOCK_NAME = ".lock"
"""The name of the lock file. No model can have this name."""
HIDDEN_PREFIX = ".import-"
"""The prefix of a folder that is incomplete, or that is being deleted."""


def remove_version(model: StoredModel | BrokenModel, store: ModelStore) -> None:
    """Delete one version of a model. Raise ModelRefused while a server uses it."""
    with open_folder(model.folder) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ModelRefused(
                f"a running server speaks with {model.folder}; stop the server first"
            ) from None
        home = model.folder.parent
        _forget_current(home, model.folder.name)
        # It is renamed before it is deleted, so that no reader finds a part of a model.
        hidden = model.folder.rename(store.folder / f"{HIDDEN_PREFIX}removed-{home.name}-{model.folder.name}")
        shutil.rmtree(hidden)
    if not any(home.iterdir()):
        home.rmdir()


def _forget_current(home: Path, digest: str) -> None:
    """Delete the file that names a model's current version, if it names this one."""
    path = home / CURRENT
    if path.is_file() and path.read_text(encoding="ascii", errors="replace").strip() == digest:
        path.unlink()


@contextmanager
def hold_change_lock(store: ModelStore, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of all changes, and remove the remains of an interrupted one. If another process holds
    the lock, `on_wait` is called before the wait. A running server does not hold it. Raise ModelRefused."""
    try:
        store.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        store.folder.mkdir(exist_ok=True, mode=0o700)
        descriptor = os.open(store.folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ModelRefused(f"{store.folder} cannot be written: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        for left in store.folder.glob(f"{HIDDEN_PREFIX}*"):
            shutil.rmtree(left)
        yield
    finally:
        os.close(descriptor)
