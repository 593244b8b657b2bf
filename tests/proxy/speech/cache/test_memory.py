"""The memory in front of the folder: it is bounded, and soon knows what the folder knows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.speech.cache.clips import About, Clip, Identity
from proxy.speech.cache.memory import Memory


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
    )


def _has(memory: Memory, path: Path) -> bool:
    return memory.get(str(path), 0.0) is not None


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
    monkeypatch.setattr("proxy.speech.cache.memory.BELIEVED_S", 3600.0)
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
    monkeypatch.setattr("proxy.speech.cache.memory.BELIEVED_S", 0.0)
    assert not _has(memory, gone)
    assert not _has(memory, replaced)
    assert "0 clips, 0 bytes" in repr(memory)


def test_a_clip_that_was_taken_away_before_it_came_to_memory_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.speech.cache.memory.BELIEVED_S", 3600.0)
    memory, path = Memory(1_000), tmp_path / "a"
    path.write_bytes(bytes(100))
    identity = Identity.of(path.stat())
    path.unlink()
    memory.put(str(path), Clip(_about(100), bytes(100), None, identity))
    assert not _has(memory, path)
