"""Age, room, and a disk that fails."""

import asyncio
import os
import re
import shutil
import time
from pathlib import Path

import pytest
import structlog

from proxy.file_store import locked_files
from tests.features.cache.keeping import (
    CONFIG,
    ask,
    cache_of,
    found,
    kept,
    landed,
    reopened,
    revise,
    speaking,
    stored,
)
from tests.proxy.api.scripted import RATE_HZ, Scripted, spoken
from tests.tables import each_row
from tests.waiting import until

MOST = 1_000_000
DAY_S = 24 * 60 * 60.0


def age(path: Path, *, used_s: float = 0.0, written_s: float = 0.0) -> None:
    now = time.time()
    os.utime(path, (now - used_s, now - written_s))


async def test_a_clip_that_is_too_old_is_spoken_again_and_swept(tmp_path: Path) -> None:
    engine = Scripted(*spoken(0.5))
    async with speaking(tmp_path, engine) as server:
        path = await kept(server, tmp_path)
        age(path, written_s=30 * DAY_S - 60)
        assert found(await ask(server)) == "hit"
        age(path, written_s=30 * DAY_S + 60)
        await cache_of(server).sweep()
        assert not stored(tmp_path)
        assert not list((tmp_path / "data" / "cache").iterdir())
        assert [found(await ask(server)) for _ in range(2)] == ["miss", "hit"]
        page = server.worker.metrics.page_text()
    assert "voxgate_cache_evictions_total 1.0" in page
    assert "voxgate_cache_bytes 0.0" in page


@pytest.mark.parametrize("is_in_memory", [True, False])
async def test_a_clip_that_is_too_old_is_not_given_out_before_it_is_swept(
    tmp_path: Path, is_in_memory: bool
) -> None:
    text = f"{CONFIG}days = 0.5\n"
    engine = Scripted(*spoken(0.5))
    async with speaking(tmp_path, engine, text=text) as server:
        path = await kept(server, tmp_path)
        age(path, written_s=0.4 * DAY_S)
        assert found(await ask(server)) == "hit"
        if is_in_memory:
            revise(server, tmp_path, f"{CONFIG}days = 0.3\n")
        else:
            age(path, written_s=0.6 * DAY_S)
        assert [found(await ask(server)) for _ in range(2)] == ["miss", "hit"]


async def test_the_folder_is_bounded_and_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    async with speaking(tmp_path, Scripted(*spoken(1.25))) as server:
        for number in range(40):
            assert found(await ask(server, seed=number)) == "miss"
            # The sweep is part of these tasks.
            await asyncio.to_thread(until, lambda: not cache_of(server)._landing_tasks)
            assert sum(path.stat().st_size for path in stored(tmp_path)) <= MOST
            if number == 10:
                favourite = min(stored(tmp_path), key=lambda path: path.stat().st_mtime_ns)
            if number > 10:
                age(favourite, written_s=1000.0)
        assert len(stored(tmp_path)) >= 8
        assert favourite in stored(tmp_path)
        assert [found(await ask(server, seed=seed)) for seed in (39, 38, 5)] == ["hit", "hit", "miss"]


async def test_a_use_is_written_down_but_not_each_one_of_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Scripted(*spoken(0.5))
    async with speaking(tmp_path, engine) as server:
        path = await kept(server, tmp_path)
        long_ago, written = time.time_ns() - 10**12, path.stat().st_mtime_ns
        os.utime(path, ns=(long_ago, written))
        assert found(await ask(server)) == "hit"
        assert path.stat().st_atime_ns == long_ago
        monkeypatch.setattr("proxy.features.cache.clips.TOUCH_EVERY_S", 0.0)
        assert found(await ask(server)) == "hit"
        await asyncio.to_thread(until, lambda: time.time() - path.stat().st_atime < 60)
        assert path.stat().st_mtime_ns == written


async def test_a_clip_that_takes_more_than_a_quarter_is_not_kept(tmp_path: Path) -> None:
    engine = Scripted(*spoken(6.0))
    with structlog.testing.capture_logs() as logs:
        async with speaking(tmp_path, engine) as server:
            answers = []
            for _ in range(2):
                answers.append(await ask(server))
                await asyncio.to_thread(until, lambda: not cache_of(server)._landing_tasks)
            assert not stored(tmp_path)
            assert not await server.worker.store.read("SELECT recording FROM clips")
            revise(server, tmp_path, CONFIG.replace("megabytes = 1", "megabytes = 2"))
            assert [found(await ask(server)) for _ in range(2)] == ["miss", "hit"]
    assert [found(answer) for answer in answers] == ["miss", "miss"]
    assert {len(answer.content) for answer in answers} == {12 * RATE_HZ}
    assert not [line for line in logs if line["event"].startswith("cache")]


