"""The files of trained voices on a shelf: in pieces, within a room of their own, and gone when dropped."""

import msgspec
import pytest

from speech_engine import EngineBusy, Trained, VoiceNotFound
from speech_engine.host.sample_cache import ModelPiece, SampleCache
from tests.speech_engine.host.mimics import sampled, trained
from tests.tables import each_row

FILE = bytes(range(10))


def put(sample_cache: SampleCache, digest: str, *cuts: int, data: bytes = FILE) -> None:
    """Put a file in pieces that begin at these bytes."""
    for begin, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        sample_cache.put_piece("acc_1", "spoken", digest, ModelPiece(data[begin:end], begin, len(data)))


def read(sample_cache: SampleCache, digest: str) -> bytes:
    return sample_cache.model(trained(digest), Trained(digest))


def test_a_file_is_there_with_its_last_piece_and_is_its_tenants_alone() -> None:
    sample_cache = SampleCache()
    sample_cache.put_piece("acc_1", "spoken", "a", ModelPiece(FILE[:4], 0, 10))
    assert sample_cache.missing(trained("a")) == ("a",)
    sample_cache.put_piece("acc_1", "spoken", "a", ModelPiece(FILE[4:], 4, 10))
    assert sample_cache.missing(trained("a")) == ()
    assert read(sample_cache, "a") == FILE
    assert sample_cache.missing(trained("a", tenant="acc_2")) == ("a",)
    assert sample_cache.missing(sampled("a")) == ("a",), "a recording is no model"


def test_two_workers_may_send_the_same_file_at_once() -> None:
    sample_cache = SampleCache()
    for begin in (0, 0, 4, 4, 8, 8):
        piece = ModelPiece(FILE[begin : begin + 4], begin, 10)
        sample_cache.put_piece("acc_1", "spoken", "a", piece)
    assert read(sample_cache, "a") == FILE


@each_row("piece", [ModelPiece(FILE[4:], 4, 10), ModelPiece(FILE, 0, 11), ModelPiece(FILE[2:], 3, 10)])
def test_a_piece_that_does_not_fit_is_refused(piece: ModelPiece) -> None:
    sample_cache = SampleCache()
    sample_cache.put_piece("acc_1", "spoken", "a", ModelPiece(FILE[:2], 0, 10))
    with pytest.raises(EngineBusy, match="once more"):
        sample_cache.put_piece("acc_1", "spoken", "a", piece)
    put(sample_cache, "a", 5)
    assert read(sample_cache, "a") == FILE


def test_what_was_used_longest_ago_and_what_never_came_whole_make_room() -> None:
    sample_cache = SampleCache(model_bytes=30)
    sample_cache.put_piece("acc_1", "spoken", "half", ModelPiece(FILE[:2], 0, 10))
    put(sample_cache, "a")
    put(sample_cache, "b")
    sample_cache.lend(trained("a"), lambda: None).end()
    put(sample_cache, "c")
    assert [sample_cache.missing(trained(each)) for each in "abc"] == [(), (), ()]
    put(sample_cache, "d")
    assert [sample_cache.missing(trained(each)) for each in "abcd"] == [(), ("b",), (), ()]
    with pytest.raises(EngineBusy, match="once more"):
        sample_cache.put_piece("acc_1", "spoken", "half", ModelPiece(FILE[2:], 2, 10))


def test_a_file_that_a_job_uses_stays_and_what_has_no_room_is_busy() -> None:
    sample_cache = SampleCache(limit_bytes=10, model_bytes=15)
    put(sample_cache, "a")
    loan = sample_cache.lend(trained("a"), lambda: None)
    with pytest.raises(EngineBusy, match="no room"):
        put(sample_cache, "b")
    sample_cache.put("acc_1", "spoken", "r", bytes(10))
    loan.end()
    put(sample_cache, "b")
    assert sample_cache.missing(trained("a")) == ("a",)
    assert sample_cache.missing(sampled("r")) == (), "recordings have a room of their own"


def test_a_file_of_the_operator_is_there_once_for_all_tenants_and_no_tenants_file_is_it() -> None:
    sample_cache = SampleCache()
    voice = Trained("a", is_operators=True)
    jobs = [msgspec.structs.replace(trained("a"), tenant=each, voice=voice) for each in ("acc_1", "acc_2")]
    put(sample_cache, "a")
    assert [sample_cache.missing(job) for job in jobs] == [("a",), ("a",)]
    sample_cache.put_piece("", "spoken", "a", ModelPiece(FILE, 0, len(FILE)))
    assert [sample_cache.model(job, voice) for job in jobs] == [FILE, FILE]
    other = msgspec.structs.replace(trained("a"), tenant="acc_2")
    assert sample_cache.missing(other) == ("a",)
    sample_cache.drop(["a"])
    assert [sample_cache.missing(job) for job in (*jobs, trained("a"))] == [("a",)] * 3


def test_a_drop_forgets_a_file_and_the_pieces_of_it() -> None:
    sample_cache, told = SampleCache(), list[str]()
    put(sample_cache, "a")
    sample_cache.put_piece("acc_1", "spoken", "b", ModelPiece(FILE[:2], 0, 10))
    loan = sample_cache.lend(trained("a"), lambda: told.append("stopped"))
    assert sample_cache.drop(["a", "b"]) == [loan]
    assert told == ["stopped"]
    with pytest.raises(VoiceNotFound):
        read(sample_cache, "a")
    with pytest.raises(EngineBusy):
        sample_cache.put_piece("acc_1", "spoken", "b", ModelPiece(FILE[2:], 2, 10))
