"""The checker: its turns, its time, and the processes that end when nobody waits for them."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import soxr  # type: ignore[import-untyped]
from msgspec.structs import replace

from plugins.spread.stream import SpreadMark
from proxy.audio.recordings.decoder import Decoder
from proxy.audio.recordings.recording import UnusableRecording
from proxy.config.sections import Config, PluginSection
from proxy.engines.registry import Registry
from proxy.errors import MarksUnavailable, NoPlace
from proxy.feature_list import open_store
from proxy.features.marks import checker as checking_module
from proxy.features.marks import hosted_mark
from proxy.features.marks.checker import MOST_OF_ACCOUNT, MOST_PLACES, ProvenanceChecker
from proxy.features.marks.findings import Examination, SearchJob
from proxy.features.marks.marker import KEYS_FILE, open_marker
from proxy.features.marks.search_child import samples_of
from proxy.features.marks.section import MarkingSection
from proxy.file_store.key_ring import RingKey, add_key, ensure_keys
from speech_engine import Hosted
from speech_engine.mark import MarkKey
from tests import speech_clips
from tests.features.marks import odd_mark
from tests.features.marks.odd_mark import HARMFUL
from tests.proxy.audio.recordings.clips import KINDS, encoded, wav
from tests.proxy.jobs_inside import jobs_inside
from tests.sound import decoded, tone
from tests.waiting import soon

pytestmark = pytest.mark.slow

_SEARCH = "proxy.features.marks.search_child"
_PAYLOAD = 7 << 16 | 300
SHORT = wav(tone(440, 0.6))


@pytest.fixture
async def checker(tmp_path: Path) -> AsyncIterator[ProvenanceChecker]:
    with jobs_inside():
        async with _open_checker(tmp_path) as checker:
            yield checker


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[ProvenanceChecker]:
    """With a process for each search."""
    with jobs_inside(but=_SEARCH):
        async with _open_checker(tmp_path) as checker:
            yield checker


@asynccontextmanager
async def _open_checker(tmp_path: Path) -> AsyncIterator[ProvenanceChecker]:
    decoder = Decoder()
    config = Config(data=str(tmp_path))
    ensure_keys(tmp_path / KEYS_FILE)
    try:
        async with open_store("sqlite", tmp_path) as store:
            checker = ProvenanceChecker(decoder, store, config)
            yield checker
            await checker.close()
    finally:
        await decoder.close()
    assert not _children("proxy.features.marks")


def _children(module: str) -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if any(module in word for word in child.cmdline()):
                found.append(child)
    return found


def _marked(key: RingKey) -> bytes:
    heard = decoded(speech_clips.wav(), "wav")
    pcm = (heard.samples[: 4 * heard.sample_rate_hz] * 32767).astype("<i2").tobytes()
    stream = SpreadMark().open(heard.sample_rate_hz, MarkKey(key.id, key.secret), _PAYLOAD)
    return wav(stream.feed(pcm) + stream.flush(), heard.sample_rate_hz)


@asynccontextmanager
async def _with_odd(
    checker: ProvenanceChecker, folder: Path, hosted: Hosted | None = None, **settings: object
) -> AsyncIterator[None]:
    """Let the checker have the mark `odd`, in a process of its own."""
    (plugin,) = odd_mark.voxgate_register()
    plugin = replace(plugin, create=hosted or Hosted(odd_mark.__name__))
    sections = {"odd": PluginSection(settings=settings)}
    config = Config(
        data=str(folder), features={"marking": MarkingSection(mark="odd")}, plugins={"mark": sections}
    )
    checker.revise(config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
        async with open_marker(Registry({("mark", "odd"): plugin}, ()), config, checker._store) as marker:
            checker._marker = marker
            yield


async def test_keys_of_before_a_rotation_find_their_marks(checker: ProvenanceChecker, tmp_path: Path) -> None:
    file = tmp_path / KEYS_FILE
    old = ensure_keys(file).newest
    clip = _marked(old)
    assert add_key(file).newest != old
    (mark,) = (await checker.examine("acc", clip)).marks
    assert (mark.plugin, mark.key, mark.payload) == ("spread", old.id, _PAYLOAD)
    assert mark.score >= mark.threshold


async def test_marks_are_found_when_no_more_are_made(checker: ProvenanceChecker, tmp_path: Path) -> None:
    """Whoever switches marks off still has marked clips about."""
    checker.revise(Config(data=str(tmp_path), features={"marking": MarkingSection(mark="")}))
    assert (await checker.examine("acc", _marked(ensure_keys(tmp_path / KEYS_FILE).newest))).marks[0].is_found


async def test_without_keys_no_mark_is_looked_for(real: ProvenanceChecker, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path, ignore_errors=True)
    examined = await real.examine("acc", SHORT)
    assert examined.marks == ()
    assert not _children(_SEARCH)


async def test_what_is_no_recording_is_refused_before_any_search(real: ProvenanceChecker) -> None:
    with pytest.raises(UnusableRecording, match="cannot be read"):
        await real.examine("acc", b"no recording")
    assert real._places.taken_weight == 0


@pytest.mark.clock
async def test_a_search_that_dies_or_hangs_is_the_servers_fault(
    real: ProvenanceChecker, monkeypatch: pytest.MonkeyPatch
) -> None:
    checking = asyncio.create_task(real.examine("acc", SHORT))
    await soon(lambda: len(_children(_SEARCH)) == 1)
    _children(_SEARCH)[0].kill()
    with pytest.raises(NoPlace):
        await checking
    monkeypatch.setattr(checking_module, "SEARCH_WITHIN_S", 0.01)
    with pytest.raises(NoPlace):
        await real.examine("acc", SHORT)
    await soon(lambda: not _children(_SEARCH))


async def test_three_accounts_keep_nobody_out_and_the_queue_is_bounded(
    real: ProvenanceChecker,
) -> None:
    """However much a few accounts send, others get in, and the server takes no more than it can hold."""

    async def examine(account: str) -> Examination:
        return await real.examine(account, SHORT)

    first = [asyncio.create_task(examine(each)) for each in ("acc_a", "acc_b")]
    await soon(lambda: len(_children(_SEARCH)) == 2)
    searches = _children(_SEARCH)
    for child in searches:
        child.suspend()
    many = [asyncio.create_task(examine(each)) for each in ("acc_a", "acc_b", "acc_c") * MOST_OF_ACCOUNT]
    await asyncio.sleep(0)
    refused = [each for each in many if each.done() and isinstance(each.exception(), NoPlace)]
    assert len(first) + len(many) - len(refused) == MOST_PLACES // 2
    others = [asyncio.create_task(examine(f"acc_{number}")) for number in range(MOST_PLACES // 2)]
    await asyncio.sleep(0)
    assert real._places.taken_weight == MOST_PLACES
    with pytest.raises(NoPlace):
        await examine("acc_new")
    assert _children(_SEARCH) == searches
    waiting = [each for each in (*many, *others) if not each.done()]
    for each in waiting:
        each.cancel()
    await asyncio.wait(waiting)
    for child in searches:
        child.resume()
    assert all(examined.marks for examined in await asyncio.gather(*first))
    assert real._places.taken_weight == 0


async def test_a_mark_s_process_that_others_keep_busy_is_no_verdict(
    checker: ProvenanceChecker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has looked for that mark, so its absence would be untrue."""
    async with _with_odd(checker, tmp_path):
        assert [mark.plugin for mark in (await checker.examine("acc", SHORT)).marks] == ["spread", "odd"]
        monkeypatch.setattr(hosted_mark, "MOST_QUESTIONS", 0)
        with pytest.raises(NoPlace):
            await checker.examine("acc", SHORT)


