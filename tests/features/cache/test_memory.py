"""The memory in front of the folder: it is bounded, and soon knows what the folder knows."""

import os
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from math import inf
from pathlib import Path

import pytest

from proxy.features.cache import clip_store, clips
from proxy.features.cache.clip_store import Memory
from proxy.features.cache.clips import About, Clip, Identity
from proxy.speech.speech_stream import PIECE_BYTES


def _put(memory: Memory, path: Path, sound: bytes) -> None:
    path.write_bytes(sound)
    memory.put(str(path), Clip(_about(len(sound)), sound, None, Identity.of(path.stat())))


def _about(audio_bytes: int) -> About:
    return About(
        spoken_by="one/m",
        engine="one",
        model="m",
        samples=1,
        sample_rate_hz=24_000,
        words=None,
        audio_bytes=audio_bytes,
        speakers=("one/m",),
    )


def _has(memory: Memory, path: Path) -> bool:
    return memory.get(str(path), inf) is not None


def test_the_clip_that_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    memory, paths = Memory(1_000), [tmp_path / name for name in "abc"]
    for path in paths[:2]:
        _put(memory, path, bytes(400))
    assert _has(memory, paths[0])
    _put(memory, paths[2], bytes(400))
    assert [_has(memory, path) for path in paths] == [True, False, True]
    assert "800 bytes" in repr(memory)


def test_a_clip_that_is_put_again_counts_once(tmp_path: Path) -> None:
    memory, path = Memory(1_000), tmp_path / "a"
    for _ in range(3):
        _put(memory, path, bytes(400))
    assert "1 clips, 400 bytes" in repr(memory)


def test_a_clip_that_is_larger_than_all_of_the_memory_is_not_there(tmp_path: Path) -> None:
    memory = Memory(1_000)
    _put(memory, tmp_path / "a", bytes(1_001))
    assert not _has(memory, tmp_path / "a")
    assert "0 clips, 0 bytes" in repr(memory)


def test_a_clip_that_was_replaced_or_taken_away_on_the_disk_is_soon_gone_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, gone, replaced = Memory(1_000), tmp_path / "gone", tmp_path / "replaced"
    monkeypatch.setattr("proxy.features.cache.clip_store.TRUSTED_S", 3600.0)
    for path in (gone, replaced):
        _put(memory, path, bytes(100))
        assert _has(memory, path)
    gone.unlink()
    other = tmp_path / "other"
    other.write_bytes(bytes(100))
    os.utime(other, ns=(0, replaced.stat().st_mtime_ns))
    other.rename(replaced)
    assert _has(memory, gone)
    assert _has(memory, replaced)
    monkeypatch.setattr("proxy.features.cache.clip_store.TRUSTED_S", 0.0)
    assert not _has(memory, gone)
    assert not _has(memory, replaced)
    assert "0 clips, 0 bytes" in repr(memory)


def test_a_clip_that_was_taken_away_before_it_came_to_memory_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.features.cache.clip_store.TRUSTED_S", 3600.0)
    memory, path = Memory(1_000), tmp_path / "a"
    path.write_bytes(bytes(100))
    identity = Identity.of(path.stat())
    path.unlink()
    memory.put(str(path), Clip(_about(100), bytes(100), None, identity))
    assert not _has(memory, path)


def test_a_worker_holds_no_more_than_eight_megabytes_of_clips(tmp_path: Path) -> None:
    memory = Memory(clip_store._MEMORY_BYTES)
    tracemalloc.start()
    for number in range(300):
        _put(memory, tmp_path / str(number), os.urandom(48_000))
    # Other threads may be importing.
    ours = [
        tracemalloc.Filter(inclusive=True, filename_pattern=file) for file in (__file__, clip_store.__file__)
    ]
    held = sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces(ours).traces)
    tracemalloc.stop()
    assert 7_000_000 < held < 8_500_000


def test_a_clip_is_read_without_a_larger_block(tmp_path: Path) -> None:
    """Blocks that are given back in part leave holes, in the memory of each thread that reads."""
    path, sound = tmp_path / "a", bytes(48_000)
    path.write_bytes(sound + _about(len(sound)).encoded())
    with ThreadPoolExecutor(1) as thread:
        thread.submit(clips.load, path, 0.0).result()  # what is imported and made once
        tracemalloc.start()
        clip = thread.submit(clips.load, path, 0.0).result()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert clip is not None
    assert clip.start == sound
    assert clip.rest is None
    assert most < 2 * len(sound)


def test_a_clip_that_is_longer_than_a_block_is_read_on_from_the_disk(tmp_path: Path) -> None:
    path, sound = tmp_path / "a", os.urandom(clips.BLOCK_BYTES + 1000)
    path.write_bytes(sound + _about(len(sound)).encoded())
    clip = clips.load(path, time.time() - 60)
    assert clip is not None
    assert len(clip.start) == PIECE_BYTES
    assert clip.start + clip.read(len(clip.start), len(sound)) == sound
    clip.close()
