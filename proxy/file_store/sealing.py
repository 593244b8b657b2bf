"""The format of sealed bytes: pure functions over bytes and keys. docs/security.md has it for auditors.

A blob is a head of 16 bytes, then frames of 64 KiB, each sealed by AES-256-GCM under a key of its own blob:

    head    = "VXS1" 01 00 0000, plain size (u64)
    nonce   = 00 × 7, is last (0 or 1), index (u32);  AAD = head, length of owner (u8), owner, digest
    wrapped = 01, key id (8), nonce (12), data key sealed by the master key;
              AAD = "VXK1", key id, length of owner (u8), owner, subject

A data key is used for one blob only, so that the counted nonces cannot repeat.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from base64 import b64decode, b64encode
from io import BytesIO

import msgspec

KEY_BYTES = 32
FRAME_BYTES = 65_536
HEAD_BYTES = 16

ACCOUNT_KEY_SUBJECT = b"account"
"""The subject of the key of an account. That of a recording's key is its digest."""

_TAG_BYTES = 16
SEALED_FRAME_BYTES = FRAME_BYTES + _TAG_BYTES
_NONCE_BYTES = 12
_HEAD = b"VXS1\x01\x00\x00\x00"
_VERSION = b"\x01"
_KEY_ID_BYTES = 8
_ID_CHARACTERS = 12
"""Base64 of the version and the key id, which are nine bytes: nothing of the rest is in these characters."""


class Tampered(Exception):
    """The bytes were not sealed under this key, for this owner and subject."""


class _Cipher:
    """AES-256-GCM under one key. It loads its library at the first use: a worker that seals nothing has no
    need of those 7 MiB."""

    def __init__(self, key: bytes) -> None:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._aes, self._faults = AESGCM(key), (InvalidTag, ValueError)
        self.encrypt = self._aes.encrypt

    def decrypt(self, nonce: bytes, sealed: bytes | memoryview, bound: bytes) -> bytes:
        """Return the plain bytes. Raises Tampered."""
        try:
            return self._aes.decrypt(nonce, sealed, bound)
        except self._faults:
            raise Tampered from None


