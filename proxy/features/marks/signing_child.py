"""The process that signs manifests: `python -m proxy.features.marks.signing_child PIPE_FD [network]`.

It answers requests from its pipe one by one, until that ends. Before the first one it has given up
programs and other processes, and files as well without `network`. Only with `network` may it ask for time
stamps.
"""

from __future__ import annotations

import hashlib
import io
import os
import resource
import sys
import threading
import wave

import msgspec

from proxy.features.marks.certificate import make_test_pem, read_test_certificate
from proxy.features.marks.signing import (
    MOST_BODY_BYTES,
    PARENT,
    Signed,
    SignRequest,
    Unsigned,
    decode_request,
)
from proxy.features.marks.signing_library import sign
from proxy.helpers.job_confinement import confine_job, used_mb
from speech_engine.host.child_pipe import pipe_of_one_thread
from speech_engine.host.confinement import confine
from speech_engine.host.pipe import ParentPipe

_SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"
_PIECE_BYTES = 64 * 1024
_MEMORY_MB = 128 + 8 * MOST_BODY_BYTES // 2**20
"""Beyond what the process has when it is ready: the library holds several copies of a file."""


def main() -> None:
    pipe, has_network = pipe_of_one_thread(), "network" in sys.argv[2:]
    _warm_up()
    lacks = _confine(has_network)
    while (message := pipe.read()) is not None:
        request = decode_request(message)
        answer, file, must_exit = _answer(request, _read_files(pipe, request), lacks)
        pipe.write(msgspec.msgpack.encode(answer))
        for at in range(0, len(file), _PIECE_BYTES):
            pipe.write(file[at : at + _PIECE_BYTES])
        if must_exit:
            # A thread still waits for the time stamp. Only the end of the process can end it.
            os._exit(0)


def _read_files(pipe: ParentPipe, request: SignRequest) -> tuple[bytes, bytes]:
    data = bytearray()
    while len(data) < request.file_bytes + request.parent_bytes:
        piece = pipe.read()
        if piece is None:
            sys.exit(0)  # the worker is gone
        data += piece
    return bytes(data[: request.file_bytes]), bytes(data[request.file_bytes :])


def _answer(
    request: SignRequest, files: tuple[bytes, bytes], lacks: tuple[str, ...]
) -> tuple[Signed | Unsigned, bytes, bool]:
    """Sign, with a time stamp if one comes in time. `files` are the file to sign and its parent, or empty.
    Return the answer, the file that follows it, and whether a thread still waits for a stamp."""
    made, must_exit = None, False
    if request.timestamp_url:
        made, must_exit = _sign_within(request, files, request.timestamp_s)
    is_stamped = made is not None
    signed = sign(request, "", *files) if made is None else made
    if isinstance(signed, Unsigned):
        return signed, b"", must_exit
    has_parent = bool(request.parent_bytes)
    if not request.file_bytes:
        return Signed(signed, 0, is_stamped, has_parent, lacks), b"", must_exit
    return Signed(b"", len(signed), is_stamped, has_parent, lacks), signed, must_exit


def _sign_within(
    request: SignRequest, files: tuple[bytes, bytes], within_s: float
) -> tuple[bytes | None, bool]:
    """Sign with a time stamp. The library waits for the stamper for half a minute, so a thread calls it.
    Return the signed bytes, or None, and whether the thread still waits."""
    made: list[bytes] = []

    def run() -> None:
        signed = sign(request, request.timestamp_url, *files)
        if not isinstance(signed, Unsigned):  # else the caller signs without
            made.append(signed)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(within_s)
    return (made[0], False) if made else (None, thread.is_alive())


def _warm_up() -> None:
    """Use everything that signing needs. Python and the library load parts of themselves at the first use
    and the first error, which a confined process cannot."""
    certificate = read_test_certificate(make_test_pem())
    request = SignRequest(
        definition=_definition({"action": "c2pa.created", "digitalSourceType": _SOURCE}),
        chain=certificate.chain,
        key=certificate.key,
        algorithm="es256",
        digest=hashlib.sha256(b"").digest(),
    )
    _must_sign(request)
    in_file = msgspec.structs.replace(request, media_type="audio/wav")
    embedded = _must_sign(in_file, _wav())
    opened = _definition({"action": "c2pa.opened", "parameters": {"ingredientIds": [PARENT]}})
    child = msgspec.structs.replace(in_file, definition=opened, parent_type="audio/wav")
    _must_sign(child, _wav(), embedded)
    for broken, file in ((msgspec.structs.replace(request, chain="none"), b""), (in_file, b"no sound")):
        sign(broken, "", file)  # it fails


def _must_sign(request: SignRequest, file: bytes = b"", parent: bytes = b"") -> bytes:
    signed = sign(request, "", file, parent)
    if isinstance(signed, Unsigned):
        raise RuntimeError(signed.reason)
    return signed


def _definition(action: dict[str, object]) -> str:
    actions = {"label": "c2pa.actions.v2", "data": {"actions": [action]}}
    return msgspec.json.encode(
        {"claim_generator_info": [{"name": "warm-up"}], "assertions": [actions]}
    ).decode()


def _wav() -> bytes:
    sink = io.BytesIO()
    with wave.open(sink, "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(bytes(4800))
    return sink.getvalue()


def _confine(has_network: bool) -> tuple[str, ...]:
    if not has_network:
        return confine_job(None, _MEMORY_MB)
    # A request for a time stamp reads files with host names and certificates, and starts a thread.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    return confine(("network",), used_mb() + _MEMORY_MB)


if __name__ == "__main__":
    main()
