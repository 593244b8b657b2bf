"""The C2PA library: 23 MB of native code, which only the signing process loads."""

from __future__ import annotations

import ctypes
import io
import json
from collections.abc import Callable
from typing import Any

import c2pa
from c2pa import c2pa as binding

from proxy.features.marks.signing import PARENT, SignRequest, Unsigned

_MOST_REASON_CHARACTERS = 300
_SIDECAR = b"application/c2pa"
_HASH_NAME = "jumbf manifest"
_PARENT = {"relationship": "parentOf", "label": PARENT}


def sign(
    request: SignRequest, timestamp_url: str, file: bytes = b"", parent: bytes = b""
) -> bytes | Unsigned:
    """Return the manifest of a digest, or the file with its manifest, or the library's refusal."""
    try:
        chain, key = request.chain.encode(), request.key.encode()
        info = c2pa.C2paSignerInfo(request.algorithm, chain, key, timestamp_url or None)
        with c2pa.Signer.from_info(info) as signer, c2pa.Builder(request.definition) as builder:
            if not file:
                return _sign_digest(builder, signer, request.digest)
            if parent:
                builder.add_ingredient(_PARENT, request.parent_type, io.BytesIO(parent))
            made = io.BytesIO()
            builder.sign(signer, request.media_type, io.BytesIO(file), made)
            return made.getvalue()
    except c2pa.C2paError as error:
        return Unsigned(str(error)[:_MOST_REASON_CHARACTERS])


def _sign_digest(builder: Any, signer: Any, digest: bytes) -> bytes:
    """Sign a manifest for any file with this SHA-256, without the file.

    The wrapper has no call for this, so the library is called here as the wrapper calls it.
    """
    library = binding._lib  # noqa: SLF001 - see above
    reserve, finish = (
        library.c2pa_builder_data_hashed_placeholder,
        library.c2pa_builder_sign_data_hashed_embeddable,
    )
    text, pointer = ctypes.c_char_p, ctypes.c_void_p
    reserve.restype = finish.restype = ctypes.c_int64
    reserve.argtypes = [pointer, ctypes.c_size_t, text, pointer]
    finish.argtypes = [pointer, pointer, text, text, pointer, pointer]
    hashed = {"name": _HASH_NAME, "alg": "sha256", "hash": list(digest), "pad": [], "exclusions": []}
    encoded = json.dumps(hashed).encode()
    builder_at, signer_at = _address(builder), _address(signer)
    # The placeholder is an assertion of the manifest, which the signature then covers with its true value.
    _bytes_of(lambda out: reserve(builder_at, signer.reserve_size(), _SIDECAR, out))
    return _bytes_of(lambda out: finish(builder_at, signer_at, encoded, _SIDECAR, None, out))


def _address(resource: Any) -> ctypes.c_void_p:
    return ctypes.cast(resource._handle, ctypes.c_void_p)  # noqa: SLF001 - see `_sign_digest`


def _bytes_of(call: Callable[[Any], int]) -> bytes:
    """Return the bytes of a library call, and free the library's memory."""
    out = ctypes.c_void_p()
    size = call(ctypes.byref(out))
    if size < 0 or not out.value:
        raise c2pa.C2paError(binding._read_native_error() or "no reason")  # noqa: SLF001 - see `_sign_digest`
    try:
        return ctypes.string_at(out, size)
    finally:
        binding._lib.c2pa_manifest_bytes_free(out)  # noqa: SLF001 - see `_sign_digest`
