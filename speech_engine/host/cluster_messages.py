"""The messages on a host's pipe about its cluster: its certificates, its load, and who watches it."""

from __future__ import annotations

import msgspec


class HostTls(msgspec.Struct, frozen=True):
    """What a host needs for mutual TLS, each in PEM. It trusts the clients of `authority`."""

    certificate: bytes
    key: bytes
    authority: bytes

    def __repr__(self) -> str:
        return "<HostTls>"


class HostLoad(msgspec.Struct, frozen=True):
    """The jobs of a host, its slots, and the estimated time until a new job begins."""

    jobs: int
    slots: int
    waiting_s: float


class Watched(msgspec.Struct, frozen=True, tag="watched"):
    """A message to a host, once a second: a gateway watches it. `is_first`: none did before."""

    is_first: bool
