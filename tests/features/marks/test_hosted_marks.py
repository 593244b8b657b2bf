"""Marks in a process of their own: many streams at once, and every early end frees what it took."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import psutil
import pytest

from proxy.audio.formats import SoundFailed
from proxy.config.sections import PluginSection
from proxy.engines.registry import Registry
from proxy.features.marks import hosted_mark
from proxy.features.marks.answer_marks import HOST_MODULE, MarkRequest, open_answer_mark, open_mark
from proxy.features.marks.hosted_mark import (
    MOST_QUESTIONS,
    PIECE_BYTES,
    HostedMark,
    HostedMarkStream,
    MarkUnusable,
)
from proxy.helpers.helper import Helper, HelperSpec
from speech_engine import EngineUnavailable, Hosted
from speech_engine.host.plugin_messages import BeginPlugin, unpack
from speech_engine.mark import Detection, MarkKey
from tests.faults.processes import own_children
from tests.features.marks import odd_mark
from tests.features.marks.odd_mark import BAD_RATE_HZ, DEADLY, ENDLESS, HARMFUL, OddSettings, marked
from tests.tables import each_row
from tests.waiting import soon

MODULE = odd_mark.__name__
ENVIRON: Mapping[str, str] = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
KEY = MarkKey("key_a", b"a secret of some bytes")
SOUND = bytes(range(0, 256, 2)) * 10


def mark_of(settings: OddSettings | None = None, idle_s: float = 900.0, **times: float) -> HostedMark:
    begin = BeginPlugin("odd", MODULE, msgspec.json.encode(settings or OddSettings()))
    spec = HelperSpec(
        module=HOST_MODULE,
        name="odd",
        begin=begin,
        unpack=unpack,
        environ=ENVIRON,
        idle_s=idle_s,
        rest_s=10.0,
        is_numbered=True,
    )
    return HostedMark(Helper(spec), **times)


@pytest.fixture
async def mark() -> AsyncIterator[HostedMark]:
    made = mark_of()
    try:
        async with asyncio.timeout(60.0):
            yield made
    finally:
        await made.close()
        assert not processes()


def processes() -> list[psutil.Process]:
    return own_children(HOST_MODULE)


async def opened(mark: HostedMark) -> HostedMarkStream:
    return await mark.open(24_000, KEY, 7)


async def streams_in(mark: HostedMark) -> int:
    """How many streams the process remembers: its mark says so as a score.

    It takes the messages of streams in order, so the one that is opened here comes after any close.
    """
    last = await opened(mark)
    found = await mark.detect(b"", 24_000, [KEY])
    await last.close()
    return int(found.score) - 1


async def test_many_streams_share_one_process_and_keep_apart(mark: HostedMark) -> None:
    assert not processes(), "nobody has asked yet"
    sounds = [bytes([2 * number]) * 4000 for number in range(20)]

    async def whole(sound: bytes) -> bytes:
        stream = await opened(mark)
        parts = [await stream.feed(sound[at : at + 640]) for at in range(0, len(sound), 640)]
        parts.append(await stream.flush())
        await stream.close()
        return b"".join(parts)

    results = await asyncio.gather(*map(whole, sounds))
    assert results == [marked(sound) for sound in sounds]
    assert len(processes()) == 1
    assert await streams_in(mark) == 0


async def test_a_large_sound_goes_in_pieces_and_comes_back_whole(mark: HostedMark) -> None:
    stream = await opened(mark)
    sound = SOUND * (PIECE_BYTES // len(SOUND) * 3)
    assert await stream.feed(sound) + await stream.flush() == marked(sound)
    assert await stream.feed(b"") == b""


async def test_a_stream_that_is_closed_early_is_forgotten(mark: HostedMark) -> None:
    one, other = await opened(mark), await opened(mark)
    await one.feed(SOUND)
    assert await streams_in(mark) == 2
    await one.close()
    await one.close()
    assert await streams_in(mark) == 1
    assert await other.feed(SOUND) + await other.flush() == marked(SOUND)
    with pytest.raises(SoundFailed):
        await one.feed(SOUND)


async def test_a_fault_is_one_stream_s_only_and_quotes_nothing(mark: HostedMark) -> None:
    one, other = await opened(mark), await opened(mark)
    with pytest.raises(SoundFailed, match=r"the mark odd failed: ValueError$"):
        await one.feed(HARMFUL)
    with pytest.raises(SoundFailed, match="has ended"):
        await one.flush()
    assert await streams_in(mark) == 1
    assert await other.feed(SOUND) + await other.flush() == marked(SOUND)


async def test_a_rate_that_cannot_be_is_refused(mark: HostedMark) -> None:
    with pytest.raises(MarkUnusable, match="ValueError"):
        await mark.open(BAD_RATE_HZ, KEY, 7)
    assert await streams_in(mark) == 0


async def test_a_crash_ends_every_stream_and_the_next_one_gets_a_new_process(mark: HostedMark) -> None:
    one, other = await opened(mark), await opened(mark)
    (process,) = processes()
    feeding = asyncio.gather(one.feed(DEADLY), other.feed(SOUND * 20), return_exceptions=True)
    fatal, _beside = await feeding
    assert isinstance(fatal, SoundFailed)
    with pytest.raises(SoundFailed):
        await other.flush()
    await soon(lambda: not process.is_running())
    await one.close()
    await other.close()
    again = await opened(mark)
    assert await streams_in(mark) == 1
    assert await again.feed(SOUND) + await again.flush() == marked(SOUND)


async def test_a_question_that_kills_is_answered_with_its_reason(mark: HostedMark) -> None:
    with pytest.raises(MarkUnusable, match="its process ended"):
        await mark.detect(DEADLY, 24_000, [KEY])
    with pytest.raises(MarkUnusable, match="ValueError"):
        await mark.detect(HARMFUL, 24_000, [KEY])
    found = await mark.detect(bytes(48_000), 24_000, [KEY])
    assert found == Detection(0.0, 0.0, "key_a", 7, seconds=1.0)


async def test_a_frozen_process_is_ended(mark: HostedMark) -> None:
    one, other = await opened(mark), await opened(mark)
    (process,) = processes()
    mark.step_s = 0.2
    with pytest.raises(SoundFailed, match=r"no sound within 0\.2 s"):
        await one.feed(ENDLESS)
    mark.step_s = 30.0
    with pytest.raises(SoundFailed):
        await other.feed(SOUND)
    await soon(lambda: not process.is_running())
    assert await (await opened(mark)).feed(SOUND) == marked(SOUND)[:-2]


async def test_a_listener_who_leaves_in_a_step_takes_nothing_from_the_others(mark: HostedMark) -> None:
    one, other = await opened(mark), await opened(mark)
    feeding = asyncio.create_task(one.feed(SOUND * 1000))
    await asyncio.sleep(0)
    feeding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await feeding
    with pytest.raises(SoundFailed, match="has ended"):
        await one.feed(SOUND)
    await one.close()
    assert await streams_in(mark) == 1
    assert await other.feed(SOUND) + await other.flush() == marked(SOUND)


async def test_a_question_without_an_answer_ends_the_process_after_its_streams() -> None:
    mark = mark_of(detect_s=0.2)
    try:
        stream = await opened(mark)
        (process,) = processes()
        with pytest.raises(MarkUnusable, match=r"no answer within 0\.2 s"):
            await mark.detect(ENDLESS, 24_000, [KEY])
        heard = await stream.feed(SOUND)
        another = await opened(mark)
        assert len(processes()) == 2
        assert heard + await stream.flush() == marked(SOUND)
        await soon(lambda: not process.is_running())
        assert await another.feed(SOUND) + await another.flush() == marked(SOUND)
    finally:
        await mark.close()


async def test_what_nobody_has_begun_to_look_at_leaves_with_its_asker(mark: HostedMark) -> None:
    first = asyncio.create_task(mark.detect(ENDLESS, 24_000, [KEY]))
    await soon(lambda: len(processes()) == 1 and mark._last_question > 0)
    asking = [asyncio.create_task(mark.detect(ENDLESS, 24_000, [KEY])) for _ in range(MOST_QUESTIONS - 1)]
    await soon(lambda: len(mark.helper.under_way) == MOST_QUESTIONS)
    for task in (first, *asking):
        task.cancel()
    await asyncio.wait([first, *asking])
    await soon(lambda: len(mark.helper.under_way) == 1)
    ninth = asyncio.create_task(mark.detect(SOUND, 24_000, [KEY]))
    await soon(lambda: len(mark.helper.under_way) == 2 or ninth.done())
    # The first question keeps the process until it ends.
    processes()[0].kill()
    assert (await ninth).key == "key_a"


async def test_so_many_streams_may_be_open(mark: HostedMark, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosted_mark, "MOST_STREAMS", 2)
    one, _other = await opened(mark), await opened(mark)
    with pytest.raises(MarkUnusable, match="busy"):
        await opened(mark)
    await one.close()
    await opened(mark)


async def test_a_stream_whose_sound_is_all_marked_takes_no_place(
    mark: HostedMark, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer may still have a listener who is slow to take it."""
    monkeypatch.setattr(hosted_mark, "MOST_STREAMS", 1)
    for _ in range(2):
        stream = await opened(mark)
        assert await stream.feed(SOUND) + await stream.flush() == marked(SOUND)
    monkeypatch.undo()
    assert await streams_in(mark) == 0


