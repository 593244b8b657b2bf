"""The header of a safetensors file: what makes no sense is refused with a sentence."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_engine.model_files import TensorInfo, UnusableModel
from speech_engine.model_files.safetensors import header_of, read_header
from tests import checkpoints
from tests.checkpoints import with_header
from tests.tables import each_row


def _read(data: bytes) -> dict[str, TensorInfo]:
    return read_header(io.BytesIO(data), len(data))


def entry(begin: int = 0, end: int = 8, shape: Any = (2,), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def test_names_types_shapes_and_places_are_read() -> None:
    data = checkpoints.safetensors({"a": checkpoints.floats(2, 3), "b": checkpoints.Tensor("U8", (), b"7")})
    found = _read(data)
    assert {name: (info.dtype, info.shape) for name, info in found.items()} == {
        "a": ("F32", (2, 3)),
        "b": ("U8", ()),
    }
    assert data[found["b"].begin :] == b"7"


@each_row(
    ("data", "says"),
    [
        (b"", "cut off"),
        (b"\x01\x00\x00", "cut off"),
        ((100 * 2**20).to_bytes(8, "little") + b"{}", "cut off"),
        ((2**63).to_bytes(8, "little") + b"{}", "cut off"),
        (with_header(b"[]"), "not a JSON object"),
        (with_header(b"{"), "no JSON"),
        (with_header(b'{"a": ' * 100_000), "no JSON"),
        (with_header(b'{"a": {"x": NaN}}'), "no JSON"),
        (with_header(b'{"a": 1, "a": 2}'), "twice"),
        (with_header({"a": {"dtype": "F32", "shape": [1]}}), "exactly a dtype"),
        (with_header({"a": {**entry(), "more": 1}}, bytes(8)), "exactly a dtype"),
        (with_header({"a": entry(dtype="F99")}, bytes(8)), "has the type"),
        (with_header({"a": entry(dtype=["F32"])}, bytes(8)), "has the type"),
        (with_header({"a": entry(shape=(-2,))}, bytes(8)), "absurd shape"),
        (with_header({"a": entry(shape=(True, 2))}, bytes(8)), "absurd shape"),
        (with_header({"a": entry(shape=(2**60,))}, bytes(8)), "absurd shape"),
        (with_header({"a": entry(shape=(1,) * 9)}, bytes(8)), "absurd shape"),
        (with_header({"a": entry(end=-8)}, bytes(8)), "absurd data_offsets"),
        (with_header({"a": entry(shape=(3,))}, bytes(8)), "not as many bytes"),
        (with_header({"a": entry(), "b": entry(4, 12)}, bytes(12)), "overlaps"),
        (with_header({"a": entry(), "b": entry(12, 20)}, bytes(20)), "gap"),
        (with_header({"a": entry()}, bytes(4)), "cut off"),
        (with_header({"a": entry()}, bytes(9)), "belong to no tensor"),
        (with_header({"": entry()}, bytes(8)), "name is empty"),
        (with_header({"a\n": entry()}, bytes(8)), "not printable"),
    ],
)
def test_what_makes_no_sense_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(UnusableModel, match=says):
        _read(data)


def test_a_header_of_100_mb_is_not_read() -> None:
    class Endless(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            assert size <= 8, "the header was read"
            return super().read(size)

    length = 100 * 2**20
    with pytest.raises(UnusableModel, match="are allowed"):
        read_header(Endless(length.to_bytes(8, "little")), length + 8)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_header_or_a_sentence(data: bytes) -> None:
    for made in (data, with_header(data)):
        try:
            found = _read(made)
        except UnusableModel:
            continue
        assert sum(info.bytes for info in found.values()) < len(made)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
_ENTRY = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "U8", "X"]) | _JSON,
        "shape": st.lists(st.integers(-2, 2**50), max_size=4) | _JSON,
        "data_offsets": st.lists(st.integers(-8, 2**50), max_size=3) | _JSON,
    }
)


@given(st.dictionaries(st.text(max_size=5), _ENTRY | _JSON, max_size=4), st.integers(0, 64))
def test_any_header_is_refused_or_covers_its_file_exactly(header: dict[str, Any], size: int) -> None:
    data = with_header(json.dumps(header).encode(), bytes(size))
    try:
        found = _read(data)
    except UnusableModel:
        return
    assert sum(info.bytes for info in found.values()) == size
    assert all(info.begin + info.bytes <= len(data) for info in found.values())


@given(
    st.dictionaries(
        st.text(st.characters(categories=("L", "N")), min_size=1, max_size=6),
        st.tuples(st.sampled_from(["F32", "F16", "U8"]), st.lists(st.integers(0, 4), max_size=3).map(tuple)),
        max_size=5,
    )
)
def test_a_header_that_is_written_can_be_read(tensors: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    head = header_of((name, dtype, shape) for name, (dtype, shape) in tensors.items())
    body = sum(TensorInfo(*each).bytes for each in tensors.values())
    found = _read(head + bytes(body))
    assert {name: (info.dtype, info.shape) for name, info in found.items()} == tensors
    assert len(head) % 8 == 0
