"""The master keys of this server: those of `[vault]`, or a file in the data folder."""

from __future__ import annotations

from base64 import b64decode, b64encode
from pathlib import Path

import msgspec

from proxy.config.sections import VaultSection
from proxy.errors import VaultUnavailable
from proxy.file_store import locked_files, sealing
from proxy.file_store.sealing import (
    ACCOUNT_KEY_SUBJECT,
    MasterKey,
    MasterKeys,
    Tampered,
    blob_subject,
    row_subject,
)
from proxy.storage import wrapped_keys
from proxy.storage.store import Statement, StorageFailed, Store
from proxy.storage.wrapped_keys import MasterUse, WrappedKey

MASTER_KEY_FILE = "master-key"
"""The file in the data folder, if `[vault] master_key` names no other key."""


class VaultFailed(StorageFailed):
    """Something cannot be sealed, opened or stored. The message tells the operator why."""

    failure = VaultUnavailable


class MasterKeySource:
    """Gives the master keys of a section. Without `master_key`, a key file is made when it is first
    needed."""

    def __init__(self, section: VaultSection, data: Path) -> None:
        self._file = data / MASTER_KEY_FILE
        self._older = [_parse(text, "vault.old_master_keys") for text in section.old_master_keys]
        self._configured = _parse(section.master_key, "vault.master_key") if section.master_key else None
        self._keys: MasterKeys | None = None

    @property
    def missing(self) -> str:
        """The text of a failure if there is no key."""
        return f"the master key {self._file} is not there, and vault.master_key names no other"

    @property
    def is_beside_the_data(self) -> bool:
        """Whether the newest key is a file in the data folder, so that a copy of the folder includes the
        key."""
        return self._configured is None

    def read(self) -> MasterKeys:
        """Return the keys. It reads a small file once. Raises VaultFailed if there is none yet."""
        if self._keys is None:
            newest = self._configured or self._read_file()
            if newest is None:
                raise VaultFailed(self.missing)
            self._keys = MasterKeys(newest, *self._older)
        return self._keys

    def read_if_any(self) -> MasterKeys | None:
        has_none = self._keys is None and self._configured is None and not self._file.exists()
        return None if has_none else self.read()

    def ensure(self) -> MasterKeys:
        """Return the keys, and make the file if there is none. It waits for the disk. Raises VaultFailed."""
        if self._configured is None and not self._file.exists():
            try:
                locked_files.ensure_secret(self._file, lambda: b64encode(sealing.new_key()) + b"\n")
            except OSError as error:
                raise VaultFailed(f"{self._file} cannot be written: {error.strerror}") from None
        return self.read()

    def _read_file(self) -> MasterKey | None:
        try:
            return _parse(self._file.read_text(), str(self._file))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise VaultFailed(f"{self._file} cannot be read: {error}") from None


def _parse(text: str, where: str) -> MasterKey:
    try:
        return MasterKey(b64decode(text.strip(), validate=True))
    except ValueError:
        raise VaultFailed(f"{where} must hold 32 bytes in base64") from None


_ROWS_A_STEP = 500


class RotationStep(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one step. `damaged` rows cannot be opened by their own key, and stay unchanged.

    `left` rows still need an old key that is configured; they include the damaged rows. `missing` are keys
    that are not configured, so that their rows cannot be opened.
    """

    master: str
    rewrapped: int
    damaged: int
    left: int
    missing: tuple[MasterUse, ...]


async def rewrap_some(
    store: Store, source: MasterKeySource, skip: int = 0, limit: int = _ROWS_A_STEP
) -> RotationStep | None:
    """Wrap some keys anew with the newest master key. No file is touched.

    `skip` is the number of damaged rows in earlier steps. After a kill, some rows have the old key and some
    the new one. Both are configured, so the next step goes on there. Return None if nothing was ever sealed.
    Raises StorageFailed.
    """
    masters = source.read_if_any()
    if masters is None:
        return None
    prefixes = [master.prefix for master in masters.older]
    found = await wrapped_keys.list_by_masters(store, prefixes, skip, limit)
    statements = [statement for key in found if (statement := _rewrapped(masters, key)) is not None]
    if statements:
        await store.write(*statements)
    uses = await wrapped_keys.list_masters(store)
    return RotationStep(
        master=masters.newest.id.hex(),
        rewrapped=len(statements),
        damaged=len(found) - len(statements),
        left=sum(
            use.rows for use in uses if use.prefix != masters.newest.prefix and masters.knows(use.prefix)
        ),
        missing=tuple(use for use in uses if not masters.knows(use.prefix)),
    )


def _rewrapped(masters: MasterKeys, key: WrappedKey) -> Statement | None:
    try:
        subject = _subject(key)
        plain = masters.unwrap(key.wrapped, key.owner, subject)
    except Tampered:
        return None
    assert plain is not None, "the rows of configured keys were read"
    return wrapped_keys.replace_statement(key, masters.wrap(plain, key.owner, subject))


def _subject(key: WrappedKey) -> bytes:
    if key.table == "account_keys":
        return ACCOUNT_KEY_SUBJECT
    return blob_subject(key.row["digest"]) if key.table == "blobs" else row_subject(key.row["id"])
