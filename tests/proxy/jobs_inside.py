"""Uploads that are decoded and searched in the process of the test. One of its own takes a third of a second.

What the processes themselves do, and how they end, is in the tests of the decoder, of the checker and of a
real server.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import msgspec
import pytest

from proxy.helpers.helper import Helper

_real = Helper.ask
_patch = pytest.MonkeyPatch()
_open: list[str] = []
"""What each opening excepts. Servers of one test end in any order, and only the last one undoes the patch."""


@contextmanager
def jobs_inside(but: str = "") -> Iterator[None]:
    """All, or all but those of one module, which have processes."""
    if not _open:
        _patch.setattr(Helper, "ask", _ask)
    _open.append(but)
    try:
        yield
    finally:
        _open.remove(but)
        if not _open:
            _patch.undo()


async def _ask(helper: Helper, question: bytes, *, within_s: float) -> bytes:
    module = helper.spec.module
    if module in _open or module not in _JOBS:
        return await _real(helper, question, within_s=within_s)
    return await asyncio.to_thread(_JOBS[module], question)


def _decode(job: bytes) -> bytes:
    from proxy.audio.recordings.decoding import decode

    return msgspec.msgpack.encode(decode(job))


def _read_long(job: bytes) -> bytes:
    from proxy.features.transcriptions.long_reading_child import answer

    return answer(job)


def _read_manifest(job: bytes) -> bytes:
    from proxy.features.marks.findings import ManifestJob
    from proxy.features.marks.manifest_child import read_manifest

    return msgspec.msgpack.encode(read_manifest(msgspec.msgpack.decode(job, type=ManifestJob)))


def _search(job: bytes) -> bytes:
    from proxy.features.marks.findings import SearchJob
    from proxy.features.marks.search_child import search

    searching = search(msgspec.msgpack.decode(job, type=SearchJob), lambda: None)
    return msgspec.msgpack.encode(asyncio.run(searching))


_JOBS: Mapping[str, Callable[[bytes], bytes]] = {
    "proxy.audio.recordings.decoding_child": _decode,
    "proxy.features.transcriptions.long_reading_child": _read_long,
    "proxy.features.marks.manifest_child": _read_manifest,
    "proxy.features.marks.search_child": _search,
}