def registry_of(create: object) -> Registry:
    (plugin,) = odd_mark.voxgate_register()
    plugin = msgspec.structs.replace(plugin, create=create or plugin.create)
    return Registry({("mark", "odd"): plugin}, ())


def request_of(name: str = "odd", **settings: object) -> MarkRequest:
    return MarkRequest(name, PluginSection(settings=settings), ENVIRON, "")


async def test_it_runs_where_its_plugin_says() -> None:
    for create, kind in ((None, odd_mark.OddMark), (Hosted(MODULE), HostedMark)):
        async with AsyncExitStack() as stack:
            mark = await open_mark(stack, registry_of(create), request_of())
            assert isinstance(mark, kind)
            stream = await open_answer_mark("odd", mark, 24_000, KEY, 7)
            assert await stream.feed(SOUND) + await stream.flush() == marked(SOUND)
            await stream.close()
            stream = await open_answer_mark("odd", mark, 24_000, KEY, 7)
            with pytest.raises(EngineUnavailable, match="the mark odd failed: ValueError"):
                await stream.feed(HARMFUL)
            with pytest.raises(MarkUnusable, match="ValueError"):
                await open_answer_mark("odd", mark, BAD_RATE_HZ, KEY, 7)
            await stream.close()
    assert not processes()


@each_row(
    ("create", "name", "settings"),
    [
        (Hosted(MODULE, packages=("v_nowhere>=1",)), "odd", {}),
        (Hosted(MODULE), "odd", {"wrong": 1}),
        (None, "odd", {"is_broken": True}),
        (None, "another", {}),
    ],
    ids=["no environment", "wrong settings", "broken", "unknown"],
)
async def test_one_that_cannot_be_used_is_none(
    create: object, name: str, settings: dict[str, object]
) -> None:
    async with AsyncExitStack() as stack:
        assert await open_mark(stack, registry_of(create), request_of(name, **settings)) is None
