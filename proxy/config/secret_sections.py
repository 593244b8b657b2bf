"""[vault] and [marking]: sections with keys, which are named in the file and never written there."""

from __future__ import annotations

from typing import Annotated

import msgspec

_Switch = Annotated[bool, msgspec.Meta(description="true or false")]
_Secret = Annotated[
    str, msgspec.Meta(description='"env:NAME" or "file:PATH", or "" for a file in the data folder')
]


class VaultSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[vault]: the keys that seal what people own, and where it lies. The keys are resolved, in base64.

    Without `master_key`, the key is a file in the data folder.
    """

    master_key: Annotated[
        str, msgspec.Meta(description='"env:NAME" or "file:PATH", or "" for a file in the data folder')
    ] = ""
    old_master_keys: Annotated[
        tuple[str, ...], msgspec.Meta(description='a list such as ["env:NAME", "file:PATH"]')
    ] = ()
    folder: Annotated[
        str,
        msgspec.Meta(description='a folder, relative to the config file, or "" for one in the data folder'),
    ] = ""

    def __repr__(self) -> str:
        return f"<VaultSection, {len(self.old_master_keys)} old keys>"


class MarkingSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[marking]: what tells that a machine spoke. Keys and certificates are resolved, as in [vault].

    `mark` is the inaudible mark in the sound, whose `keys` hold the newest one first. `manifests` are signed
    with the certificate, and stamped by `timestamp_url`. `receipts` are for all clips, marked or not. An
    empty key stands for a file in the data folder.
    """

    mark: Annotated[str, msgspec.Meta(description='the name of a mark, or "" for none')] = "spread"
    keys: _Secret = ""
    manifests: _Switch = True
    certificate: Annotated[
        str, msgspec.Meta(description='"env:NAME" or "file:PATH", or "" for a test certificate')
    ] = ""
    certificate_key: Annotated[
        str, msgspec.Meta(description='"env:NAME" or "file:PATH", or "" for a test certificate')
    ] = ""
    timestamp_url: Annotated[
        str, msgspec.Meta(pattern=r"^\Z|^https?://", description='"https://…", or "" for no time stamps')
    ] = ""
    receipts: _Switch = True
    receipt_keys: _Secret = ""

    def __repr__(self) -> str:
        return f"<MarkingSection {self.mark or 'without a mark'}>"
