"""The digest of an answer is that of its bytes, however they were cut."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from proxy.provenance.clip_digest import ClipDigest


@given(st.lists(st.binary(max_size=50)))
def test_the_digest_is_of_the_whole(pieces: list[bytes]) -> None:
    digest, whole = ClipDigest(), b"".join(pieces)
    for piece in pieces:
        digest.add(piece)
    assert (digest.sha256, digest.bytes) == (hashlib.sha256(whole).hexdigest(), len(whole))