async def test_a_worker_that_starts_sweeps_what_was_left_over(tmp_path: Path) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        whole = await kept(server, tmp_path)
    other = whole.with_name("f" * 64)
    other.with_name(f"{other.name}.part").write_bytes(b"half")
    other.with_name(f"{other.name}.lock").touch()
    whole.with_name("d" * 64).write_bytes(b"without rows, after a kill in the middle of a purge")
    under_way = locked_files.take_lock(whole.with_name("e" * 64))
    assert under_way is not None
    left = {whole.name, f"{'e' * 64}.lock"}
    async with reopened(tmp_path, server, Scripted()) as again:
        await asyncio.to_thread(until, lambda: {path.name for path in stored(tmp_path)} == left)
        assert found(await ask(again)) == "hit"
    under_way.release()


@each_row("way", ["no folder", "no room", "no file"])
async def test_a_disk_that_does_not_do_it_never_fails_an_answer(tmp_path: Path, way: str) -> None:
    engine = Scripted(*spoken(0.5))
    with structlog.testing.capture_logs() as logs:
        async with speaking(tmp_path, engine) as server:
            path = await kept(server, tmp_path)
            path.unlink()
            for _ in range(2):
                _break(way, path)
                answer = await ask(server)
                expected = "off" if way == "no folder" else "miss"
                assert (found(answer), len(answer.content)) == (expected, RATE_HZ)
                await asyncio.to_thread(until, lambda: not cache_of(server)._landing_tasks)
            page = server.worker.metrics.page_text()
            root = path.parent.parent
            if root.is_dir():
                shutil.rmtree(root)
            else:
                root.unlink()
            assert [found(await ask(server)) for _ in range(2)] == ["miss", "hit"]
            await landed(tmp_path)
            path.unlink()
            _break(way, path)
            assert found(await ask(server)) == expected
            await asyncio.to_thread(until, lambda: not cache_of(server)._landing_tasks)
    (failures,) = re.findall(r"^voxgate_cache_failures_total (\S+)$", page, re.MULTILINE)
    assert float(failures) >= 2
    warnings = [line for line in logs if line["event"].startswith("cache")]
    # Once for each time that it begins to fail, not for each answer.
    assert [(line["event"], line["log_level"]) for line in warnings] == [("cache.keep.failed", "warning")] * 2


def _break(way: str, path: Path) -> None:
    part, root = path.with_name(f"{path.name}.part"), path.parent.parent
    if way == "no folder" and root.is_dir():
        shutil.rmtree(root)
        root.touch()
    elif way == "no room":
        part.symlink_to("/dev/full")
    elif way == "no file":
        part.mkdir(exist_ok=True)


async def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    engine = Scripted(*spoken(0.5))
    async with speaking(tmp_path, engine) as server:
        first = await ask(server)
        await landed(tmp_path)
        (path,) = stored(tmp_path)
        whole = path.read_bytes()
        for damaged in (
            b"",
            b"\xff" * 100,
            whole[:20],
            whole[:-1],
            whole[1:],
            b"x" + whole,
            whole + bytes(4),
        ):
            path.write_bytes(damaged)
            age(path)  # two writes in a few milliseconds may leave the same time
            again = await ask(server)
            assert (found(again), again.content) == ("miss", first.content)
            await landed(tmp_path)
            assert path.read_bytes() == whole


async def test_neither_account_nor_text_is_in_names_files_or_logs(tmp_path: Path) -> None:
    text = "A canary sings of 8152."
    with structlog.testing.capture_logs() as logs:
        async with speaking(tmp_path, Scripted(*spoken(0.5))) as server:
            await ask(server, input=text)
            await landed(tmp_path)
            (path,) = stored(tmp_path)
            written = f"{path.parent.name} {path.name}".encode() + path.read_bytes()
            account = server.account.id
            modes = [oct(each.stat().st_mode & 0o777) for each in (path.parent.parent, path.parent, path)]
    for canary in ("8152", "canary", account, "ana"):
        assert canary.encode() not in written
    assert "8152" not in repr(logs)
    assert modes == ["0o700", "0o700", "0o600"]
