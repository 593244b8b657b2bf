"""The process that signs manifests: `python -P -m proxy.provenance.signing_child [network]`.

It answers requests from its standard input one by one, until that ends. It has given up files, programs and
other processes before the first one. Only with `network` may it ask for time stamps.
"""

from __future__ import annotations

import hashlib
import io
import os
import resource
import sys
import threading
import wave
from pathlib import Path

import msgspec

from proxy.provenance.certificate import make_test_pem, read_test_certificate
from proxy.provenance.signing import (
    HEAD_BYTES,
    MOST_BODY_BYTES,
    PARENT,
    Signed,
    SignRequest,
    Unsigned,
    decode_request,
    frame,
    length,
)
from proxy.provenance.signing_library import SigningFailed, sign
from speech_engine.host.confinement import confine, die_with_parent
from speech_engine.host.landlock import forbid_files

_SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"
_MEMORY_MB = 128 + 8 * MOST_BODY_BYTES // 2**20
"""Beyond what the process has when it is ready: the library holds several copies of a file."""


def main() -> None:
    die_with_parent()
    has_network = "network" in sys.argv[1:]
    _warm_up()
    lacks = _confine(has_network)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while len(head := source.read(HEAD_BYTES)) == HEAD_BYTES:
        request = decode_request(source.read(length(head)))
        answer, is_worn = _answer(request, lacks)
        sink.writelines(frame(answer))
        sink.flush()
        if is_worn:
            # A thread still waits for the time stamp, and nothing can end it but this.
            os._exit(0)


def _answer(request: SignRequest, lacks: tuple[str, ...]) -> tuple[Signed | Unsigned, bool]:
    """Sign, with a time stamp if one comes in time. Tell also whether a thread still waits for one."""
    has_parent, is_worn = bool(request.parent), False
    if request.timestamp_url:
        stamped, is_worn = _sign_within(request, request.timestamp_s)
        if stamped is not None:
            return Signed(stamped, True, has_parent, lacks), is_worn
    try:
        return Signed(sign(request, ""), False, has_parent, lacks), is_worn
    except SigningFailed as error:
        return Unsigned(str(error)[:300]), is_worn


def _sign_within(request: SignRequest, within_s: float) -> tuple[bytes | None, bool]:
    """Sign with a time stamp. The library waits for the stamper for half a minute, so a thread calls it."""
    made: list[bytes] = []

    def run() -> None:
        try:
            made.append(sign(request, request.timestamp_url))
        except SigningFailed:
            pass  # the caller signs without

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(within_s)
    return (made[0], False) if made else (None, thread.is_alive())


def _warm_up() -> None:
    """Use all that signing needs. Python and the library load parts of themselves at the first use, and at
    the first error; once the process is confined, they cannot."""
    certificate = read_test_certificate(make_test_pem())
    request = SignRequest(
        definition=_definition({"action": "c2pa.created", "digitalSourceType": _SOURCE}),
        chain=certificate.chain,
        key=certificate.key,
        algorithm="es256",
        digest=hashlib.sha256(b"").digest(),
    )
    sign(request, "")
    embedded = sign(msgspec.structs.replace(request, body=_wav(), media_type="audio/wav"), "")
    sign(
        msgspec.structs.replace(
            request,
            definition=_definition({"action": "c2pa.opened", "parameters": {"ingredientIds": [PARENT]}}),
            body=_wav(),
            media_type="audio/wav",
            parent=embedded,
            parent_type="audio/wav",
        ),
        "",
    )
    for broken in (
        msgspec.structs.replace(request, chain="none"),
        msgspec.structs.replace(request, body=b"no sound", media_type="audio/wav"),
    ):
        try:
            sign(broken, "")
        except SigningFailed:
            pass  # it was meant to


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
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    used_mb = pages * resource.getpagesize() // 2**20
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if has_network:
        # The names of hosts, and whom to trust, are in files. Each exchange takes a thread.
        return confine(("network",), used_mb + _MEMORY_MB)
    files = () if forbid_files() else ("landlock",)
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    return (*files, *confine((), used_mb + _MEMORY_MB, is_alone=True))


if __name__ == "__main__":
    main()