@pytest.mark.parametrize("text", [b"spoilt", b"", None], ids=["spoilt", "empty", "folder"])
async def test_keys_that_cannot_be_read_are_no_verdict(
    text: bytes | None, checker: ProvenanceChecker, tmp_path: Path
) -> None:
    file = tmp_path / KEYS_FILE
    file.unlink()
    if text is None:
        file.mkdir()
    else:
        file.write_bytes(text)
    with pytest.raises(MarksUnavailable, match="the keys of marks cannot be read") as refused:
        await checker.examine("acc", SHORT)
    assert (refused.value.status, refused.value.code) == (503, "marks_unavailable")
    assert refused.value.retry_after_s


@pytest.mark.parametrize(
    ("mark", "settings"),
    [("spread", {"strength": 9.0}), ("none such", {}), ("none such", None)],
    ids=["settings", "not installed", "not installed, and without a section"],
)
async def test_a_mark_that_cannot_be_opened_is_no_verdict(
    mark: str, settings: dict[str, Any] | None, checker: ProvenanceChecker, tmp_path: Path
) -> None:
    sections = {} if settings is None else {mark: PluginSection(settings=settings)}
    config = Config(
        data=str(tmp_path), features={"marking": MarkingSection(mark=mark)}, plugins={"mark": sections}
    )
    checker.revise(config)
    async with open_marker(Registry({}, ()), config, checker._store) as checker._marker:
        with pytest.raises(MarksUnavailable, match=f"the mark {mark} cannot be used"):
            await checker.examine("acc", SHORT)


