"""Indexes of strangers: those that RVC-WebUI makes are read to the last number, and all others refused."""

import math
import os
import struct
import tracemalloc
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.rvc.faiss_index import read_vectors, write_flat_index
from plugins.rvc.model_format import TRAINED_FORMAT
from plugins.rvc.voice_rules import MOST_VECTORS, WIDTHS
from proxy.features.own_voices.trained.bodies import INDEX, MOST_BYTES
from speech_engine.model_files import UnusableModel
from tests.plugins.rvc.voices import flat_index, index_header, ivf_index
from tests.tables import each_row

WIDTH = 4
VECTORS = np.arange(28, dtype="<f4").reshape(7, WIDTH)
FLAT, LISTS = flat_index(VECTORS), ivf_index(VECTORS, 3)
SPARSE = ivf_index(VECTORS, 9, sparse=True)
KINDS = {"flat": FLAT, "lists": LISTS, "sparse": SPARSE}


def read(data: bytes, width: int = WIDTH) -> np.ndarray[tuple[int, ...], np.dtype[np.float16]]:
    count, halves = read_vectors(BytesIO(data), len(data), width)
    return np.frombuffer(halves, "<f2").reshape(count, width)


@each_row("kind", KINDS)
def test_features_come_in_the_order_in_which_they_were_added(kind: str) -> None:
    assert (read(KINDS[kind]) == VECTORS).all()


def test_what_is_written_is_read_again() -> None:
    target = BytesIO()
    write_flat_index([each.tobytes() for each in VECTORS.astype("<f2")], len(VECTORS), WIDTH, target)
    assert target.getvalue() == FLAT


def test_an_index_of_as_many_features_as_there_may_be_can_come_back() -> None:
    """As RVC-WebUI makes it: with lists, a number for each feature, and a middle for each list."""
    width = max(WIDTHS.values())
    lists = 16 * math.isqrt(MOST_VECTORS)
    largest = MOST_VECTORS * (width * 4 + 8) + lists * (width * 4 + 8) + 4096
    (declared,) = [each.most_bytes for each in TRAINED_FORMAT.sources if each.role == "index"]
    assert declared == MOST_BYTES[INDEX] >= largest


@pytest.mark.parametrize("kind", ["flat", "lists"])
def test_an_index_is_read_and_written_in_pieces(kind: str) -> None:
    """The process that does it may not have memory for several of them."""
    vectors = np.ones((20_000, 256), "<f4")
    data = flat_index(vectors) if kind == "flat" else ivf_index(vectors, 1)
    file, halves = BytesIO(data), vectors.size * 2
    tracemalloc.start()
    try:
        _, found = read_vectors(file, len(data), 256)
        read_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        had = tracemalloc.get_traced_memory()[0]
        pieces = (found[at : at + 4096] for at in range(0, halves, 4096))
        with open(os.devnull, "wb") as target:
            write_flat_index(pieces, *vectors.shape, target)
        written_bytes = tracemalloc.get_traced_memory()[1] - had
    finally:
        tracemalloc.stop()
    # A list has its features before their numbers, so they are there twice; and as many truths.
    assert read_bytes < 3.5 * halves
    assert written_bytes < halves / 4


@each_row("kind", KINDS)
def test_what_is_cut_off_or_goes_on_is_refused(kind: str) -> None:
    data = KINDS[kind]
    for size in range(len(data)):
        with pytest.raises(UnusableModel):
            read(data[:size])
    with pytest.raises(UnusableModel, match="bytes follow its end"):
        read(data + b"\0")


@each_row("kind", KINDS)
def test_nothing_beyond_the_end_of_an_index_is_read(kind: str) -> None:
    with pytest.raises(UnusableModel, match="cut off"):
        read_vectors(BytesIO(KINDS[kind]), len(KINDS[kind]) - 4, WIDTH)


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_what_was_changed_anywhere_is_read_or_refused_and_nothing_else_happens(
    kind: str, data: st.DataObject
) -> None:
    changed = bytearray(KINDS[kind])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at] = data.draw(st.integers(0, 255))
    try:
        found = read(bytes(changed))
    except UnusableModel:
        return
    assert found.shape == VECTORS.shape
    assert np.isfinite(found).all()


@each_row(
    ("data", "says"),
    [
        (b"IxPQ" + FLAT[4:], "the kind 'IxPQ'"),
        (b"IxF2" + index_header(WIDTH + 1, 7) + FLAT[-120:], "5 wide; this voice hears 4"),
        (b"IxF2" + index_header(WIDTH, 0), "it has 0 features"),
        (b"IxF2" + index_header(WIDTH, -1), "it has -1 features"),
        (b"IxF2" + index_header(WIDTH, MOST_VECTORS + 1), "it has 200,001 features"),
        (b"IxF2" + index_header(WIDTH, 2**62), "features"),
        (b"IxF2" + index_header(WIDTH, 7, is_trained=False), "it is not trained"),
        (b"IxF2" + index_header(WIDTH, 7, metric=4), "measures in a way"),
        (b"IxF2" + index_header(WIDTH, 7) + struct.pack("<Q", 2**60), "numbers"),
        (b"IxF2" + index_header(WIDTH, 7) + struct.pack("<Q", 27) + bytes(108), "not as many numbers"),
        (b"IwFl" + index_header(WIDTH, 7) + struct.pack("<QQ", 2**40, 1), "lists; "),
    ],
)
def test_numbers_that_make_no_sense_are_refused_before_memory_is_asked_for(data: bytes, says: str) -> None:
    with pytest.raises(UnusableModel, match=says):
        read(data)


@each_row("value", [np.nan, np.inf, 1e6])
def test_features_that_are_no_numbers_are_refused(value: float) -> None:
    vectors = VECTORS.copy()
    vectors[3, 1] = value
    with pytest.raises(UnusableModel, match="no numbers, or are too large"):
        read(flat_index(vectors))


def test_a_feature_that_is_named_twice_or_is_not_there_is_refused() -> None:
    last = struct.pack("<q", 5)
    assert LISTS.endswith(last)
    with pytest.raises(UnusableModel, match="names a feature twice"):
        read(LISTS[:-8] + struct.pack("<q", 2))
    for number in (7, -1, 2**62):
        with pytest.raises(UnusableModel, match="that it does not have"):
            read(LISTS[:-8] + struct.pack("<q", number))


def test_lists_that_do_not_fit_the_index_are_refused() -> None:
    sizes = b"full" + struct.pack("<4Q", 3, 3, 2, 2)
    assert sizes in LISTS
    for changed, says in (
        (b"full" + struct.pack("<4Q", 3, 3, 2, 3), "not as many features"),
        (b"full" + struct.pack("<4Q", 3, 2**63, 2**63, 7), "not as many features|cut off"),
        (b"full" + struct.pack("<3Q", 2, 3, 2), "kept in a way"),
        (b"none" + struct.pack("<4Q", 3, 3, 2, 2), "kept in a way"),
        (b"sprs" + struct.pack("<7Q", 6, 0, 3, 1, 2, 1, 2), "names a list|not as many"),
        (b"sprs" + struct.pack("<5Q", 4, 0, 3, 9, 4), "names a list"),
    ):
        with pytest.raises(UnusableModel, match=says):
            read(LISTS.replace(sizes, changed))
