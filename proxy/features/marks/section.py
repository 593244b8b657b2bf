"""[marking]: inaudible marks, manifests and receipts. The file names where their keys are, never the keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from proxy.config.reader import Reader, Section
from proxy.config.secret import KEY_FORM, is_key, named_secret
from proxy.config.sections import Switch
from speech_engine.redacted import Redacted

_SECRETS = ("keys", "certificate", "certificate_key", "receipt_keys")

_Secret = Annotated[
    str, msgspec.Meta(description='"env:NAME" or "file:PATH", or "" for a file in the data folder')
]


class MarkingSection(Redacted, msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[marking]: inaudible marks, manifests and receipts. Keys and certificates are resolved, as in [vault].

    `mark` is the inaudible mark in the sound, whose `keys` hold the newest one first. `manifests` are signed
    with the certificate, and stamped by `timestamp_url`. `receipts` are for all clips, marked or not. An
    empty key stands for a file in the data folder.
    """

    mark: Annotated[str, msgspec.Meta(description='the name of a mark, or "" for none')] = "spread"
    keys: _Secret = ""
    manifests: Switch = True
    certificate: Annotated[
        str, msgspec.Meta(description='"env:NAME" or "file:PATH", or "" for a test certificate')
    ] = ""
    certificate_key: Annotated[
        str, msgspec.Meta(description='"env:NAME" or "file:PATH", or "" for a test certificate')
    ] = ""
    timestamp_url: Annotated[
        str, msgspec.Meta(pattern=r"^\Z|^https?://", description='"https://…", or "" for no time stamps')
    ] = ""
    receipts: Switch = True
    receipt_keys: _Secret = ""


def _read(reader: Reader, value: object, environ: Mapping[str, str], folder: Path) -> MarkingSection:
    section = reader.section(MarkingSection, value, "marking") or MarkingSection()
    if bool(section.certificate) != bool(section.certificate_key):
        missing = "certificate_key" if section.certificate else "certificate"
        reader.fault(f"marking.{missing}", "a certificate and its key come together; name both or none")
    if section.mark == "audioseal":
        gone = 'the mark audioseal went with 0.2.0: write mark = "spread", or "" for speech without a mark'
        reader.fault("marking.mark", gone)
    named = {name: getattr(section, name) for name in _SECRETS if getattr(section, name)}
    secrets = {
        name: named_secret(reader, f"marking.{name}", text, environ, folder) for name, text in named.items()
    }
    for name in ("keys", "receipt_keys"):
        # As `proxy.file_store.key_ring` reads them.
        if not all(map(is_key, secrets.get(name, "").split())):
            reader.fault(f"marking.{name}", f"{named[name]} {KEY_FORM}; the newest comes first")
    return msgspec.structs.replace(section, **secrets)


SECTION = Section("marking", MarkingSection, _read)


MARK_KEYS = "mark-keys"
"""The file in the data folder with the keys, if `[marking] keys` names no other."""
RECEIPT_KEYS = "receipt-keys"
"""The file in the data folder with the keys, if `[marking] receipt_keys` names no other."""
TEST_CERTIFICATE = "manifest-test-certificate.pem"
"""The file in the data folder that the server makes if `[marking] certificate` names no other."""
