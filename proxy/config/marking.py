"""Read [marking]: what is marked and how, with keys and certificates, which are never written in the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from proxy.config.reader import Reader
from proxy.config.secret import SecretMissing, resolve
from proxy.config.sections import MarkingSection

_SECRETS = ("keys", "certificate", "certificate_key", "receipt_keys")


def read_marking(reader: Reader, value: object, environ: Mapping[str, str], folder: Path) -> MarkingSection:
    section = reader.section(MarkingSection, value, "marking") or MarkingSection()
    if bool(section.certificate) != bool(section.certificate_key):
        missing = "certificate_key" if section.certificate else "certificate"
        reader.fault(f"marking.{missing}", "a certificate and its key come together; name both or none")
    named = {name: getattr(section, name) for name in _SECRETS if getattr(section, name)}
    return replace(
        section, **{name: _secret(reader, text, name, environ, folder) for name, text in named.items()}
    )


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
