"""The findings of a search for marks and manifests, and the jobs of the processes that search."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from speech_engine.mark import PAYLOAD_BITS, Detection
from speech_engine.redacted import Redacted

ManifestState = Literal["trusted", "valid", "invalid", "not_present"]
"""`trusted` is signed by this server. `valid` fits the file, by any signer. `invalid` proves nothing."""


class MarkFinding(msgspec.Struct, frozen=True):
    """The result of one mark's detector. `fault` is its error, if it failed. `key` is None if no mark was
    found, and "" if a mark without keys was found. `payload` is None if it could not be read."""

    plugin: str
    score: float = 0.0
    threshold: float = 0.0
    key: str | None = None
    payload: int | None = None
    begin_s: float = 0.0
    seconds: float = 0.0
    fault: str = ""
    payload_bits: int = PAYLOAD_BITS

    @classmethod
    def of(cls, plugin: str, found: Detection) -> MarkFinding:
        return cls(
            plugin,
            found.score,
            found.threshold,
            found.key,
            found.payload,
            found.begin_s,
            found.seconds,
            payload_bits=found.payload_bits,
        )

    @property
    def is_found(self) -> bool:
        return self.key is not None

    @property
    def has_our_key(self) -> bool:
        """Whether one of the known keys made the mark, which may be a copy. Anyone can make a mark without
        keys."""
        return bool(self.key)


class ManifestFinding(msgspec.Struct, frozen=True):
    """The statements of a C2PA manifest, if it is valid. Any signer is possible, so only `signed_by_us`
    proves a name.

    `issuer` is the organisation in the certificate, and `model` is the model that made the sound.
    `source_type` is the last word of IPTC's digital source type, such as `trainedAlgorithmicMedia`.
    `lacks` names what the process that searched could not be denied.
    """

    state: ManifestState = "not_present"
    issuer: str | None = None
    generated_at: str | None = None
    model: str | None = None
    source_type: str | None = None
    signed_by_us: bool = False
    lacks: tuple[str, ...] = ()


class Examination(msgspec.Struct, frozen=True):
    """All that was found. `seconds` were looked at; `is_cut` if the recording is longer."""

    marks: tuple[MarkFinding, ...]
    manifest: ManifestFinding
    seconds: float
    is_cut: bool


class SearchJob(Redacted, msgspec.Struct, frozen=True):
    """A search for marks: bare samples, the settings of marks by name, and the keys with their ids.

    `settings` names every required mark. Other installed marks are searched for, too.
    """

    pcm: bytes
    rate_hz: int
    sample_bytes: int
    settings: dict[str, dict[str, Any]]
    keys: tuple[tuple[str, bytes], ...]


class ManifestJob(Redacted, msgspec.Struct, frozen=True):
    """A file, and the manifest that came beside it. `certificate` is our own, in PEM."""

    data: bytes
    manifest: bytes | None
    certificate: bytes | None