class MasterKey:
    """A master key. It wraps the keys of blobs and rows, and seals nothing else. `naming` is the key of the
    digests by which secrets are named outside of the database, `texts` that of the digests of texts, and
    `erasures` that of the signatures of the journal of erasures, which outlives a lost database."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise ValueError(f"a master key has {KEY_BYTES} bytes, not {len(secret)}")
        self.id = hashlib.sha256(_derive(secret, b"voxgate/id/v1")).digest()[:_KEY_ID_BYTES]
        self.prefix = b64encode(_VERSION + self.id).decode()
        self._wrapping = _derive(secret, b"voxgate/wrap/v1")
        self.naming = _derive(secret, b"voxgate/naming/v1")
        self.texts = _derive(secret, b"voxgate/texts/v1")
        self.erasures = _derive(secret, b"voxgate/erasures/v1")

    def __repr__(self) -> str:
        return f"<MasterKey {self.id.hex()}>"

    def wrap(self, key: bytes, owner: str, subject: bytes, nonce: bytes | None = None) -> str:
        """Wrap a key for one subject of one owner. Only a test gives the nonce."""
        nonce = nonce or os.urandom(_NONCE_BYTES)
        sealed = _Cipher(self._wrapping).encrypt(nonce, key, self._bound(owner, subject))
        return b64encode(_VERSION + self.id + nonce + sealed).decode()

    def unwrap(self, wrapped: str, owner: str, subject: bytes) -> bytes:
        """Return the key. Raises Tampered."""
        nonce, sealed = _nonce_and_rest(wrapped, len(_VERSION) + _KEY_ID_BYTES)
        return _Cipher(self._wrapping).decrypt(nonce, sealed, self._bound(owner, subject))

    def _bound(self, owner: str, subject: bytes) -> bytes:
        return b"VXK1" + self.id + _with_length(owner) + subject


class MasterKeys:
    """The master keys of a server. The newest wraps; the others only unwrap, until nothing needs them."""

    def __init__(self, newest: MasterKey, *older: MasterKey) -> None:
        self.newest = newest
        self.older = [key for key in older if key.prefix != newest.prefix]
        self._by_prefix = {key.prefix: key for key in (newest, *older)}

    def __repr__(self) -> str:
        return f"<MasterKeys {[key.id.hex() for key in self._by_prefix.values()]}>"

    def wrap(self, key: bytes, owner: str, subject: bytes) -> str:
        return self.newest.wrap(key, owner, subject)

    def unwrap(self, wrapped: str, owner: str, subject: bytes) -> bytes | None:
        """Return the key, or None if its master key is not configured. Raises Tampered."""
        master = self._by_prefix.get(wrapped[:_ID_CHARACTERS])
        return None if master is None else master.unwrap(wrapped, owner, subject)

    def knows(self, prefix: str) -> bool:
        return prefix in self._by_prefix

    def have_signed(self, erasure: bytes, signature: str) -> bool:
        """Tell whether one of the keys has signed a line of the journal of erasures."""
        keys = self._by_prefix.values()
        return any(hmac.compare_digest(erasure_signature(key, erasure), signature) for key in keys)


def master_id_of(wrapped: str) -> str:
    """Return the id of the master key that wrapped this, or "" if this is no wrapped key."""
    try:
        return b64decode(wrapped[:_ID_CHARACTERS], validate=True)[1:].hex()
    except ValueError:
        return ""


def row_subject(row_id: str) -> bytes:
    """Return the subject of the key of a row."""
    return b"row:" + row_id.encode()


def blob_subject(digest: str) -> bytes:
    """Return the subject of the key of a recording. Raises Tampered: a row may say anything."""
    try:
        return bytes.fromhex(digest)
    except ValueError:
        raise Tampered from None


def new_key() -> bytes:
    return os.urandom(KEY_BYTES)


def keyed_digest(owner_key: bytes, plain: bytes) -> str:
    """Return the digest of bytes by their owner's key, in hex. Another owner's digest of them differs."""
    return hmac.digest(owner_key, plain, "sha256").hex()


def erasure_signature(key: MasterKey, line: bytes) -> str:
    """Return the signature of a line of the journal of erasures, which is 12 digits of its name."""
    return hmac.digest(key.erasures, line, "sha256").hex()[:12]


def seal(plain: bytes, key: bytes, owner: str, digest: str) -> bytes:
    """Seal bytes as a blob. The key is a new one, and is never used again."""
    head = _HEAD + len(plain).to_bytes(8)
    cipher, bound, view = _Cipher(key), head + _bound_blob(owner, digest), memoryview(plain)
    count = _frame_count(len(plain))
    sealed = _buffer(sealed_bytes(len(plain)))
    sealed.write(head)
    for index in range(count):
        frame = view[index * FRAME_BYTES : (index + 1) * FRAME_BYTES]
        sealed.write(cipher.encrypt(_nonce(index, count), frame, bound))
    return sealed.getvalue()


def _buffer(size: int) -> BytesIO:
    """Return a buffer of its final size: to grow it, or to join a list of its parts, would copy all of it."""
    buffer = BytesIO()
    if size > 0:
        buffer.seek(size - 1)
        buffer.write(b"\0")
        buffer.seek(0)
    return buffer


def sealed_bytes(plain_bytes: int) -> int:
    """Return the size of a blob."""
    return HEAD_BYTES + plain_bytes + _frame_count(plain_bytes) * _TAG_BYTES


class SealedFrames:
    """The frames of one blob, which open in any order: so a reader never needs all of them in memory."""

    def __init__(self, head: bytes, blob_bytes: int, key: bytes, owner: str, digest: str) -> None:
        """Take the head of a blob, and the bytes that the blob has. Raises Tampered."""
        self.plain_bytes = int.from_bytes(head[len(_HEAD) : HEAD_BYTES])
        self._count = _frame_count(self.plain_bytes)
        if not head.startswith(_HEAD) or blob_bytes != sealed_bytes(self.plain_bytes):
            raise Tampered
        self._cipher = _Cipher(key)
        self._bound = head + _bound_blob(owner, digest)

    def open(self, first: int, sealed: bytes | memoryview) -> bytes:
        """Return the plain bytes of whole frames that follow one another, from the frame `first` on.

        Raises Tampered: for frames that were cut, changed or exchanged.
        """
        view = memoryview(sealed)
        places = range(0, len(view), SEALED_FRAME_BYTES)
        plain = _buffer(len(view) - len(places) * _TAG_BYTES)
        for index, at in enumerate(places, first):
            frame = view[at : at + SEALED_FRAME_BYTES]
            plain.write(self._cipher.decrypt(_nonce(index, self._count), frame, self._bound))
        return plain.getvalue()


def seal_value(value: msgspec.Struct, key: bytes, owner: str, row: str) -> str:
    nonce = os.urandom(_NONCE_BYTES)
    sealed = _Cipher(key).encrypt(nonce, msgspec.json.encode(value), _bound_row(owner, row))
    return b64encode(_VERSION + nonce + sealed).decode()


def open_value(sealed: str, key: bytes, owner: str, row: str) -> bytes:
    """Return a value as JSON. Raises Tampered."""
    nonce, rest = _nonce_and_rest(sealed, len(_VERSION))
    return _Cipher(key).decrypt(nonce, rest, _bound_row(owner, row))


def _nonce_and_rest(text: str, start: int) -> tuple[bytes, bytes]:
    """Take sealed bytes in Base64 apart. Raises Tampered."""
    try:
        raw = b64decode(text, validate=True)
    except ValueError:
        raise Tampered from None
    return raw[start : start + _NONCE_BYTES], raw[start + _NONCE_BYTES :]


def _derive(secret: bytes, purpose: bytes) -> bytes:
    """Derive a key by HKDF (RFC 5869) with SHA-256, whose block is as long as a key."""
    extracted = hmac.digest(bytes(KEY_BYTES), secret, "sha256")
    return hmac.digest(extracted, purpose + b"\x01", "sha256")


def _frame_count(size: int) -> int:
    return max(1, -(-size // FRAME_BYTES))


def _nonce(index: int, count: int) -> bytes:  # `count` is that of all frames, so that a cut blob is noticed
    return bytes(7) + bytes([index == count - 1]) + index.to_bytes(4)


def _with_length(owner: str) -> bytes:
    name = owner.encode()
    return bytes([len(name)]) + name


def _bound_blob(owner: str, digest: str) -> bytes:
    return _with_length(owner) + bytes.fromhex(digest)


def _bound_row(owner: str, row: str) -> bytes:
    return b"VXR1" + _with_length(owner) + row.encode()
