"""The keys of marks: the newest makes new ones, and older ones still find theirs."""

from __future__ import annotations

import hashlib
import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from proxy.file_store import locked_files
from proxy.file_store.master_keys import VaultFailed

KEY_BYTES = 32
_ID_DIGITS = 8
_ID_PREFIX = b"voxgate/key-id/v1\0"


class RingKey(NamedTuple):
    """One key. Its id reveals nothing about the secret."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"<RingKey {self.id}>"


class KeyRing:
    """One or more keys. The first one makes new marks."""

    def __init__(self, keys: tuple[RingKey, ...]) -> None:
        self._keys = keys

    def __iter__(self) -> Iterator[RingKey]:
        return iter(self._keys)

    @property
    def newest(self) -> RingKey:
        return self._keys[0]

    def get(self, id_: str) -> RingKey | None:
        return next((key for key in self._keys if key.id == id_), None)


def parse_keys(text: str, where: str) -> KeyRing:
    """Read keys of 32 bytes in base64, separated by blanks or lines. Raises VaultFailed, whose message never
    repeats the text."""
    try:
        secrets = [b64decode(word, validate=True) for word in text.split()]
    except ValueError:
        secrets = []
    if not secrets or any(len(each) != KEY_BYTES for each in secrets):
        raise VaultFailed(
            f"{where} must hold keys of 32 bytes in base64, the newest first; "
            "openssl rand -base64 32 makes one"
        )
    ids = {each: hashlib.sha256(_ID_PREFIX + each).hexdigest()[:_ID_DIGITS] for each in secrets}
    return KeyRing(tuple(RingKey(id_, each) for each, id_ in ids.items()))


def ensure_keys(file: Path) -> KeyRing:
    """Read the keys in a file, and make it with one key on the first day. Waits for the disk.

    Raises OSError and VaultFailed.
    """
    return parse_keys(locked_files.ensure_secret(file, _new_key_line).decode("ascii", "replace"), str(file))


def add_key(file: Path) -> KeyRing:
    """Put a new key before the others of a file, whose owner stays. Raises OSError and VaultFailed.

    Two callers at the same time both get their key into the file.
    """
    ensure_keys(file)
    # A link stays a link, and its target is replaced.
    lock = locked_files.wait_for_lock(file.resolve())
    try:
        ring, before = ensure_keys(file), file.stat()
        lines = _new_key_line() + b"".join(b64encode(key.secret) + b"\n" for key in ring)
        with lock.create_part() as part:
            if os.geteuid() == 0:
                # The server may run as another user, which has to read the file.
                os.fchown(part.fileno(), before.st_uid, before.st_gid)
            part.write(lines)
            lock.complete_part(part, lock.name)
    finally:
        lock.release()
    return parse_keys(lines.decode(), str(file))


def _new_key_line() -> bytes:
    return b64encode(locked_files.new_secret()) + b"\n"


def check_ring(content: bytes, where: str) -> None:
    """Raise VaultFailed for content that is no ring of keys."""
    parse_keys(content.decode("ascii", "replace"), where)
