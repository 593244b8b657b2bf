"""Where the server's engines get the recordings of voices from."""

from __future__ import annotations

from typing import Protocol

from speech_engine import ModelInfo


class SampleUnavailable(Exception):
    """A recording cannot be read: it was deleted, or its store fails. The message is for the log."""


class ModelFileReader(Protocol):
    """The file of a trained voice, read from its beginning."""

    @property
    def size(self) -> int: ...

    async def next_part(self) -> bytes:
        """Return the next bytes. Raises SampleUnavailable."""
        ...


class RecordingSource(Protocol):
    """The recordings of all accounts, as models need them."""

    async def pcm(self, tenant: str, digest: str, info: ModelInfo) -> bytes:
        """Return a recording of this account as 16-bit mono at `info.sample_hz`, cut to `info.sample_s`.

        Raises SampleUnavailable, also if the digest belongs to another account.
        """
        ...


class SampleSource(RecordingSource, Protocol):
    """The recordings of all accounts, and the files of their trained voices."""

    async def model(self, tenant: str, digest: str) -> ModelFileReader:
        """Return the file of a voice of this account, "" for the operator. Raises SampleUnavailable."""
        ...


class DeferredSource:
    """The recordings for engines, which open before the features. A feature sets the `source`."""

    source: SampleSource | None = None

    async def pcm(self, tenant: str, digest: str, info: ModelInfo) -> bytes:
        if self.source is None:
            raise SampleUnavailable("this server keeps no recordings")
        return await self.source.pcm(tenant, digest, info)

    async def model(self, tenant: str, digest: str) -> ModelFileReader:
        if self.source is None:
            raise SampleUnavailable("this server keeps no trained voices")
        return await self.source.model(tenant, digest)


NO_SOURCE: SampleSource = DeferredSource()
