"""Read [vault]: keys, which are never written in the file itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from proxy.config.reader import Reader
from proxy.config.secret import KEY_IS_RIGHT, is_key, named_secret
from proxy.config.secret_sections import VaultSection


def read_vault(reader: Reader, value: object, environ: Mapping[str, str], folder: Path) -> VaultSection:
    section = reader.section(VaultSection, value, "vault") or VaultSection()

    def key(written: str, name: str) -> str:
        return _master_key(reader, written, f"vault.{name}", environ, folder)

    return replace(
        section,
        master_key=key(section.master_key, "master_key") if section.master_key else "",
        old_master_keys=tuple(key(each, "old_master_keys") for each in section.old_master_keys),
        folder=str((folder / section.folder).absolute()) if section.folder else "",
    )


def _master_key(reader: Reader, written: str, key: str, environ: Mapping[str, str], folder: Path) -> str:
    secret = named_secret(reader, key, written, environ, folder, "a key")
    if secret and not is_key(secret):
        reader.fault(key, f"{written} {KEY_IS_RIGHT}")
        return ""
    return secret
