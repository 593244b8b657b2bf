"""Long recordings as their process reads them: how long, how loud where, and any stretch of them."""

import asyncio
import signal
from contextlib import aclosing, nullcontext, suppress
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from policies.limits import Caps
from policies.plans import Plan, build_terms
from proxy.access.limits import Limits, MemoryWindows
from proxy.access.windows import Limit
from proxy.audio.recordings.decoder import checked_sound
from proxy.audio.recordings.decoding import decode
from proxy.audio.recordings.recording import Decoded, Undecoded
from proxy.errors import DecodingFailed, InvalidRequest, NoPlace
from proxy.features.transcriptions import long_decoder
from proxy.features.transcriptions.feature import _sells
from proxy.features.transcriptions.long_decoder import (
    AGAIN_WITHIN_S,
    LongDecoder,
    _read_survey,
)
from proxy.features.transcriptions.long_reading_child import stretch, survey
from proxy.features.transcriptions.long_recordings import (
    LONGEST_S,
    MOST_CPU_S,
    LongSurvey,
    StretchRequest,
    SurveyAnswer,
    SurveyRequest,
)
from proxy.helpers.helper import Helper, HelperFailed, HelperSpec
from proxy.helpers.limiter import WAIT_S
from proxy.ledger import Payer
from proxy.speech.speech_request import SOURCE_HZ
from tests.features.jobs.conversions.rig import flac, recording, said
from tests.proxy.audio.recordings.clips import KINDS, Kind, Samples, encoded
from tests.proxy.config.files import load
from tests.sound import tone
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row

SECONDS = 3.217
RPM = 20
PACK = """
[payments.packs.small]
credits = 100
amount = "5.00"
currency = "USD"
providers = ["stripe"]
"""


def payer(account: str, *, is_paid: bool = False) -> Payer:
    terms = build_terms(Plan(name="p", rpm=RPM), has_paid=is_paid)
    return Payer(account=account, key=f"key of {account}", anchor=0, terms=terms)


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
    async with aclosing(LongDecoder(Limits(MemoryWindows()))) as decoder:
        surveyed = await decoder.survey(payer("acc_1"), file)
        assert surveyed.whole_ms == pytest.approx(len(pcm) / 48, abs=1)
        half = surveyed.whole_ms // 2
        heard = [
            await decoder.stretch("acc_1", StretchRequest(file, start, end, takes_first=False), SOURCE_HZ)
            for start, end in ((0, half), (half, surveyed.whole_ms))
        ]
        assert b"".join(heard) == pcm
        with pytest.raises(InvalidRequest):
            await decoder.survey(payer("acc_1"), b"no recording")


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
    for checked, answer in ((_read_survey, SurveyAnswer(lie, 1.0)), (checked_sound, lie)):  # type: ignore[arg-type]
        said_so = msgspec.msgpack.encode(answer)
        try:
            made = checked(said_so)
        except msgspec.MsgspecError:
            continue
        assert made == Undecoded("lost")


