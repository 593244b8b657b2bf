"""Read [vault] and [marking]: keys and certificates, which are never written in the file itself."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from proxy.config.reader import Reader
from proxy.config.secret import SecretMissing, resolve
from proxy.config.secret_sections import MarkingSection, VaultSection

_KEY_BYTES = 32
_MARKING_SECRETS = ("keys", "certificate", "certificate_key", "receipt_keys")
_RIGHT = "must hold 32 bytes in base64; openssl rand -base64 32 makes such a key"


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
    """Return the key that is named. A fault never repeats what was written, because it may be the key."""
    if not written.startswith(("env:", "file:")):
        reader.fault(key, 'must be "env:NAME" or "file:PATH"; a key is never written in this file')
        return ""
    try:
        secret = resolve(written, environ, folder)
        is_key = len(b64decode(secret, validate=True)) == _KEY_BYTES
    except SecretMissing as error:
        reader.fault(key, str(error))
        return ""
    except ValueError:
        is_key = False
    if not is_key:
        reader.fault(key, f"{written} {_RIGHT}")
        return ""
    return secret


def read_marking(reader: Reader, value: object, environ: Mapping[str, str], folder: Path) -> MarkingSection:
    section = reader.section(MarkingSection, value, "marking") or MarkingSection()
    if bool(section.certificate) != bool(section.certificate_key):
        missing = "certificate_key" if section.certificate else "certificate"
        reader.fault(f"marking.{missing}", "a certificate and its key come together; name both or none")
    named = {name: getattr(section, name) for name in _MARKING_SECRETS if getattr(section, name)}
    secrets = {name: _secret(reader, text, name, environ, folder) for name, text in named.items()}
    for name in ("keys", "receipt_keys"):
        if secrets.get(name) and not _are_keys(secrets[name]):
            reader.fault(f"marking.{name}", f"{named[name]} {_RIGHT}; the newest comes first")
    return replace(section, **secrets)


def _are_keys(text: str) -> bool:
    """Tell whether a text has keys as `proxy.kept.key_ring` reads them."""
    try:
        return all(len(b64decode(word, validate=True)) == _KEY_BYTES for word in text.split())
    except ValueError:
        return False


def _secret(reader: Reader, written: str, name: str, environ: Mapping[str, str], folder: Path) -> str:
    """Return what is named. A fault never repeats what was written, because it may be a key."""
    if not written.startswith(("env:", "file:")):
        reader.fault(f"marking.{name}", 'must be "env:NAME" or "file:PATH"; it is never written in this file')
        return ""
    try:
        return resolve(written, environ, folder)
    except SecretMissing as error:
        reader.fault(f"marking.{name}", str(error))
        return ""
