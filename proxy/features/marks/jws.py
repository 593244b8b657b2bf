"""Signatures that other tools verify: compact JWS (RFC 7515) by Ed25519 (RFC 8037), with keys as JWK."""

from __future__ import annotations

import hashlib
from base64 import b64decode, urlsafe_b64encode
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_KEY_BYTES = 32
_URL_SAFE = b"-_"


RECEIPT_TYPE = "voxgate-receipt+jws"
"""The type in a receipt's header, so that no other text by the same key passes for a receipt (RFC 8725,
3.11)."""


class Jwk(msgspec.Struct, frozen=True, kw_only=True):
    """A public key. `kid` is its thumbprint (RFC 7638), so it cannot be given to another key."""

    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    x: str
    kid: str
    use: Literal["sig"] = "sig"
    alg: Literal["EdDSA"] = "EdDSA"


class JwkSet(msgspec.Struct, frozen=True):
    """Public keys, the newest first."""

    keys: list[Jwk]


class _Header(msgspec.Struct, frozen=True):
    """The header of a JWS. A `crit` names required extensions, and this reader knows none."""

    alg: str
    kid: str = ""
    typ: str = ""
    crit: list[str] | None = None


class SignedText(NamedTuple):
    """The parts of a JWS. Nothing of it is verified yet. `type` is its own statement."""

    kid: str
    type: str
    payload: bytes
    signed: bytes
    signature: bytes


class SigningKey:
    """A private key. Its library, which is large, is loaded when it is used for the first time."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed

    @cached_property
    def _private(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self._seed)

    @cached_property
    def jwk(self) -> Jwk:
        return jwk_of(self._private.public_key().public_bytes_raw())

    def sign(self, payload: bytes, type_: str) -> str:
        header = msgspec.json.encode({"alg": "EdDSA", "kid": self.jwk.kid, "typ": type_})
        signed = f"{_encode(header)}.{_encode(payload)}"
        return f"{signed}.{_encode(self._private.sign(signed.encode()))}"


def jwk_of(public: bytes) -> Jwk:
    x = _encode(public)
    return Jwk(x=x, kid=_thumbprint(x))


def read_jwk(value: Any) -> Jwk:
    """Read a public key. Its `kid` is computed, not read. Raises ValueError with the reason."""
    try:
        x = msgspec.convert(value, _JwkFields).x
        public = _decode(x)
    except (msgspec.ValidationError, ValueError):
        raise ValueError("a key is no JWK of Ed25519") from None
    if len(public) != _KEY_BYTES:
        raise ValueError("a key of Ed25519 has 32 bytes")
    return jwk_of(public)


def parse_jws(text: str) -> SignedText:
    """Take a compact JWS apart. Raises ValueError with the reason."""
    parts = text.strip().split(".")
    try:
        header, payload, signature = map(_decode, parts)
        head = msgspec.json.decode(header, type=_Header)
    except (ValueError, RecursionError):
        raise ValueError("this is no JWS") from None
    if head.alg != "EdDSA" or head.crit is not None:
        raise ValueError("this JWS is of another kind: a receipt's alg is EdDSA, without crit")
    return SignedText(head.kid, head.typ, payload, ".".join(parts[:2]).encode(), signature)


def is_signed_by(jws: SignedText, key: Jwk) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(_decode(key.x)).verify(jws.signature, jws.signed)
    except InvalidSignature:
        return False
    return True


class _JwkFields(msgspec.Struct, frozen=True):
    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str


def _thumbprint(x: str) -> str:
    members = f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'
    return _encode(hashlib.sha256(members.encode()).digest())


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    """Decode base64url without padding, as JOSE writes it. Raises ValueError for anything else."""
    data = b64decode(text + "=" * (-len(text) % 4), altchars=_URL_SAFE, validate=True)
    if _encode(data) != text:
        raise ValueError("not in the one form that these bytes have")
    return data
