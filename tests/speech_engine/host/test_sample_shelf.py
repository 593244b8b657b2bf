"""The shelf of recordings: whose they are, how many there is room for, and what a drop leaves behind."""

from collections.abc import Sequence
from functools import partial

import pytest
from msgspec.structs import replace

from speech_engine import EngineBusy, EngineFailed, EngineVoice, Mix, Sample, Samples, VoiceNotFound
from speech_engine.host.sample_cache import SampleCache
from speech_engine.samples import NO_SAMPLES
from tests.speech_engine.host.fakes import job
from tests.speech_engine.host.mimics import sampled


def put(
    sample_cache: SampleCache, digest: str, pcm: bytes, tenant: str = "acc_1", model: str = "spoken"
) -> None:
    sample_cache.put(tenant, model, digest, pcm)


def _words(text: str, _recordings: Sequence[bytes]) -> str:
    return text


def ignore() -> None:
    """Nobody needs to know of the drop."""


def test_a_recording_is_its_tenants_and_its_models_alone() -> None:
    sample_cache = SampleCache()
    put(sample_cache, "a", b"mine")
    put(sample_cache, "a", b"theirs", tenant="acc_2")
    put(sample_cache, "a", b"other rate", model="other")
    assert sample_cache.pcm(sampled("a"), Sample("a")) == b"mine"
    assert sample_cache.pcm(sampled("a", tenant="acc_2"), Sample("a")) == b"theirs"
    assert sample_cache.pcm(replace(sampled("a"), model="other"), Sample("a")) == b"other rate"
    assert sample_cache.missing(sampled("a", tenant="acc_3")) == ("a",)
    with pytest.raises(VoiceNotFound):
        sample_cache.pcm(sampled("a", tenant="acc_3"), Sample("a"))


def test_a_mix_misses_each_recording_of_its_members_once() -> None:
    sample_cache = SampleCache()
    put(sample_cache, "b", b"b")
    first, second = Samples((Sample("a"), Sample("b"))), Samples((Sample("a"), Sample("c")))
    mix = Mix(((first, 0.5), (EngineVoice("v"), 0.3), (second, 0.2)))
    assert sample_cache.missing(replace(job(), voice=mix)) == ("a", "c")
    assert sample_cache.missing(job()) == ()


def test_the_recording_that_was_used_longest_ago_makes_room() -> None:
    sample_cache = SampleCache(limit_bytes=30)
    for digest in "abc":
        put(sample_cache, digest, bytes(10))
    sample_cache.lend(sampled("a"), ignore).end()
    put(sample_cache, "d", bytes(10))
    assert sample_cache.missing(sampled("a", "b", "c", "d")) == ("b",)


def test_a_recording_that_a_job_uses_stays_and_what_has_no_room_is_busy() -> None:
    sample_cache = SampleCache(limit_bytes=30)
    for digest in "abc":
        put(sample_cache, digest, bytes(10))
    loan = sample_cache.lend(sampled("a", "b"), ignore)
    put(sample_cache, "d", bytes(10))
    assert sample_cache.missing(sampled("a", "b", "c", "d")) == ("c",)
    for digest in "ed":
        with pytest.raises(EngineBusy):
            put(sample_cache, digest, bytes(20))
    assert sample_cache.missing(sampled("d")) == (), "a refused recording leaves the one before it"
    loan.end()
    put(sample_cache, "e", bytes(20))
    assert sample_cache.missing(sampled("d", "e")) == ()


def test_a_recording_that_a_job_uses_stays_also_if_it_was_taken_longest_ago() -> None:
    sample_cache = SampleCache(limit_bytes=30)
    for digest in "abc":
        put(sample_cache, digest, bytes(10))
    sample_cache.lend(sampled("a"), ignore)
    sample_cache.lend(sampled("b", "c"), ignore).end()
    put(sample_cache, "d", bytes(10))
    assert sample_cache.missing(sampled("a", "b", "c", "d")) == ("b",)


def test_a_recording_that_is_put_twice_leaves_the_room_of_another() -> None:
    sample_cache = SampleCache(limit_bytes=20)
    for digest in "abb":
        put(sample_cache, digest, bytes(10))
    assert sample_cache.missing(sampled("a", "b")) == ()


def test_the_same_recording_again_takes_no_more_room() -> None:
    sample_cache = SampleCache(limit_bytes=10)
    for _ in range(3):
        put(sample_cache, "a", bytes(10))
    assert repr(sample_cache) == "<SampleCache 1 recordings, 0 loans>"


def test_what_was_derived_is_made_once_and_goes_with_any_of_its_recordings() -> None:
    sample_cache, made = SampleCache(), []
    put(sample_cache, "a", b"a")
    put(sample_cache, "b", b"b")

    def join(recordings: Sequence[bytes]) -> bytes:
        made.append(recordings)
        return b"".join(recordings)

    both = sampled("a", "b")
    for _ in range(2):
        assert sample_cache.derived(both, (Sample("a"), Sample("b")), join) == b"ab"
    assert len(made) == 1
    sample_cache.drop(["b"])
    put(sample_cache, "b", b"B")
    assert sample_cache.derived(both, (Sample("a"), Sample("b")), join) == b"aB"


def test_other_words_of_a_recording_are_derived_anew() -> None:
    sample_cache = SampleCache()
    put(sample_cache, "a", b"a")
    for text in ("One.", "Two."):
        samples = (Sample("a", text),)
        assert sample_cache.derived(sampled("a"), samples, partial(_words, text)) == text


def test_ever_new_words_of_a_recording_do_not_fill_the_memory() -> None:
    sample_cache = SampleCache()
    put(sample_cache, "a", b"a")
    made = [0]

    def count(_recordings: Sequence[bytes]) -> int:
        made[0] += 1
        return made[0]

    def derive(number: int) -> int:
        return sample_cache.derived(sampled("a"), (Sample("a", f"{number}."),), count)

    for number in range(5_000):
        derive(number)
    assert derive(4_999) == 5_000
    assert derive(0) == 5_001


def test_what_is_derived_while_its_recording_is_dropped_is_not_kept() -> None:
    sample_cache = SampleCache()
    put(sample_cache, "a", b"a")

    def slow(recordings: Sequence[bytes]) -> bytes:
        sample_cache.drop(["a"])
        return recordings[0]

    assert sample_cache.derived(sampled("a"), (Sample("a"),), slow) == b"a"
    put(sample_cache, "a", b"again")
    assert sample_cache.derived(sampled("a"), (Sample("a"),), lambda each: each[0]) == b"again"


def test_a_drop_forgets_every_tenants_and_models_and_tells_the_jobs() -> None:
    sample_cache, told = SampleCache(), []
    for tenant in ("acc_1", "acc_2"):
        put(sample_cache, "a", b"a", tenant=tenant)
    loan = sample_cache.lend(sampled("a"), lambda: told.append("stopped"))
    assert sample_cache.drop(["a"]) == [loan]
    assert loan.is_dropped
    assert told == ["stopped"]
    assert repr(sample_cache) == "<SampleCache 0 recordings, 1 loans>"
    loan.end()
    assert sample_cache.drop(["a"]) == []


def test_an_engine_without_a_shelf_is_told_so() -> None:
    for read in (
        lambda: NO_SAMPLES.pcm(sampled("a"), Sample("a")),
        lambda: NO_SAMPLES.derived(job(), (), len),
    ):
        with pytest.raises(EngineFailed):
            read()
