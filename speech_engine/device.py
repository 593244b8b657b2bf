"""The device that an engine computes on."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

DeviceKind = Literal["cpu", "cuda", "rocm"]
DeviceName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(auto|cpu|(cuda|rocm)(:[0-9]{1,2})?)\Z",
        description='"auto", "cpu", "cuda", "cuda:1" or "rocm"',
    ),
]
"""A device as a configuration names it."""


class Device(msgspec.Struct, frozen=True):
    """A processor, or one of this machine's cards. A host has seen that it is there."""

    kind: DeviceKind = "cpu"
    index: int = 0

    def __str__(self) -> str:
        return self.kind if self.kind == "cpu" else f"{self.kind}:{self.index}"

    @property
    def torch(self) -> str:
        """The name that torch has for it. For torch, a card of AMD is a cuda device, too."""
        return "cpu" if self.kind == "cpu" else f"cuda:{self.index}"


CPU = Device()