@pytest.mark.parametrize(
    ("hosted", "settings", "sound"),
    [
        (None, {}, HARMFUL),
        (None, {"is_broken": True}, bytes(8)),
        (Hosted(odd_mark.__name__, packages=("v_nowhere>=1",)), {}, bytes(8)),
    ],
    ids=["a fault", "does not load", "no environment"],
)
async def test_a_mark_whose_process_fails_is_no_verdict(
    hosted: Hosted | None, settings: dict[str, Any], sound: bytes, checker: ProvenanceChecker, tmp_path: Path
) -> None:
    async with _with_odd(checker, tmp_path, hosted, **settings):
        with pytest.raises(MarksUnavailable, match="the mark odd cannot be used"):
            await checker.examine("acc", wav(sound))


async def test_a_mark_that_needs_a_server_is_no_verdict_without_one(
    checker: ProvenanceChecker, tmp_path: Path
) -> None:
    checker.revise(Config(data=str(tmp_path), features={"marking": MarkingSection(mark="audioseal")}))
    with pytest.raises(MarksUnavailable, match="only a running server can look for the mark audioseal"):
        await checker.examine("acc", SHORT)


def test_a_recording_of_another_form_is_made_fit_for_marks() -> None:
    pcm = np.array([1, -2, 3], "<i4")
    packed = pcm.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    job = SearchJob(packed, 24_000, 3, {}, ())
    assert samples_of(job) == (np.array([0, -1, 0], "<i2").tobytes(), 24_000)
    tall = replace(job, pcm=bytes(2 * 96_000), rate_hz=96_000, sample_bytes=2)
    samples, rate_hz = samples_of(tall)
    assert (len(samples), rate_hz) == (2 * 48_000, 48_000)


@pytest.mark.parametrize("kind", ["flac 24 bit", "m4a", "webm opus"])
async def test_a_mark_outlives_other_peoples_formats(
    kind: str, checker: ProvenanceChecker, tmp_path: Path
) -> None:
    form = KINDS[kind]
    heard = decoded(_marked(ensure_keys(tmp_path / KEYS_FILE).newest), "wav")
    samples = soxr.resample(heard.samples.astype(np.float64), heard.sample_rate_hz, form.rate_hz)
    (mark,) = (await checker.examine("acc", encoded(form, samples))).marks
    assert (mark.is_found, mark.payload) == (True, _PAYLOAD)
