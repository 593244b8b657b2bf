"""JSON that is deep, wide, long or full of numbers, as large as an endpoint takes it, and what it costs."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from proxy.http.replies import encode_json

MOST_S = 0.1
"""The longest hold of the loop by one request, in CPU time of the whole process."""
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_EMOJI = "😀".encode()
"""Beside it, each character of a text takes four bytes in memory."""


def _list_of(each: bytes) -> Callable[[int], bytes]:
    return lambda size: b"[" + b",".join([each] * ((size - 2) // (len(each) + 1))) + b"]"


SHAPES: Mapping[str, Callable[[int], bytes]] = {
    "lists": _list_of(b"[]"),
    "objects": _list_of(b'{"a":{}}'),
    "deep lists": _list_of(b"[" * 400 + b"]" * 400),
    "numbers": _list_of(b"1"),
    "large numbers": _list_of(b"1" * 4000),
    "long fractions": _list_of(b"0." + b"1" * 700),
    "texts": _list_of(b'""'),
    "texts full of quotes": _list_of(b'"\\"\\\\"'),
    "a deep list": lambda size: b"[" * (size // 2) + b"]" * (size // 2),
    "a large number": lambda size: b"1" * size,
    "members": lambda size: b"{" + b",".join(b'"%x":1' % number for number in range(size // 10)) + b"}",
    "objects within": lambda size: b"{" + b",".join(b'"%x":{}' % each for each in range(size // 11)) + b"}",
    "the same member": lambda size: b"{" + b",".join([b'"a":"a"'] * (size // 8 - 1)) + b"}",
    "a long text": lambda size: b'"' + b"a" * (size - 6) + _EMOJI + b'"',
    "a long name": lambda size: b'{"' + b"a" * (size - 12) + _EMOJI + b'":"a"}',
    "escapes": lambda size: b'"' + b"\\u00e9" * (size // 6 - 1) + b'"',
    "backslashes": lambda size: b'"' + b"\\\\" * (size // 2 - 3) + _EMOJI + b'"',
    "tags": lambda size: b'"' + b"[happy] {x}, " * (size // 13 - 1) + b'"',
}
"""What makes a value of at most so many bytes."""


def body(good: Mapping[str, Any], field: str, shape: str, size: int) -> bytes:
    """Return a body of at most `size` bytes that is good, but for the value of this field. With `chapters.x`,
    it is in a chapter."""
    outer, _, inner = field.partition(".")
    rest = encode_json({name: value for name, value in good.items() if name != outer})[1:-1]
    head = b"{" + rest + (b"," if rest else b"") + encode_json(outer) + b":"
    tail = b"}"
    if inner:
        chapter = {"title": "a", "input": "a"}
        chapter.pop(inner, None)
        head += b"[" + encode_json(chapter)[:-1] + b"," + encode_json(inner) + b":"
        tail = b"}]}"
    return head + SHAPES[shape](size - len(head) - len(tail)) + tail


class Cost:
    """What a block has cost: its longest hold of the loop, and by how much it grew the process at most."""

    held_s = 0.0
    grown_bytes = 0

    def __repr__(self) -> str:
        return f"<Cost {self.held_s * 1000:.0f} ms, {self.grown_bytes / 2**20:.1f} MiB>"


@asynccontextmanager
async def cost() -> AsyncIterator[Cost]:
    found = Cost()
    before = _forget_peak()
    beats = asyncio.create_task(_beat(found))
    await asyncio.sleep(0)
    try:
        yield found
        await asyncio.sleep(0.002)  # the last beat
    finally:
        beats.cancel()
    found.grown_bytes = _status("VmHWM") - before


async def _beat(found: Cost) -> None:
    """Other threads let the loop go on, unless they keep the interpreter's lock. So all CPU time counts."""
    last = time.process_time()
    while True:
        await asyncio.sleep(0.001)
        now = time.process_time()
        found.held_s, last = max(found.held_s, now - last), now


def _forget_peak() -> int:
    """Return the memory of this process. Its peak begins anew."""
    _CLEAR.write_text("5")
    return _status("VmRSS")


def _status(name: str) -> int:
    return int(_STATUS.read_text().split(f"{name}:")[1].split()[0]) * 1024
