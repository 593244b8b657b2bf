"""[vault]: a section with keys, which are named in the file and never written there."""

from __future__ import annotations

from typing import Annotated

import msgspec


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
