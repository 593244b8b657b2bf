"""[host] and [clusters.NAME]: engines on other machines, from the side of the machine and of its gateways."""

from __future__ import annotations

from typing import Annotated

import msgspec

from speech_engine.redacted import Redacted

# Plain HTTP is for trials on one machine only: the key goes with it.
Gateway = Annotated[
    str, msgspec.Meta(pattern=r"^(https://[^\s/?#@]+|http://(127\.0\.0\.1|localhost)(:\d+)?)(/[^\s?#]*)?\Z")
]


class HostSection(Redacted, msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[host]: a machine with engines dials its gateways. `api_key` is a key, or a file that has it."""

    gateways: Annotated[
        tuple[Gateway, ...], msgspec.Meta(description='a list of addresses, ["https://…"]')
    ] = ()
    api_key: Annotated[str, msgspec.Meta(description='"env:NAME" or "file:PATH", or ""')] = ""
    authority: Annotated[
        str,
        msgspec.Meta(
            description="a file with the authority of the gateways' certificates, or \"\" for the system's"
        ),
    ] = ""

    @property
    def is_used(self) -> bool:
        """Whether this machine is a host. Its gateway may come from an option."""
        return self != HostSection()


class ClusterSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[clusters.NAME]: the hosts of engines with this `cluster`, which join by a key."""

    most_hosts: Annotated[int, msgspec.Meta(ge=1, le=1000, description="a number of hosts, 1 to 1000")] = 64
