"""The format of sealed bytes: fixed by vectors, and closed to every change of blob, owner and subject."""

import hashlib
from base64 import b64decode, b64encode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.file_store import sealing
from proxy.file_store.sealing import MasterKey, MasterKeys, Tampered
from tests.tables import each_row

pytestmark = pytest.mark.unit

MASTER = bytes(range(0x20))
DATA_KEY = bytes(range(0x20, 0x40))
ACCOUNT_KEY = bytes(range(0x40, 0x60))
ACCOUNT = "acc_test"
LONG = bytes(i % 251 for i in range(65_537))
VOXGATE_BLOB = "56585331010000000000000000000007e28dbc040849828d9ebf63701524d6ea6dcd12f75902e4"
WRAPPED = (
    "011661bf1e9b62294900000000000000000000000080b6d5e27dce258eac020026d7eabfabd87471d456c25b5db3d92c03ae6b6db87e"
    "5246ac14d7a3332eff58f92eb3f5fc"
)

SEALED_VALUE = "AQABAgMEBQYHCAkKCydwM8YnUMnWnritpwQOMIluF+R0FPV3d8p0fg+ivg=="


class Said(msgspec.Struct, frozen=True):
    name: str


def _sealed(plain: bytes) -> tuple[str, bytes]:
    digest = sealing.keyed_digest(ACCOUNT_KEY, plain)
    return digest, sealing.seal(plain, DATA_KEY, ACCOUNT, digest)


@pytest.mark.parametrize(
    ("plain", "digest", "blob"),
    [
        (b"", "6656ed44406d8895", "56585331010000000000000000000000e4f9488b509da83df2674bf27be3cbb2"),
        (b"voxgate", "faae7f52df07a2e1", VOXGATE_BLOB),
    ],
)
def test_short_blobs_are_these_bytes(plain: bytes, digest: str, blob: str) -> None:
    found, sealed = _sealed(plain)
    assert found.startswith(digest)
    assert sealed.hex() == blob


def test_a_blob_of_two_frames_is_these_bytes() -> None:
    digest, sealed = _sealed(LONG)
    assert digest.startswith("e50d6a07ce818a17")
    assert len(sealed) == 65_585
    assert hashlib.sha256(sealed).hexdigest().startswith("fd01929bc08b403c")


def test_a_wrapped_key_is_these_bytes() -> None:
    master = MasterKey(MASTER)
    assert master.id.hex() == "1661bf1e9b622949"
    digest, _ = _sealed(b"voxgate")
    wrapped = master.wrap(DATA_KEY, ACCOUNT, bytes.fromhex(digest), nonce=bytes(12))
    assert b64decode(wrapped).hex() == WRAPPED
    assert wrapped.startswith(master.prefix)
    assert sealing.master_id_of(wrapped) == master.id.hex()


@given(st.integers(0, 3), st.sampled_from([-1, 0, 1]))
def test_what_was_sealed_is_opened(frames: int, more: int) -> None:
    plain = bytes(max(0, frames * sealing.FRAME_BYTES + more))
    digest, blob = _sealed(plain)
    assert _opened(blob, ACCOUNT, digest) == plain


def _opened(blob: bytes, owner: str, digest: str) -> bytes:
    frames = sealing.SealedFrames(blob[: sealing.HEAD_BYTES], len(blob), DATA_KEY, owner, digest)
    return frames.open(0, blob[sealing.HEAD_BYTES :])


def _swapped(blob: bytes) -> bytes:
    step = sealing.FRAME_BYTES + 16
    first, second = blob[16 : 16 + step], blob[16 + step : 16 + 2 * step]
    return blob[:16] + second + first + blob[16 + 2 * step :]


def _cut_at_a_frame(blob: bytes) -> bytes:
    kept = blob[16 : 16 + sealing.FRAME_BYTES + 16]
    return blob[:8] + sealing.FRAME_BYTES.to_bytes(8) + kept


