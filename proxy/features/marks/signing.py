"""The certificate that signs, and the messages between a worker and its signing process: one request and one
answer at a time.

A file follows its message in pieces, so that no worker has it in memory. Keys are sent this way alone, never
in a command line.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from speech_engine.redacted import Redacted

MOST_BODY_BYTES = 32 * 2**20
"""The largest file that gets an embedded manifest: the library needs five times its size."""

PARENT = "parent"
"""The label under which a manifest names its parent: the provider's file, or the converted recording."""


class UnusableCertificate(ValueError):
    """The certificate cannot sign manifests. The message has the reason, and never the key."""


class SigningCertificate(msgspec.Struct, frozen=True):
    """A certificate that signs manifests.

    `chain` is in PEM, and its first certificate signs. `key` is the private key of that certificate, in PEM
    (PKCS 8). `algorithm` is the name that the manifest library uses, such as `es256`.
    """

    chain: str
    key: str
    algorithm: str
    subject: str
    expires: datetime
    is_test: bool

    def __repr__(self) -> str:
        return f"<SigningCertificate of {self.subject!r}, {self.algorithm}>"


class SignRequest(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A manifest to sign. Without `file_bytes`, it is for any file with this SHA-256. With them, a file of so
    many bytes follows, in which it is embedded.

    With `parent_bytes`, another file follows, which has its own manifest. The new manifest names it as its
    parent.
    """

    definition: str
    chain: str = ""
    key: str = ""
    algorithm: str = ""
    timestamp_url: str = ""
    timestamp_s: float = 0.0
    digest: bytes = b""
    media_type: str = ""
    file_bytes: int = 0
    parent_bytes: int = 0
    parent_type: str = ""


class Signed(Redacted, msgspec.Struct, frozen=True, tag="signed"):
    """The answer to a signed request. The manifest of a digest is `data`. Of a file, `data` is empty, and the
    file with its manifest follows, `file_bytes` long.

    `lacks` names the confinements that this machine does not support.
    """

    data: bytes = b""
    file_bytes: int = 0
    is_stamped: bool = False
    has_parent: bool = False
    lacks: tuple[str, ...] = ()


class Unsigned(msgspec.Struct, frozen=True, tag="unsigned"):
    """The library's reason why it did not sign. It quotes nothing of the file."""

    reason: str


_answers: msgspec.msgpack.Decoder[Signed | Unsigned] = msgspec.msgpack.Decoder(Signed | Unsigned)
_requests = msgspec.msgpack.Decoder(SignRequest)


def decode_request(data: bytes) -> SignRequest:
    return _requests.decode(data)


def decode_answer(data: bytes) -> Signed | Unsigned:
    return _answers.decode(data)
