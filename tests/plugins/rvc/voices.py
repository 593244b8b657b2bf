"""Files of voices without torch: small ones that are right until a test spoils one."""

import json
import struct
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from plugins.rvc.model_format import TRAINED_FORMAT
from plugins.rvc.voice_format import FILES
from plugins.rvc.voice_rules import Version, VoiceLayout, expected, read_layout
from proxy.features.models.conversion_child import convert
from speech_engine.model_files.safetensors import VALUES_KEY, header_of
from tests.checkpoints import Stored, archive, strides

_STEPS: dict[int, tuple[list[int], list[int]]] = {
    32_000: ([10, 8, 2, 2], [20, 16, 4, 4]),
    40_000: ([10, 10, 2, 2], [16, 16, 4, 4]),
    48_000: ([12, 10, 2, 2], [24, 20, 4, 4]),
}
LAYOUTS: tuple[tuple[Version, int, int], ...] = (
    ("v1", 1, 40_000),
    ("v1", 0, 32_000),
    ("v2", 1, 40_000),
    ("v2", 0, 40_000),
    ("v2", 1, 48_000),
)
"""Version, whether it hears the pitch, and its rate."""


def config(rate_hz: int = 40_000) -> list[Any]:
    rates, kernels = _STEPS[rate_hz]
    inner = [1025, 32, 8, 16, 32, 2, 1, 3, 0, "1", [3], [[1, 3, 5]]]
    return [*inner, rates, 32, kernels, 1, 8, rate_hz]


def layout(version: Version = "v2", has_pitch: int = 1, rate_hz: int = 40_000) -> VoiceLayout:
    return read_layout(config(rate_hz), version, has_pitch)


def shapes_of(of: VoiceLayout) -> dict[str, tuple[int, ...]]:
    return dict(expected(of))


def halves(shape: Sequence[int], seed: int) -> bytes:
    numbers = np.random.default_rng(seed).standard_normal(int(np.prod(shape)))
    return numbers.astype("<f2").tobytes()


def pth(path: Path, of: VoiceLayout, **values: Any) -> Path:
    """What RVC-WebUI saves. `values` stand beside the weights, in the place of those that are right."""
    told = {
        "config": config(of.rate_hz),
        "info": "300epoch",
        "sr": f"{of.rate_hz // 1000}k",
        "f0": int(of.has_pitch),
        "version": of.version,
        **values,
    }
    weights, storages = {}, {}
    for number, (name, shape) in enumerate(shapes_of(of).items()):
        data = halves(shape, number)
        weights[name] = Stored(str(number), "F16", len(data) // 2, shape, strides(shape))
        storages[str(number)] = data
    return archive(path, {"weight": weights, **told}, storages)


def read_pth(path: Path) -> bytes:
    """Return the file as the server's reader gives it: safetensors, with the values as metadata."""
    target = BytesIO()
    with path.open("rb") as source:
        convert(source, path.stat().st_size, target, TRAINED_FORMAT.sources[0], lambda _done, _of: None)
    return target.getvalue()


def source(
    shapes: Mapping[str, tuple[int, ...]], values: Mapping[str, Any] | None, dtype: str = "F16"
) -> bytes:
    """Return a file as that reader gives it, of zeros."""
    metadata = {} if values is None else {VALUES_KEY: json.dumps(values)}
    head = header_of(((name, dtype, shape) for name, shape in shapes.items()), metadata)
    width = 2 if dtype == "F16" else 4
    return head + bytes(width * sum(int(np.prod(shape)) for shape in shapes.values()))


def bring(model: bytes, index: bytes | None = None) -> bytes:
    """Return the form in which a voice is kept."""
    target = BytesIO()
    sources = {"model": BytesIO(model)} | ({} if index is None else {"index": BytesIO(index)})
    FILES.bring(sources, target)
    return target.getvalue()


def flat_index(vectors: np.ndarray[Any, Any], **head: Any) -> bytes:
    """Return what faiss writes of these rows, without lists."""
    return b"IxF2" + index_header(*vectors.shape[::-1], **head) + _numbers(vectors)


def ivf_index(vectors: np.ndarray[Any, Any], lists: int, *, sparse: bool = False) -> bytes:
    """Return what RVC-WebUI lets faiss write: rows in lists, each with its number."""
    count, width = vectors.shape
    members = [[row for row in range(count) if row % lists == number] for number in range(lists)]
    middles = np.zeros((lists, width), "<f4")
    made = b"IwFl" + index_header(width, count) + struct.pack("<QQ", lists, 1)
    made += b"IxF2" + index_header(width, lists) + _numbers(middles)
    made += struct.pack("<BQ", 0, 0)
    made += struct.pack("<Q", width * 4)
    made += b"ilar" + struct.pack("<QQ", lists, width * 4)
    if sparse:
        pairs = [each for number, rows in enumerate(members) if rows for each in (number, len(rows))]
        made += b"sprs" + struct.pack(f"<Q{len(pairs)}Q", len(pairs), *pairs)
    else:
        made += b"full" + struct.pack(f"<Q{lists}Q", lists, *map(len, members))
    for rows in members:
        made += vectors[rows].astype("<f4").tobytes() + struct.pack(f"<{len(rows)}q", *rows)
    return made


def index_header(
    width: int, count: int, *, is_trained: bool = True, metric: int = 1, dummy: int = 1 << 20
) -> bytes:
    return struct.pack("<iqqq?i", width, count, dummy, dummy, is_trained, metric)


def _numbers(vectors: np.ndarray[Any, Any]) -> bytes:
    return struct.pack("<Q", vectors.size) + vectors.astype("<f4").tobytes()
