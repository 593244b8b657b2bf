"""One line of what `voxgate check` found."""

from __future__ import annotations

from typing import Any

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """`ok` is false for what an operator has to mend, `is_warning` true for what should be known of the
    rest."""

    kind: str
    name: str
    ok: bool
    note: str
    is_warning: bool = False

    def plain(self) -> dict[str, Any]:
        return msgspec.structs.asdict(self)
