"""Where the server's engines get the recordings of voices from."""

from __future__ import annotations

from typing import Protocol

from speech_engine import ModelInfo


class SampleUnavailable(Exception):
    """A recording cannot be had: it was deleted, or its store fails. The message is for the log."""


class SampleSource(Protocol):
    """The recordings of all accounts, as models need them."""

    async def pcm(self, tenant: str, digest: str, info: ModelInfo) -> bytes:
        """Return a recording of this account as 16-bit mono at `info.sample_hz`, cut to `info.sample_s`.

        Raises SampleUnavailable, also if the digest belongs to another account.
        """
        ...


class NoSource:
    """The source of a server that keeps no recordings."""

    async def pcm(self, tenant: str, digest: str, info: ModelInfo) -> bytes:
        raise SampleUnavailable("this server keeps no recordings")


NO_SOURCE = NoSource()
