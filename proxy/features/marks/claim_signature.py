"""Tells whether our key signed a C2PA claim.

The library accepts a manifest by any signer. The name in a certificate proves nothing, because any signer can
write one. So the signature is verified once more, with the key of our own certificate.
"""

from __future__ import annotations

from collections.abc import Iterator

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.x509 import load_pem_x509_certificate

_HEAD_BYTES = 8
_SUPERBOX, _DESCRIPTION, _CBOR = "jumb", "jumd", "cbor"
_TYPE_BYTES = 16
_HAS_LABEL = 2
_SIGN_1 = b"\xd2\x84"
"""A COSE_Sign1 begins with its tag, and with an array of four."""
_SIGNED_HEAD = b"\x84\x6aSignature1"
"""The signed bytes begin with the head of an array of four, and with this text."""
_ED25519_SIGNATURE_BYTES = 64
_BYTE_STRING, _FIRST_LONG = 0x40, 24
"""In CBOR, the first byte of a byte string is `_BYTE_STRING` plus its length. If the length is `_FIRST_LONG`
or more, `_FIRST_LONG` plus 0 to 3 stands there instead, and the length follows in 1, 2, 4 or 8 bytes."""


def is_signed_with(store: bytes, manifest: str, certificate: bytes) -> bool:
    """Tell whether the key of a certificate (PEM) signed the claim of a manifest in a C2PA store."""
    try:
        claim, signature = _claim_and_signature(store, manifest)
        return _is_verified(certificate, claim, signature)
    except (ValueError, IndexError, InvalidSignature):
        return False


def _claim_and_signature(store: bytes, manifest: str) -> tuple[bytes, bytes]:
    """Return the claim and its signature as CBOR. Raise ValueError if one occurs twice: the library may have
    checked the other one."""
    whole = _only([content for _, content in _boxes(store)])
    inside = _only([content for label, content in _labelled_boxes(whole) if label == manifest])
    boxes = _labelled_boxes(inside)
    claim = _only([content for label, content in boxes if label.startswith("c2pa.claim")])
    signature = _only([content for label, content in boxes if label.startswith("c2pa.signature")])
    return _cbor_content(claim), _cbor_content(signature)


def _only(contents: list[bytes]) -> bytes:
    [content] = contents
    return content


def _labelled_boxes(data: bytes) -> list[tuple[str, bytes]]:
    return [(_label(content), content) for kind, content in _boxes(data) if kind == _SUPERBOX]


def _boxes(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the type and the content of each box (JUMBF)."""
    offset = 0
    while offset < len(data):
        size = int.from_bytes(data[offset : offset + 4])
        if not _HEAD_BYTES <= size <= len(data) - offset:
            raise ValueError("a box is not whole")
        kind = data[offset + 4 : offset + _HEAD_BYTES].decode("latin-1")
        yield kind, data[offset + _HEAD_BYTES : offset + size]
        offset += size


def _label(content: bytes) -> str:  # a description has a type, a byte of flags, and perhaps a label
    kind, described = next(_boxes(content), ("", b""))
    if kind != _DESCRIPTION or not described[_TYPE_BYTES] & _HAS_LABEL:
        return ""
    return described[_TYPE_BYTES + 1 :].partition(b"\0")[0].decode("utf-8", "replace")


def _cbor_content(superbox: bytes) -> bytes:
    return _only([content for kind, content in _boxes(superbox) if kind == _CBOR])


def _is_verified(certificate: bytes, claim: bytes, cose: bytes) -> bool:
    """Verify a COSE_Sign1 without a payload, of the claim beside it. A wrong one gives False or raises."""
    if not cose.startswith(_SIGN_1):
        return False
    protected, _ = _bytes_at(cose, len(_SIGN_1))
    signed = _SIGNED_HEAD + _cbor_bytes(protected) + _cbor_bytes(b"") + _cbor_bytes(claim)
    key = load_pem_x509_certificate(certificate).public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        size = (key.key_size + 7) // 8
        # The signature is the last of the four, so the map before it need not be read.
        raw = _last_bytes(cose, 2 * size)
        r, s = int.from_bytes(raw[:size]), int.from_bytes(raw[size:])
        key.verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(_hash_of(key.key_size)))
        return True
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(_last_bytes(cose, _ED25519_SIGNATURE_BYTES), signed)
        return True
    if isinstance(key, rsa.RSAPublicKey):
        return any(_is_verified_by_rsa(key, cose, signed, hash_) for hash_ in (SHA256(), SHA384(), SHA512()))
    return False


def _is_verified_by_rsa(key: rsa.RSAPublicKey, cose: bytes, signed: bytes, hash_: HashAlgorithm) -> bool:
    pss = padding.PSS(padding.MGF1(hash_), hash_.digest_size)
    try:
        key.verify(_last_bytes(cose, key.key_size // 8), signed, pss, hash_)
    except InvalidSignature:
        return False
    return True


def _hash_of(bits: int) -> HashAlgorithm:
    return SHA256() if bits <= 256 else SHA384() if bits <= 384 else SHA512()


def _bytes_at(data: bytes, offset: int) -> tuple[bytes, int]:
    """Read a byte string of CBOR. Return it, and where the next item begins."""
    more = data[offset] - _BYTE_STRING
    if not 0 <= more < _FIRST_LONG + 4:
        raise ValueError("no byte string stands there")
    width = 0 if more < _FIRST_LONG else 1 << (more - _FIRST_LONG)
    begin = offset + 1 + width
    size = int.from_bytes(data[offset + 1 : begin]) if width else more
    if size > len(data) - begin:
        raise ValueError("a byte string is not whole")
    return data[begin : begin + size], begin + size


def _cbor_bytes(data: bytes) -> bytes:
    size = len(data)
    if size < _FIRST_LONG:
        return bytes([_BYTE_STRING + size]) + data
    step = next(step for step in range(4) if size < 1 << (8 << step))
    return bytes([_BYTE_STRING + _FIRST_LONG + step]) + size.to_bytes(1 << step) + data


def _last_bytes(cose: bytes, size: int) -> bytes:
    """Return the byte string of this size at the end. Raise ValueError if the end has another size."""
    last = cose[-size:]
    if not cose.endswith(_cbor_bytes(last)):
        raise ValueError("the signature has another size")
    return last