async def test_a_process_that_cannot_start_is_no_fault_of_the_recording(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(long_decoder, "_SPEC", HelperSpec(module="no.such.module", is_for_one=True))
    async with aclosing(LongDecoder(Limits(MemoryWindows()))) as decoder:
        with pytest.raises(DecodingFailed):
            await decoder.survey(payer("acc_1"), b"x")
        with pytest.raises(DecodingFailed):
            await decoder.stretch("acc_1", StretchRequest(b"x", 0, 1000, takes_first=False), SOURCE_HZ)
    assert repr(decoder) == "<LongDecoder, 0 surveys begun>"


async def test_a_process_that_is_late_is_ended_and_its_turn_is_given_back() -> None:
    async with aclosing(LongDecoder(Limits(MemoryWindows()), within_s=0.0)) as decoder:
        for _ in range(3):
            with pytest.raises(DecodingFailed):
                await decoder.survey(payer("acc_1"), b"x")
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
        return msgspec.msgpack.encode(self.answer(asked))

    @staticmethod
    def answer(asked: SurveyRequest | StretchRequest) -> object:
        empty = Undecoded("empty")
        return SurveyAnswer(empty, 0.1) if isinstance(asked, SurveyRequest) else empty


def claiming(container: str, codec: str, seconds: int) -> bytes:
    """A second of silence, whose last packet is `seconds` late."""
    out = BytesIO()
    with av.open(out, "w", format=container) as made:
        stream: Any = made.add_stream(codec, rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, 0
        packets: list[Any] = [*stream.encode(frame), *stream.encode(None)]
        last = packets[-1]
        last.pts += seconds * 48_000
        last.dts = last.pts
        made.mux(packets)
    return out.getvalue()


def flac_that_states(seconds: int) -> bytes:
    file = bytearray(flac(bytes(48_000)))
    count, place = seconds * 24_000, file.index(b"fLaC") + 8 + 13
    file[place] = (file[place] & 0xF0) | count >> 32
    file[place + 1 : place + 5] = (count & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(file)


@each_row(
    ("file", "is_refused"),
    [
        (claiming("ogg", "libopus", 36 * 3600), True),
        (claiming("webm", "libopus", 36 * 3600), True),
        (flac_that_states(36 * 3600), True),
        (flac_that_states(LONGEST_S), False),
        (claiming("ogg", "libopus", 0), False),
        (recording(["One."]).replace(b"data", b"data\xff\xff\xff\x7f", 1), False),
    ],
    ids=["opus", "webm", "flac", "a flac of two hours", "a short opus", "a wav that is sent as it is made"],
)
def test_a_length_that_a_file_states_is_judged_before_its_sound(file: bytes, is_refused: bool) -> None:
    made = survey(file)
    assert isinstance(made, LongSurvey)
    assert (made.is_cut, made.levels == b"\xff") == (is_refused, is_refused)


def film(container: str, video: str, sound: str, video_s: int, sound_s: int) -> bytes:
    """A film whose sound is shorter."""
    out = BytesIO()
    with av.open(out, "w", format=container) as made:
        pictures: Any = made.add_stream(video, rate=1, width=32, height=32, pix_fmt="yuv420p")
        speech: Any = made.add_stream(sound, rate=48_000, layout="mono")
        for second in range(video_s):
            picture = av.VideoFrame.from_ndarray(np.zeros((48, 32), np.uint8), format="yuv420p")
            picture.pts = second
            made.mux(pictures.encode(picture))
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 48_000 * sound_s), np.int16), format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts = 48_000, 0
        made.mux([*pictures.encode(None), *speech.encode(frame), *speech.encode(None)])
    return out.getvalue()


@pytest.mark.parametrize("kinds", [("mp4", "mpeg4", "aac"), ("webm", "libvpx", "libopus")])
def test_a_film_is_as_long_as_its_sound(kinds: tuple[str, str, str]) -> None:
    made = survey(film(*kinds, video_s=9, sound_s=2), 4)
    assert isinstance(made, LongSurvey)
    assert not made.is_cut
    assert made.whole_ms == pytest.approx(2000, abs=100)
    cut = survey(film(*kinds, video_s=2, sound_s=9), 4)
    assert isinstance(cut, LongSurvey)
    assert cut.is_cut


def test_a_length_that_is_only_guessed_refuses_nothing() -> None:
    """Silence of few bits comes first, so the whole seems to be three seconds longer."""
    parts = []
    for bit_rate, seconds in ((8_000, 1), (64_000, 10)):
        out = BytesIO()
        with av.open(out, "w", format="mp3", options={"write_xing": "0", "id3v2_version": "0"}) as made:
            stream: Any = made.add_stream("libmp3lame", rate=8_000, layout="mono")
            stream.bit_rate = bit_rate
            silence = np.zeros((1, 8_000 * seconds), np.int16)
            frame = av.AudioFrame.from_ndarray(silence, format="s16p", layout="mono")
            frame.sample_rate, frame.pts = 8_000, 0
            made.mux([*stream.encode(frame), *stream.encode(None)])
        parts.append(out.getvalue())
    made_of = survey(b"".join(parts), 12)
    assert isinstance(made_of, LongSurvey)
    assert not made_of.is_cut


def test_a_file_that_states_too_little_is_cut_where_it_is_too_long() -> None:
    file = flac(bytes(48_000 * 4))
    made = survey(file.replace(file[18:26], flac_that_states(1)[18:26]), 3)
    assert isinstance(made, LongSurvey)
    assert made.is_cut


class StandingProcess(SlowProcess):
    async def ask(self, question: bytes, *, within_s: float) -> bytes:
        made = await super().ask(question, within_s=within_s)
        await self.goes_on.wait()
        return made


class Crowd:
    """Accounts that ask at once, and are all read at the end."""

    def __init__(self, *, sells: bool) -> None:
        self.decoder = LongDecoder(Limits(MemoryWindows()))
        self.decoder.sells = sells
        self.decoder._helper = self.standing = StandingProcess()
        self.tasks: list[asyncio.Task[object]] = []

    async def ask(self, account: str, *, is_paid: bool = False, waits: bool = False) -> None:
        asked = self.decoder.survey(payer(account, is_paid=is_paid), b"x", waits=waits)
        self.tasks.append(asyncio.create_task(asked))
        for _ in range(3):
            await asyncio.sleep(0)

    @property
    def state(self) -> tuple[int, str]:
        return len(self.standing.order), repr(self.decoder)

    async def leave(self) -> int:
        """Let all be read. Return how many had no place."""
        self.standing.goes_on.set()
        ends = await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.decoder.aclose()
        assert repr(self.decoder) == "<LongDecoder, 0 surveys begun>"
        return [type(each) for each in ends].count(NoPlace)


async def test_who_pays_nothing_holds_three_places_and_no_turn_of_those_who_pay() -> None:
    crowd = Crowd(sells=True)
    for stranger in (0, 0, *range(1, 6)):
        await crowd.ask(f"stranger {stranger}")
    assert crowd.state == (1, "<LongDecoder, 3 surveys begun>"), "one of each"
    await crowd.ask("a stranger who waits", waits=True)
    for customer in range(7):
        await crowd.ask(f"customer {customer}", is_paid=True)
    assert crowd.state == (3, "<LongDecoder, 9 surveys begun>"), "strangers keep no customer waiting"
    assert isinstance(crowd.tasks[-1].exception(), NoPlace)
    assert await crowd.leave() == 5, "who waits gets a place that is left"


async def test_where_nothing_is_sold_all_have_all_places_and_no_account_has_the_last_half() -> None:
    crowd = Crowd(sells=False)
    for number in (1, 1, 1, 2, 3, 3, 4, 5):
        await crowd.ask(f"account {number}")
    assert crowd.state == (2, "<LongDecoder, 6 surveys begun>")
    assert await crowd.leave() == 2


@each_row(
    ("text", "sells"),
    [
        ("", True),  # the built-in plans have prices
        ("[plans.free]\nallowance = 10\n", False),
        ('[plans.creator]\nprice = "$19"\n', True),
        (f"[plans.free]\nallowance = 10\n{PACK}", True),
    ],
)
def test_a_server_sells_plans_or_packs(tmp_path: Path, text: str, sells: bool) -> None:
    config = load(tmp_path, text)
    assert _sells(config) is sells
    in_worker = replace(config, features=msgspec.to_builtins(config.features))
    assert _sells(in_worker) is sells


class Answering(SlowProcess):
    """It answers a survey, or dies, after so many seconds."""

    def __init__(self, made: LongSurvey | Undecoded | None, cpu_s: float) -> None:
        super().__init__()
        self.made, self.cpu_s = made, cpu_s

    async def ask(self, question: bytes, *, within_s: float) -> bytes:
        await asyncio.sleep(self.cpu_s)
        if self.made is None:
            raise HelperFailed(cause="died", status=-signal.SIGXCPU)
        return msgspec.msgpack.encode(SurveyAnswer(self.made, self.cpu_s))


CUT = LongSurvey(levels=b"0", whole_ms=20, rate_hz=24_000, takes_first=False, is_cut=True)


@each_row(
    ("made", "cpu_s", "requests", "refusal"),
    [
        (None, 26.0, 5, "takes too long"),
        (CUT, 10.1, 3, "longer than 2 hours"),
        (CUT, 0.0, 1, "longer than 2 hours"),
        (Undecoded("unreadable"), 6.0, 2, "Invalid file format"),
        (replace(CUT, is_cut=False), 25.0, 1, ""),
    ],
)
def test_a_refused_recording_counts_by_its_processor_time(
    made: LongSurvey | Undecoded | None, cpu_s: float, requests: int, refusal: str
) -> None:
    @simulated
    async def play() -> None:
        limits, asked = Limits(MemoryWindows()), payer("acc_1")
        await limits.admit(asked.account, asked.key, asked.terms)
        decoder = LongDecoder(limits)
        decoder._helper = Answering(made, cpu_s)
        try:
            with pytest.raises(InvalidRequest, match=refusal) if refusal else nullcontext():
                await decoder.survey(asked, b"x")
        finally:
            await decoder.aclose()
        assert await room(limits, asked) == RPM - requests

    play()


async def room(limits: Limits, asked: Payer) -> int:
    """How many requests an account may still make in this minute."""
    window = await limits.admit(asked.account, asked.key, asked.terms)
    assert window is not None
    return window.remaining + 1


@pytest.mark.parametrize(("before", "left"), [(RPM - 3, 0), (RPM - 7, 1)])
def test_a_refused_recording_takes_what_is_left_of_a_minute(before: int, left: int) -> None:
    """The account has a few requests more than those before it, and its key has a limit of few."""

    @simulated
    async def play() -> None:
        limits, asked = Limits(MemoryWindows()), payer("acc_1")
        own = replace(asked, terms=replace(asked.terms, key=Caps(rpm=2)))
        for _ in range(before):
            await limits.admit(asked.account, "another key", asked.terms)
        await limits.admit(own.account, own.key, own.terms)
        decoder = LongDecoder(limits)
        decoder._helper = Answering(None, 26.0)
        with pytest.raises(InvalidRequest):
            await decoder.survey(own, b"x")
        await decoder.aclose()
        account = Limit("account", asked.account, RPM)
        assert (await limits.find_full(account) is None) == bool(left)
        assert await limits.find_full(Limit("key", own.key, 2)) is not None

    play()


@simulated
async def test_a_client_that_hangs_up_pays_for_the_time_that_was_taken() -> None:
    limits, asked = Limits(MemoryWindows()), payer("acc_1")
    decoder = LongDecoder(limits)
    decoder._helper = Answering(None, 26.0)
    reading = asyncio.create_task(decoder.survey(asked, b"x"))
    await asyncio.sleep(11.0)
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()
    assert await room(limits, asked) == RPM - 2, "three, and one was counted where the request began"
    await decoder.aclose()


@pytest.mark.parametrize("what", ["surveys", "stretches"])
async def test_a_slow_file_keeps_no_other_account_waiting(what: str) -> None:
    decoder = LongDecoder(Limits(MemoryWindows()))
    decoder._helper = slow = SlowProcess()

    async def read(account: str, file: bytes) -> None:
        with suppress(InvalidRequest):
            if what == "surveys":
                await decoder.survey(payer(account), file)
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
        await decoder.aclose()


def test_a_file_that_takes_all_of_its_time_leaves_others_theirs() -> None:
    assert AGAIN_WITHIN_S + MOST_CPU_S < WAIT_S
    assert long_decoder._SPEC.again_within_s == AGAIN_WITHIN_S
