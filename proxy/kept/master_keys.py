"""The master keys of this server: those of `[vault]`, or a file in the data folder."""

from __future__ import annotations

from base64 import b64decode, b64encode
from pathlib import Path

from proxy.config.sections import VaultSection
from proxy.kept import sealing, secret
from proxy.kept.sealing import MasterKey, MasterKeys
from proxy.storage.store import StorageFailed

FILE = "master-key"
"""The file in the data folder, if `[vault] master_key` names no other key."""


class VaultFailed(StorageFailed):
    """What is sealed cannot be sealed, opened or kept. The message says why, for the operator."""


class MasterKeySource:
    """Gives the master keys of a section. Without `master_key`, a file is made on the day it is needed."""

    def __init__(self, section: VaultSection, data: Path) -> None:
        self._file = data / FILE
        self._older = [_parse(text, "vault.old_master_keys") for text in section.old_master_keys]
        self._named = _parse(section.master_key, "vault.master_key") if section.master_key else None
        self._keys: MasterKeys | None = None

    @property
    def missing(self) -> str:
        """What is missing if there is no key."""
        return f"the master key {self._file} is not there, and vault.master_key names no other"

    @property
    def is_beside_the_data(self) -> bool:
        """Whether the newest key is a file in the data folder: a copy of the folder has the key, too."""
        return self._named is None

    def read(self) -> MasterKeys:
        """Return the keys. It reads a small file once. Raises VaultFailed if there is none yet."""
        if self._keys is None:
            newest = self._named or self._read_file()
            if newest is None:
                raise VaultFailed(self.missing)
            self._keys = MasterKeys(newest, *self._older)
        return self._keys

    def read_if_any(self) -> MasterKeys | None:
        """Return the keys, or None as long as nothing needed one."""
        has_none = self._keys is None and self._named is None and not self._file.exists()
        return None if has_none else self.read()

    def ensure(self) -> MasterKeys:
        """Return the keys, and make the file if there is none. It waits for the disk. Raises VaultFailed."""
        if self._named is None and not self._file.exists():
            try:
                secret.ensure(self._file, lambda: b64encode(sealing.new_key()) + b"\n")
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
