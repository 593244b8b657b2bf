"""Long recordings as their process reads them: how long, how loud where, and any stretch of them."""

import asyncio
from contextlib import suppress
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from proxy.audio.recordings.decoder import checked_sound
from proxy.audio.recordings.decoding import decode
from proxy.audio.recordings.recording import Decoded, Undecoded
from proxy.errors import DecodingFailed, InvalidRequest
from proxy.features.transcriptions import long_decoder
from proxy.features.transcriptions.long_decoder import AGAIN_WITHIN_S, LongDecoder, _read_survey
from proxy.features.transcriptions.long_reading_child import MOST_CPU_S, stretch, survey
from proxy.features.transcriptions.long_recordings import LongSurvey, StretchRequest, SurveyRequest
from proxy.helpers.helper import Helper, HelperSpec
from proxy.helpers.limiter import WAIT_S
from proxy.speech.speech_request import SOURCE_HZ
from tests.features.jobs.conversions.rig import flac, recording, said
from tests.proxy.audio.recordings.clips import KINDS, Kind, Samples, encoded
from tests.sound import tone

SECONDS = 3.217


def samples(rate_hz: int) -> Samples:
    return np.frombuffer(tone(440, SECONDS, rate_hz), "<i2") / 32768


@pytest.mark.parametrize("name", KINDS)
def test_the_stretches_of_any_file_are_its_whole(name: str) -> None:
    kind = KINDS[name]
    file = encoded(kind, samples(kind.rate_hz))
    whole, surveyed = decode(file), survey(file)
    assert isinstance(whole, Decoded)
    assert isinstance(surveyed, LongSurvey)
    at = [0, 700, 1_333, 2_999, surveyed.whole_ms]
    parts = [stretch(StretchRequest(file, *ends, takes_first=False)) for ends in pairwise(at)]
    assert b"".join(each.pcm for each in parts if isinstance(each, Decoded)) == whole.pcm
    assert surveyed.rate_hz == whole.rate_hz
    assert len(surveyed.levels) == -(-surveyed.whole_ms // 20)


@pytest.mark.parametrize("rate_hz", [96_000, 192_000])
def test_a_stretch_is_as_long_at_any_rate(rate_hz: int) -> None:
    file = encoded(Kind("wav", "pcm_s16le", "s16", rate_hz), samples(rate_hz))
    at = [0, 700, 1_333, 3_217]
    parts = [stretch(StretchRequest(file, *ends, takes_first=False)) for ends in pairwise(at)]
    for part, (start, end) in zip(parts, pairwise(at), strict=True):
        assert isinstance(part, Decoded)
        assert part.rate_hz == 48_000
        assert len(part.pcm) / 2 == pytest.approx(48 * (end - start), abs=1)
        # What has no sample of the stretches beside it is not louder for that.
        assert np.abs(np.frombuffer(part.pcm, "<i2")).max() <= 1.1 * 32768 * np.abs(samples(48_000)).max()


def test_levels_tell_where_it_is_quiet() -> None:
    kind = Kind("wav", "pcm_s16le", "s16", 11_025)
    loud, quiet = np.full(11_025, 0.5), np.full(11_025, 0.001)
    surveyed = survey(encoded(kind, np.concatenate((loud, quiet, loud[:5_000]))))
    assert isinstance(surveyed, LongSurvey)
    levels = list(surveyed.levels)
    assert set(levels[:50]) == {12}, "6 dB below"
    assert set(levels[50:100]) == {120}, "60 dB below"
    assert set(levels[100:]) == {12}
    assert surveyed.whole_ms == 2_454


def test_of_channels_that_put_one_another_out_the_first_is_heard() -> None:
    kind = KINDS["wav"]
    left = samples(kind.rate_hz)
    file = encoded(kind, np.stack((left, -left)))
    surveyed = survey(file)
    assert isinstance(surveyed, LongSurvey)
    assert surveyed.takes_first
    made = stretch(StretchRequest(file, 0, 1000, takes_first=True))
    assert isinstance(made, Decoded)
    assert np.abs(np.frombuffer(made.pcm, "<i2")).max() > 1000


@pytest.mark.parametrize(("file", "fault"), [(b"", "empty"), (b"x" * 1000, "unreadable")])
def test_what_cannot_be_read_says_why(file: bytes, fault: str) -> None:
    assert survey(file) == Undecoded(fault)  # type: ignore[arg-type]
    assert stretch(StretchRequest(file, 0, 1000, takes_first=False)) == Undecoded(fault)  # type: ignore[arg-type]


def test_a_stretch_behind_the_end_has_no_sound() -> None:
    file = recording(["Short."])
    assert stretch(StretchRequest(file, 60_000, 61_000, takes_first=False)) == Undecoded("empty")


async def test_a_process_of_its_own_reads_each() -> None:
    pcm = said(["One.", "Two."], pause_s=30.0)
    file = flac(pcm)
    decoder = LongDecoder()
    try:
        surveyed = await decoder.survey("acc_1", file)
        assert surveyed.whole_ms == pytest.approx(len(pcm) / 48, abs=1)
        half = surveyed.whole_ms // 2
        heard = [
            await decoder.stretch("acc_1", StretchRequest(file, start, end, takes_first=False), SOURCE_HZ)
            for start, end in ((0, half), (half, surveyed.whole_ms))
        ]
        assert b"".join(heard) == pcm
        with pytest.raises(InvalidRequest):
            await decoder.survey("acc_1", b"no recording")
    finally:
        await decoder.close()


@pytest.mark.parametrize(
    "lie",
    [
        LongSurvey(levels=b"", whole_ms=10**12, rate_hz=24_000, takes_first=False, is_cut=False),
        LongSurvey(levels=b"", whole_ms=100, rate_hz=24_000, takes_first=False, is_cut=False),
        LongSurvey(levels=b"00000", whole_ms=100, rate_hz=1, takes_first=False, is_cut=False),
        LongSurvey(levels=b"", whole_ms=0, rate_hz=24_000, takes_first=False, is_cut=False),
        Decoded(b"000", 24_000, 2, 1, "mp3", False),
        Decoded(b"0000", 24_000, 2, 1, "; rm", False),
        Decoded(b"0000", 1, 2, 1, "mp3", False),
        None,
    ],
)
def test_an_answer_that_makes_no_sense_is_none(lie: object) -> None:
    said_so = msgspec.msgpack.encode(lie)
    for checked in (_read_survey, checked_sound):
        try:
            made = checked(said_so)
        except msgspec.MsgspecError:
            continue
        assert made == Undecoded("lost")


async def test_a_process_that_cannot_start_is_no_fault_of_the_recording(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(long_decoder, "_SPEC", HelperSpec(module="no.such.module", is_for_one=True))
    decoder = LongDecoder()
    try:
        with pytest.raises(DecodingFailed):
            await decoder.survey("acc_1", b"x")
        with pytest.raises(DecodingFailed):
            await decoder.stretch("acc_1", StretchRequest(b"x", 0, 1000, takes_first=False), SOURCE_HZ)
    finally:
        await decoder.close()
    assert repr(decoder) == "<LongDecoder, 0 surveys begun>"


async def test_a_process_that_is_late_is_ended_and_its_turn_is_given_back() -> None:
    decoder = LongDecoder(within_s=0.0)
    try:
        for _ in range(3):
            with pytest.raises(DecodingFailed):
                await decoder.survey("acc_1", b"x")
    finally:
        await decoder.close()
    assert repr(decoder) == "<LongDecoder, 0 surveys begun>"


class SlowProcess(Helper):
    """A process that reads as any other, but for ever if a file says so."""

    def __init__(self) -> None:
        super().__init__(long_decoder._SPEC)
        self.order: list[str] = []
        self.goes_on = asyncio.Event()

    async def ask(self, question: bytes, *, within_s: float) -> bytes:
        asked = msgspec.msgpack.decode(question, type=SurveyRequest | StretchRequest)
        self.order.append(asked.file.decode())
        if b"slow" in asked.file:
            await self.goes_on.wait()
        return msgspec.msgpack.encode(Undecoded("empty"))


@pytest.mark.parametrize("what", ["surveys", "stretches"])
async def test_a_slow_file_keeps_no_other_account_waiting(what: str) -> None:
    decoder = LongDecoder()
    decoder._helper = slow = SlowProcess()

    async def read(account: str, file: bytes) -> None:
        with suppress(InvalidRequest):
            if what == "surveys":
                await decoder.survey(account, file)
            else:
                await decoder.stretch(account, StretchRequest(file, 0, 1000, takes_first=False), SOURCE_HZ)

    try:
        many = [asyncio.create_task(read("acc_1", name)) for name in (b"slow 1", b"slow 2")]
        await asyncio.sleep(0)
        async with asyncio.timeout(20.0):
            await read("acc_2", b"quick")
        assert slow.order == ["slow 1", "quick"]
        slow.goes_on.set()
        await asyncio.gather(*many)
    finally:
        await decoder.close()


def test_a_file_that_takes_all_of_its_time_leaves_others_theirs() -> None:
    assert AGAIN_WITHIN_S + MOST_CPU_S < WAIT_S
    assert long_decoder._SPEC.again_within_s == AGAIN_WITHIN_S
