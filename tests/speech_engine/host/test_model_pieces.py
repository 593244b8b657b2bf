"""The files of trained voices on a shelf: in pieces, within a room of their own, and gone when dropped."""

from __future__ import annotations

import msgspec
import pytest

from speech_engine import EngineBusy, Trained, VoiceNotFound
from speech_engine.host.sample_shelf import ModelPiece, SampleShelf
from tests.speech_engine.host.mimics import sampled, trained
from tests.tables import each_row

FILE = bytes(range(10))


def put(shelf: SampleShelf, digest: str, *cuts: int, data: bytes = FILE) -> None:
    """Put a file in pieces that begin at these bytes."""
    for begin, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        shelf.put_piece("acc_1", "spoken", digest, ModelPiece(data[begin:end], begin, len(data)))


def read(shelf: SampleShelf, digest: str) -> bytes:
    return shelf.model(trained(digest), Trained(digest))


def test_a_file_is_there_with_its_last_piece_and_is_its_tenants_alone() -> None:
    shelf = SampleShelf()
    shelf.put_piece("acc_1", "spoken", "a", ModelPiece(FILE[:4], 0, 10))
    assert shelf.missing(trained("a")) == ("a",)
    shelf.put_piece("acc_1", "spoken", "a", ModelPiece(FILE[4:], 4, 10))
    assert shelf.missing(trained("a")) == ()
    assert read(shelf, "a") == FILE
    assert shelf.missing(trained("a", tenant="acc_2")) == ("a",)
    assert shelf.missing(sampled("a")) == ("a",), "a recording is no model"


def test_two_workers_may_send_the_same_file_at_once() -> None:
    shelf = SampleShelf()
    for begin in (0, 0, 4, 4, 8, 8):
        piece = ModelPiece(FILE[begin : begin + 4], begin, 10)
        shelf.put_piece("acc_1", "spoken", "a", piece)
    assert read(shelf, "a") == FILE


@each_row("piece", [ModelPiece(FILE[4:], 4, 10), ModelPiece(FILE, 0, 11), ModelPiece(FILE[2:], 3, 10)])
def test_a_piece_that_does_not_fit_is_refused(piece: ModelPiece) -> None:
    shelf = SampleShelf()
    shelf.put_piece("acc_1", "spoken", "a", ModelPiece(FILE[:2], 0, 10))
    with pytest.raises(EngineBusy, match="once more"):
        shelf.put_piece("acc_1", "spoken", "a", piece)
    put(shelf, "a", 5)
    assert read(shelf, "a") == FILE


def test_what_was_used_longest_ago_and_what_never_came_whole_make_room() -> None:
    shelf = SampleShelf(model_bytes=30)
    shelf.put_piece("acc_1", "spoken", "half", ModelPiece(FILE[:2], 0, 10))
    put(shelf, "a")
    put(shelf, "b")
    shelf.lend(trained("a"), lambda: None).end()
    put(shelf, "c")
    assert [shelf.missing(trained(each)) for each in "abc"] == [(), (), ()]
    put(shelf, "d")
    assert [shelf.missing(trained(each)) for each in "abcd"] == [(), ("b",), (), ()]
    with pytest.raises(EngineBusy, match="once more"):
        shelf.put_piece("acc_1", "spoken", "half", ModelPiece(FILE[2:], 2, 10))


def test_a_file_that_a_job_uses_stays_and_what_has_no_room_is_busy() -> None:
    shelf = SampleShelf(limit_bytes=10, model_bytes=15)
    put(shelf, "a")
    loan = shelf.lend(trained("a"), lambda: None)
    with pytest.raises(EngineBusy, match="no room"):
        put(shelf, "b")
    shelf.put("acc_1", "spoken", "r", bytes(10))
    loan.end()
    put(shelf, "b")
    assert shelf.missing(trained("a")) == ("a",)
    assert shelf.missing(sampled("r")) == (), "recordings have a room of their own"


def test_a_file_of_the_operator_is_there_once_for_all_tenants_and_no_tenants_file_is_it() -> None:
    shelf = SampleShelf()
    voice = Trained("a", is_operators=True)
    jobs = [msgspec.structs.replace(trained("a"), tenant=each, voice=voice) for each in ("acc_1", "acc_2")]
    put(shelf, "a")
    assert [shelf.missing(job) for job in jobs] == [("a",), ("a",)]
    shelf.put_piece("", "spoken", "a", ModelPiece(FILE, 0, len(FILE)))
    assert [shelf.model(job, voice) for job in jobs] == [FILE, FILE]
    other = msgspec.structs.replace(trained("a"), tenant="acc_2")
    assert shelf.missing(other) == ("a",)
    shelf.drop(["a"])
    assert [shelf.missing(job) for job in (*jobs, trained("a"))] == [("a",)] * 3


def test_a_drop_forgets_a_file_and_the_pieces_of_it() -> None:
    shelf, told = SampleShelf(), list[str]()
    put(shelf, "a")
    shelf.put_piece("acc_1", "spoken", "b", ModelPiece(FILE[:2], 0, 10))
    loan = shelf.lend(trained("a"), lambda: told.append("stopped"))
    assert shelf.drop(["a", "b"]) == [loan]
    assert told == ["stopped"]
    with pytest.raises(VoiceNotFound):
        read(shelf, "a")
    with pytest.raises(EngineBusy):
        shelf.put_piece("acc_1", "spoken", "b", ModelPiece(FILE[2:], 2, 10))