@each_row(
    "change",
    [
        _swapped,
        _cut_at_a_frame,
        lambda blob: blob[:-1],
        lambda blob: blob + b"\0",
        lambda blob: blob[:40] + bytes([blob[40] ^ 1]) + blob[41:],
        lambda blob: b"VXS2" + blob[4:],
        lambda blob: blob[:8] + bytes(8) + blob[16:],
        lambda blob: blob[:8] + b"\xff" * 8 + blob[16:],
        lambda _: b"",
    ],
    ids=["swapped", "cut-at-a-frame", "cut", "longer", "flipped", "version", "size-0", "size-huge", "empty"],
)
def test_a_changed_blob_is_not_opened(change: object) -> None:
    assert callable(change)
    digest, blob = _sealed(bytes(2 * sealing.FRAME_BYTES + 5))
    with pytest.raises(Tampered):
        _opened(change(blob), ACCOUNT, digest)


def test_a_blob_opens_for_its_owner_and_digest_alone() -> None:
    digest, blob = _sealed(b"voxgate")
    other, _ = _sealed(b"another")
    for owner, subject in ((ACCOUNT + "2", digest), (ACCOUNT, other)):
        with pytest.raises(Tampered):
            _opened(blob, owner, subject)


def test_a_wrapped_key_opens_for_its_owner_and_subject_alone() -> None:
    keys = MasterKeys(MasterKey(MASTER))
    wrapped = keys.wrap(DATA_KEY, ACCOUNT, b"one")
    assert keys.unwrap(wrapped, ACCOUNT, b"one") == DATA_KEY
    raw = b64decode(wrapped)
    flipped = b64encode(raw[:-1] + bytes((raw[-1] ^ 1,))).decode()
    for owner, subject, text in (
        ("b", b"one", wrapped),
        (ACCOUNT, b"two", wrapped),
        (ACCOUNT, b"one", flipped),
    ):
        with pytest.raises(Tampered):
            keys.unwrap(text, owner, subject)


def test_an_older_master_key_unwraps_and_never_wraps() -> None:
    old, new = MasterKey(MASTER), MasterKey(DATA_KEY)
    wrapped = MasterKeys(old).wrap(ACCOUNT_KEY, ACCOUNT, b"one")
    both = MasterKeys(new, old)
    assert both.unwrap(wrapped, ACCOUNT, b"one") == ACCOUNT_KEY
    assert both.wrap(ACCOUNT_KEY, ACCOUNT, b"one").startswith(new.prefix)
    assert MasterKeys(new).unwrap(wrapped, ACCOUNT, b"one") is None
    assert sealing.master_id_of(wrapped) == old.id.hex()


@each_row("garbage", ["", "AA", "ÄÖÜ" * 10, "?" * 92])
def test_garbage_is_no_wrapped_key(garbage: str) -> None:
    assert MasterKeys(MasterKey(MASTER)).unwrap(garbage, ACCOUNT, b"one") is None


def test_a_sealed_value_opens_in_its_own_row_alone() -> None:
    sealed = sealing.seal_value(Said("Ada"), DATA_KEY, ACCOUNT, "voice_1")
    assert sealing.open_value(sealed, DATA_KEY, ACCOUNT, "voice_1") == b'{"name":"Ada"}'
    assert "Ada" not in b64decode(sealed).decode("latin-1")
    for owner, row, text in (
        ("b", "voice_1", sealed),
        (ACCOUNT, "voice_2", sealed),
        (ACCOUNT, "voice_1", "?"),
    ):
        with pytest.raises(Tampered):
            sealing.open_value(text, DATA_KEY, owner, row)


def test_a_sealed_value_is_these_bytes() -> None:
    nonce = b64decode(SEALED_VALUE)[1:13]
    assert nonce == bytes(range(12))
    assert sealing.open_value(SEALED_VALUE, DATA_KEY, ACCOUNT, "voice_1") == b'{"name":"Ada"}'
    again = sealing.seal_value(Said("Ada"), DATA_KEY, ACCOUNT, "voice_1")
    assert len(again) == len(SEALED_VALUE)
    assert b64decode(again)[0] == b64decode(SEALED_VALUE)[0]
    assert b64decode(again)[1:13] != nonce


def test_no_repr_has_a_key() -> None:
    assert "1661bf1e9b622949" in repr(MasterKeys(MasterKey(MASTER)))
    assert MASTER.hex() not in repr(MasterKey(MASTER))
