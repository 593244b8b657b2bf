"""What an .npz file says of its arrays, and the files that would harm whoever unpacks them."""

import io
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_engine.model_files import TensorInfo, UnusableModel
from speech_engine.model_files.npz import MOST_ARRAYS, read_arrays
from tests.tables import each_row


def saved(save: Any = np.savez, **arrays: Any) -> bytes:
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def zipped(name: str = "a.npy", data: bytes = b"", count: int = 1) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for number in range(count):
            made.writestr(f"{number or ''}{name}", data)
    return file.getvalue()


def npy(header: str, data: bytes = bytes(8)) -> bytes:
    return zipped(data=b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data)


def headed(descr: str = "<f4", order: str = "False", shape: str = "(2,)") -> bytes:
    return npy(f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n")


def test_it_tells_types_shapes_and_places() -> None:
    data = saved(one=np.arange(6, dtype=np.float32).reshape(2, 3), two=np.array(7, np.int64))
    found = read_arrays(memoryview(data))
    assert {name: info[:2] for name, info in found.items()} == {"one": ("F32", (2, 3)), "two": ("I64", ())}
    assert np.frombuffer(data, "<f4", 6, found["one"].begin).tolist() == [0, 1, 2, 3, 4, 5]
    assert read_arrays(memoryview(headed()))["a"][:2] == TensorInfo("F32", (2,))[:2]


GOOD = saved(a=np.zeros(9, np.float32))
EVIL = {
    "nothing": (b"", "no .npz file"),
    "a pickle": (b"\x80\x04K\x01." * 9, "no .npz file"),
    "a file that is cut off": (GOOD[:-9], "no .npz file"),
    "bytes before the archive": (b"x" * 9 + GOOD, "not at its end"),
    "a packed array, as bombs are": (saved(np.savez_compressed, a=np.zeros(1 << 20)), "is packed"),
    "an array of pickles": (saved(a=np.array([{}], object)), "not made of plain numbers"),
    "very many arrays": (zipped(count=MOST_ARRAYS + 1), "1,001 arrays"),
    "a name that leads elsewhere": (zipped("../../a.npy"), "no plain word"),
    "something that is no array": (zipped("a.txt"), "no plain word"),
    "an empty array file": (zipped(), "no .npy file of version 1"),
    "an absurd shape": (headed(shape="(99999999999999,)"), "an absurd shape"),
    "many dimensions": (headed(shape=f"({'1, ' * 9})"), "an absurd shape"),
    "more numbers than bytes": (headed(shape="(1048576, 1048576)"), "not as many bytes"),
    "another order": (headed(order="True"), "in their usual order"),
    "texts": (headed("<U4"), "not made of plain numbers"),
    "an expression for a header": (npy("__import__('os')\n"), "not made of plain numbers"),
    "a long header": (npy(" " * 2_000), "a header that is too long"),
}


@each_row("name", EVIL)
def test_an_evil_file_is_refused(name: str) -> None:
    data, reason = EVIL[name]
    with pytest.raises(UnusableModel, match=reason):
        read_arrays(memoryview(data))


def test_an_array_that_is_there_twice_is_refused() -> None:
    data = saved(a=np.zeros(2), b=np.zeros(2)).replace(b"b.npy", b"a.npy")
    with pytest.raises(UnusableModel, match="the array a twice"):
        read_arrays(memoryview(data))


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_file_with_another_byte_is_read_or_refused(at: int, byte: int) -> None:
    data = GOOD[:at] + bytes((byte,)) + GOOD[at + 1 :]
    try:
        found = read_arrays(memoryview(data))
    except UnusableModel:
        return
    assert all(info.begin + info.bytes <= len(data) for info in found.values())
