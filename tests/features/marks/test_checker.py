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
from proxy.errors import MarksUnavailable, NoPlace
from proxy.feature_list import open_store
from proxy.features.marks import checker as checking_module
from proxy.features.marks.checker import MOST_OF_ACCOUNT, MOST_PLACES, ProvenanceChecker
from proxy.features.marks.findings import Examination, SearchJob
from proxy.features.marks.search_child import samples_of
from proxy.features.marks.section import MARK_KEYS, MarkingSection
from proxy.file_store.key_ring import RingKey, add_key, ensure_keys
from speech_engine.mark import MarkKey
from tests import speech_clips
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
    ensure_keys(tmp_path / MARK_KEYS)
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


async def test_keys_of_before_a_rotation_find_their_marks(checker: ProvenanceChecker, tmp_path: Path) -> None:
    file = tmp_path / MARK_KEYS
    old = ensure_keys(file).newest
    clip = _marked(old)
    assert add_key(file).newest != old
    (mark,) = (await checker.examine("acc", clip)).marks
    assert (mark.plugin, mark.key, mark.payload) == ("spread", old.id, _PAYLOAD)
    assert mark.score >= mark.threshold


async def test_marks_are_found_when_no_more_are_made(checker: ProvenanceChecker, tmp_path: Path) -> None:
    """Whoever switches marks off still has marked clips about."""
    checker.revise(Config(data=str(tmp_path), features={"marking": MarkingSection(mark="")}))
    assert (await checker.examine("acc", _marked(ensure_keys(tmp_path / MARK_KEYS).newest))).marks[0].is_found


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


@pytest.mark.parametrize("text", [b"spoilt", b"", None], ids=["spoilt", "empty", "folder"])
async def test_keys_that_cannot_be_read_are_no_verdict(
    text: bytes | None, checker: ProvenanceChecker, tmp_path: Path
) -> None:
    file = tmp_path / MARK_KEYS
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
    with pytest.raises(MarksUnavailable, match=f"the mark {mark} cannot be used"):
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
    heard = decoded(_marked(ensure_keys(tmp_path / MARK_KEYS).newest), "wav")
    samples = soxr.resample(heard.samples.astype(np.float64), heard.sample_rate_hz, form.rate_hz)
    (mark,) = (await checker.examine("acc", encoded(form, samples))).marks
    assert (mark.is_found, mark.payload) == (True, _PAYLOAD)
