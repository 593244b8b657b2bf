"""Whose key signed a claim: ours alone counts, and a store of two minds counts for nobody."""

import json
import random
from io import BytesIO

import c2pa
import pytest

from proxy.features.marks.claim_signature import is_signed_with
from tests.features.marks.signed_files import Signatory, beside, signatory
from tests.proxy.audio.recordings.clips import wav
from tests.sound import tone

WAV = wav(tone(440, 0.5))


@pytest.fixture(scope="module")
def us() -> Signatory:
    return signatory("voxgate")


@pytest.fixture(scope="module")
def store(us: Signatory) -> bytes:
    return beside(WAV, us)


@pytest.fixture(scope="module")
def label(store: bytes) -> str:
    with c2pa.Reader("audio/wav", BytesIO(WAV), manifest_data=store) as reader:
        return str(json.loads(reader.json())["active_manifest"])


def _box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4) + kind + content


def _parts(superbox: bytes) -> list[bytes]:
    """The boxes in a superbox, whole."""
    at, found = 8, []
    while at < len(superbox):
        size = int.from_bytes(superbox[at : at + 4])
        found.append(superbox[at : at + size])
        at += size
    return found


def test_our_key_is_known_and_no_other(store: bytes, label: str, us: Signatory) -> None:
    assert is_signed_with(store, label, us.leaf)
    assert not is_signed_with(store, label, signatory("voxgate").leaf)
    assert not is_signed_with(store, label, us.root)
    assert not is_signed_with(store, f"{label}0", us.leaf)


def test_a_store_that_is_cut_counts_for_nobody(store: bytes, label: str, us: Signatory) -> None:
    for end in random.Random(3).sample(range(len(store)), 60):
        assert not is_signed_with(store[:end], label, us.leaf)
    assert not is_signed_with(store, label, b"no certificate")


def test_a_signature_that_is_no_byte_string_is_none(store: bytes, label: str, us: Signatory) -> None:
    assert store[-66:-64] == b"\x58\x40"
    as_text = store[:-66] + b"\x78\x40" + store[-64:]
    assert not is_signed_with(as_text, label, us.leaf)


def test_a_changed_claim_is_not_ours(store: bytes, label: str, us: Signatory) -> None:
    """What the signature covers cannot change. The bytes of assertions are the library's matter."""
    claim = next(part for part in _parts(_parts(store)[1]) if b"c2pa.claim" in part[:80])
    at = store.index(claim)
    for place in range(at + 90, at + len(claim), 17):
        changed = store[:place] + bytes([store[place] ^ 1]) + store[place + 1 :]
        assert not is_signed_with(changed, label, us.leaf), place


@pytest.mark.parametrize("twice", [b"c2pa.claim", b"c2pa.signature"])
def test_two_of_one_count_for_nobody(twice: bytes, store: bytes, label: str, us: Signatory) -> None:
    """A stranger's manifest may carry our claim and signature beside its own."""
    described, manifest = _parts(store)
    parts = _parts(manifest)
    again = next(part for part in parts if twice in part[:80])
    doubled = _box(b"jumb", described + _box(b"jumb", b"".join([*parts, again])))
    assert is_signed_with(_box(b"jumb", described + _box(b"jumb", b"".join(parts))), label, us.leaf)
    assert not is_signed_with(doubled, label, us.leaf)
    assert not is_signed_with(_box(b"jumb", described + manifest + manifest), label, us.leaf)
    assert not is_signed_with(store + store, label, us.leaf)
