"""The rules of Whisper's ears without its network: windows, tokens, and whose turn it is."""

import asyncio
import threading
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from plugins.whisper.decoding import (
    MOST_PIECES,
    TEMPERATURES,
    Attempt,
    Part,
    best_attempt,
    in_speech,
    parts_of,
    pieces,
    word_tokens,
)
from plugins.whisper.engine import Turns, WhisperEngine
from plugins.whisper.plugin import WhisperSettings
from plugins.whisper.windows import CHUNK, MOST_S, Floats, Window, WindowCutter
from speech_engine import (
    HEARING_HZ,
    Context,
    Event,
    HearJob,
    Language,
    ModelInfo,
    Transcript,
    TranscriptSegment,
    UnsupportedLanguage,
    UnusableSample,
)
from speech_engine.pcm import PcmReader
from speech_engine.testing.hearing_contract import segments
from tests.tables import each_row
from tests.waiting import soon

END, FIRST_TIME = 100, 200


def cut(*seconds: float, piece_s: float = 10.0) -> list[Window]:
    """Cut a recording with speech and pauses in turn, each of so many seconds."""
    lengths = [round(each * HEARING_HZ / CHUNK) for each in seconds]
    likely = np.concatenate([np.full(count, float(at % 2 == 0)) for at, count in enumerate(lengths)])
    samples = np.repeat(likely, CHUNK).astype(np.float32)
    cutter, found = WindowCutter(), []
    chunks = round(piece_s * HEARING_HZ / CHUNK)
    for at in range(0, len(likely), chunks):
        cutter.add(samples[at * CHUNK : (at + chunks) * CHUNK], likely[at : at + chunks].astype(np.float32))
        while (window := cutter.next()) is not None:
            found.append(window)
    while (window := cutter.next(is_last=True)) is not None:
        found.append(window)
    return found


@pytest.mark.parametrize("piece_s", [0.5, 10.0, 100.0])
def test_windows_are_long_and_end_in_pauses(piece_s: float) -> None:
    windows = cut(*[4.0, 0.6] * 20, piece_s=piece_s)
    assert [round(window.up_to / HEARING_HZ, 1) for window in windows] == [27.3, 55.0, 82.6, 92.2]
    for window in windows:
        # All of it but the middle of a pause.
        assert window.samples[0] == 0.0 or window.start == 0
        assert window.samples[-1] == 0.0
        assert len(window.samples) <= MOST_S * HEARING_HZ
    assert sum(float(window.samples.sum()) for window in windows) == 20 * 125 * CHUNK


def test_a_long_pause_is_better_than_a_later_short_one_and_none_is_cut_anywhere() -> None:
    first, *_ = cut(18.0, 0.7, 6.0, 0.15, 20.0)
    assert 18.0 < first.up_to / HEARING_HZ < 18.7
    first, *_ = cut(24.0, 0.15, 20.0)
    assert 24.0 < first.up_to / HEARING_HZ < 24.2
    assert [round(window.up_to / HEARING_HZ) for window in cut(70.0)][-1] == 70


def test_silence_is_no_part_of_a_window_and_takes_none_of_its_own() -> None:
    silent = cut(0.0, 70.0)
    assert not any(len(window.samples) for window in silent)
    assert round(silent[-1].up_to / HEARING_HZ) == 70
    (window,) = cut(0.0, 20.0, 2.0, 4.0)
    assert window.start / HEARING_HZ == pytest.approx(19.8, abs=0.05)
    assert len(window.samples) / HEARING_HZ == pytest.approx(2.5, abs=0.05)
    assert WindowCutter().next(is_last=True) is None


def window_of(*seconds: float) -> Window:
    """A window with speech and pauses in turn, which begins at the first second of its recording."""
    lengths = [round(each * HEARING_HZ / CHUNK) for each in seconds]
    likely = np.concatenate([np.full(count, float(at % 2 == 0)) for at, count in enumerate(lengths)])
    samples = np.repeat(likely, CHUNK).astype(np.float32)
    return Window(HEARING_HZ, samples, HEARING_HZ + len(samples), likely.astype(np.float32))


@each_row(
    "seconds, heard_s, rest_s",
    [
        ((4.0, 0.8, 2.0), 4.4, 4.8),
        # The end of a text is told a little too early or too late.
        ((4.0, 0.8, 2.0), 3.7, 4.8),
        ((4.0, 0.8, 2.0), 5.1, 4.8),
        ((4.0, 0.8, 1.0, 0.8, 2.0), 5.7, 6.6),
        # It ends in the middle of what is said without a pause.
        ((9.0,), 4.0, 4.0),
        ((4.0, 0.8, 2.0), 2.0, 2.0),
        # Nothing is left, or not enough to be a sentence.
        ((4.0, 0.8, 2.0), 6.8, None),
        ((4.0, 0.8, 2.0), 5.9, None),
        ((4.0, 0.4, 0.5), 4.0, None),
        ((0.0, 9.0), 1.0, None),
    ],
)
def test_what_a_text_left_of_its_window_begins_in_a_pause(
    seconds: tuple[float, ...], heard_s: float, rest_s: float | None
) -> None:
    window = window_of(*seconds)
    rest = window.rest(heard_s)
    assert (rest is None) == (rest_s is None)
    if rest is not None and rest_s is not None:
        # Three chunks before, as the detector is late at a soft beginning.
        assert rest.start / HEARING_HZ == pytest.approx(1.0 + rest_s - 0.1, abs=0.04)
        assert (rest.start + len(rest.samples), rest.up_to) == (window.up_to, window.up_to)
        assert len(rest.likely) * CHUNK == len(rest.samples)
    assert window._replace(likely=np.empty(0, np.float32)).rest(heard_s) is None


def heard_in(window: Window, *ends_s: float | None) -> list[float]:
    """Hear a window whose texts end at these seconds of their pieces. Return where the pieces begin."""
    left = list(ends_s)

    def hear(_: Window) -> tuple[str, Attempt | None]:
        end_s = left.pop(0)
        parts = () if end_s is None else (Part(0.0, end_s, (1,)),)
        return "opened", attempt("text", -0.3)._replace(parts=parts)

    found = list(pieces(window, hear))
    begins = [round(window.up_to - left * bool(left)) for *_, left in found[:-1]]
    assert begins == [piece.start for piece, *_ in found[1:]], "each tells how long the next one is"
    assert None in ends_s or found[-1][-1] == 0
    return [piece.start / HEARING_HZ - 1.0 for piece, *_ in found]


def test_what_whisper_leaves_out_at_the_end_of_a_window_is_heard_as_a_window_of_its_own() -> None:
    window = window_of(*[2.0, 1.0] * 9, 2.0)
    for ends_s, begins_s in (
        ([29.0], [0.0]),
        ([14.2, 15.0], [0.0, 14.9]),
        ([5.2, 2.2, 21.0], [0.0, 5.9, 8.9]),
        ([5.2, None], [0.0]),  # without a text, nothing tells where a rest begins
        ([5.2, 0.0], [0.0, 5.9]),  # each begins later than the last
    ):
        assert heard_in(window, *ends_s) == pytest.approx(begins_s, abs=0.15)
    assert len(heard_in(window, *[2.2] * 9)) == MOST_PIECES


def test_a_piece_has_no_speech_of_the_next_one_though_its_end_is_told_there() -> None:
    window = window_of(4.0, 0.8, 2.0)
    ends = iter([5.1, 2.0])

    def hear(_: Window) -> tuple[None, Attempt]:
        return None, attempt("text", -0.3)._replace(parts=(Part(0.0, next(ends), (1,)),))

    first, second = (
        [piece.start / HEARING_HZ + at_s for span in piece.spans_s() for at_s in span]
        for piece, *_ in pieces(window, hear)
    )
    assert first == pytest.approx([1.0, 5.0], abs=0.04)
    assert second == pytest.approx([5.8, 7.8], abs=0.04)


SPANS_S = ((0.2, 2.0), (4.0, 5.0), (5.1, 7.0))


@each_row(
    "told, times",
    [
        # A start in silence moves to the next speech, an end to the end of its speech.
        (((0.0, 3.1), (3.1, 9.0)), ((0.2, 2.0), (4.0, 7.0))),
        (((0.0, 1.5), (1.95, 4.4), (4.4, 6.0)), ((0.2, 2.0), (4.0, 4.4), (4.4, 7.0))),
        # The first word of a span is told a little late, and others are where they are.
        (((0.4, 1.0), (1.0, 1.8), (4.2, 4.8)), ((0.2, 1.0), (1.0, 2.0), (4.0, 5.0))),
        (((1.0, 1.8),), ((1.0, 2.0),)),
        (((8.0, 8.5),), ((8.0, 8.0),)),
        ((), ()),
    ],
)
def test_words_and_sentences_begin_and_end_in_speech(
    told: tuple[tuple[float, float], ...], times: tuple[tuple[float, float], ...]
) -> None:
    assert in_speech(told, SPANS_S) == list(times)
    assert in_speech(told, ()) == list(told), "nothing is known of the pauses"


MOMENTS_S = st.lists(st.floats(0.0, 30.0), min_size=2, max_size=12).map(sorted)


@given(MOMENTS_S, MOMENTS_S)
def test_times_stay_in_order_and_within_speech(told_s: list[float], edges_s: list[float]) -> None:
    spans = list(zip(edges_s[::2], edges_s[1::2], strict=False))
    found = in_speech(list(pairwise(told_s)), spans)
    starts = [start_s for start_s, _ in found]
    assert starts == sorted(starts)
    assert all(start_s <= end_s for start_s, end_s in found)
    assert all(end_s <= max(start_s, spans[-1][1]) for start_s, end_s in found)
    assert all(start_s >= spans[0][0] for start_s in starts)


def times(*tokens: int | float) -> list[int]:
    return [each if isinstance(each, int) else FIRST_TIME + round(each / 0.02) for each in tokens]


@each_row(
    "tokens, sound_s, parts",
    [
        ((0.0, 1, 2, 1.5, 1.5, 3, 2.0), 9.0, ((0.0, 1.5, (1, 2)), (1.5, 2.0, (3,)))),
        ((0.0, 1, 2), 4.0, ((0.0, 4.0, (1, 2)),)),
        ((1, 2, 5.0), 4.0, ((0.0, 4.0, (1, 2)),)),
        # What comes after the sound's end is said again and again.
        ((0.0, 1, 2, 3.6, 3.6, 1, 2, 7.2), 4.0, ((0.0, 3.6, (1, 2)),)),
        ((0.0, 4.0, 4.0), 4.0, ()),
    ],
)
def test_tokens_are_parts_until_the_sound_ends(
    tokens: tuple[int | float, ...], sound_s: float, parts: tuple[Any, ...]
) -> None:
    assert parts_of(times(*tokens), END, FIRST_TIME, sound_s) == tuple(Part(*each) for each in parts)


def attempt(text: str, logprob: float, no_speech: float = 0.0) -> Attempt:
    return Attempt((), text, logprob, no_speech, 0.0)


@each_row(
    "attempts, chosen, tries",
    [
        ([attempt("good", -0.3)], 0, 1),
        ([attempt("so " * 40, -0.1), attempt("good", -0.4)], 1, 2),
        ([attempt("dim", -1.2), attempt("good", -0.4)], 1, 2),
        ([attempt("dim", -1.2, 0.5), attempt("good", -0.4, 0.5)], 1, 2),
        ([attempt(" you", -1.2, 0.7)], None, 1),
        ([attempt("soft, but sure", -0.3, 0.7)], 0, 1),
        ([attempt("so " * 40, -0.1), attempt(" you", float("nan"), 0.9)], None, 2),
        ([attempt("so " * 40, -0.1), *[attempt(str(at), -2.0 - at) for at in range(3)]], 1, 4),
        ([attempt("so " * 40, -0.3 - at / 10) for at in range(4)], 0, 4),
    ],
)
def test_what_repeats_itself_or_is_unsure_is_decoded_again_and_silence_is_no_text(
    attempts: list[Attempt], chosen: int | None, tries: int
) -> None:
    left = iter(attempts)
    found = best_attempt(TEMPERATURES, lambda _: next(left), lambda: False)
    assert found == (None if chosen is None else attempts[chosen])
    assert len(list(left)) == len(attempts) - tries
    assert best_attempt(TEMPERATURES, lambda _: attempts[0], lambda: True) is None


PIECES = {1: " The", 2: " bo", 3: "at", 4: ",", 5: " 30", 6: "\ufffd", 7: "\ufffd", (6, 7): "é", 8: "水"}


def decode(tokens: list[int]) -> str:
    return PIECES[tuple(tokens)] if tuple(tokens) in PIECES else "".join(PIECES[each] for each in tokens)


def test_words_are_what_blanks_part_or_single_letters() -> None:
    words = word_tokens([1, 2, 3, 4, 5, 6, 7], decode, has_blanks=True)
    assert words == [(" The", 1), (" boat,", 3), (" 30é", 3)]
    assert word_tokens([8, 6, 7, 8], decode, has_blanks=False) == [("水", 1), ("é", 2), ("水", 1)]
    assert word_tokens([1, 6], decode, has_blanks=True) == [(" The", 1), ("\ufffd", 1)]


class FakeNetwork:
    """Hears the number of each window, when it may. The windows of some jobs have several `pieces`."""

    def __init__(self) -> None:
        self.languages: tuple[str, ...] = ("en", "es", "no")
        self.may_go = threading.Event()
        self.has_begun = threading.Event()
        self.order: list[str] = []
        self.pieces: dict[str, int] = {}
        self.languages_asked: list[str] = []
        self.spans_s: list[list[tuple[float, float]]] = []
        self.stopped = 0

    def detector(self) -> "FakeNetwork":
        return self

    def likely(self, samples: Floats) -> Floats:
        return np.asarray(np.abs(samples.reshape(-1, CHUNK)).max(axis=1) > 0.01, np.float32)

    def hear(
        self, job: HearJob, language: str, window: Window, stop: threading.Event
    ) -> Generator[int, None, tuple[list[TranscriptSegment], str]]:
        self.languages_asked.append(language)
        yield from self._hear_pieces(job, stop)
        start_s, end_s = bounds_s(window)
        return [TranscriptSegment(start_s=start_s, end_s=end_s, text=f" {len(self.order)}")], "es"

    def _hear_pieces(self, job: HearJob, stop: threading.Event) -> Iterator[int]:
        for left in reversed(range(self.pieces.get(job.id, 1))):
            assert not stop.is_set(), "the end of the piece before stops no other"
            self.order.append(job.id)
            self.has_begun.set()
            while not self.may_go.wait(0.001):
                if stop.is_set():
                    self.stopped += 1
                    return
            if left:
                yield CHUNK

    def score(
        self, job: HearJob, language: str, window: Window, texts: Sequence[str], stop: threading.Event
    ) -> Generator[int, None, list[TranscriptSegment]]:
        yield from self._hear_pieces(job, stop)
        self.spans_s.append(window.spans_s())
        start_s, end_s = bounds_s(window)
        return [TranscriptSegment(start_s=start_s, end_s=end_s, text=text) for text in texts]


def bounds_s(window: Window) -> tuple[float, float]:
    return window.start / HEARING_HZ, (window.start + len(window.samples)) / HEARING_HZ


@asynccontextmanager
async def ears(language: str = "") -> AsyncIterator[tuple[WhisperEngine, FakeNetwork]]:
    network = FakeNetwork()
    info = ModelInfo(id="base", languages=(Language("en"),), sample_rate_hz=HEARING_HZ, hears=True)
    with ThreadPoolExecutor(1) as thread:
        try:
            context = Context(structlog.get_logger())
            yield WhisperEngine(WhisperSettings(language=language), context, info, network, thread), network
        finally:
            network.may_go.set()


def pcm_of(*seconds: float) -> bytes:
    """Speech and pauses in turn."""
    parts = (np.full(round(each * HEARING_HZ), 5_000 * (at % 2 == 0)) for at, each in enumerate(seconds))
    return np.concatenate(list(parts)).astype("<i2").tobytes()


LONG = pcm_of(*[25.0, 1.0] * 4)


async def hear(
    engine: WhisperEngine, id: str, pcm: bytes, tenant: str = "", **more: Any
) -> tuple[Event, ...]:
    given: dict[str, Any] = {
        "tenant": tenant or id[0],
        "model": "base",
        "estimated_s": len(pcm) / 2 / HEARING_HZ,
    } | more
    async with aclosing(engine.transcribe(HearJob(id=id, **given), PcmReader(pcm, 4_801))) as events:
        return tuple([event async for event in events])


async def test_a_long_recording_is_heard_window_by_window_in_the_language_of_the_first() -> None:
    async with ears() as (engine, network):
        network.may_go.set()
        events = await hear(engine, "a", LONG)
        assert network.languages_asked == ["", "es", "es", "es"]
        assert [each.text for each in segments(events)] == [" 1", " 2", " 3", " 4"]
        assert [round(each.up_to_s) for each in events if isinstance(each, Transcript)] == [26, 51, 78, 104]
        await hear(engine, "b", pcm_of(1.0), language="nb-NO")
        assert network.languages_asked[-1] == "no"
        with pytest.raises(UnsupportedLanguage):
            await hear(engine, "c", pcm_of(1.0), language="xx")


async def test_accounts_take_turns_and_a_voice_note_waits_for_one_window() -> None:
    async with ears() as (engine, network):
        jobs = [asyncio.create_task(hear(engine, "a long", LONG))]
        await asyncio.to_thread(network.has_begun.wait)
        jobs += [asyncio.create_task(hear(engine, "c idle", pcm_of(1.0), urgency="idle"))]
        jobs += [asyncio.create_task(hear(engine, name, LONG)) for name in ("a other", "b long")]
        await soon(lambda: "3 waiting" in repr(engine))
        jobs += [asyncio.create_task(hear(engine, f"a note {at}", pcm_of(1.0))) for at in range(3)]
        await soon(lambda: "6 waiting" in repr(engine))
        network.may_go.set()
        await asyncio.gather(*jobs)
    assert [each[:6] for each in network.order[:4]] == ["a long", "a note", "b long", "a note"]
    assert network.order[-1] == "c idle"
    # By account: of the first eight long windows, each has half.
    long = [each[0] for each in network.order if "note" not in each and "idle" not in each]
    assert abs(long[:8].count("a") - 4) <= 1


async def test_languages_of_a_request_count_before_the_language_of_the_section() -> None:
    async with ears("es") as (engine, network):
        network.may_go.set()
        await hear(engine, "a", pcm_of(1.0))
        await hear(engine, "b", pcm_of(1.0), languages=("en", "no"))
        await hear(engine, "c", pcm_of(1.0), language="en", languages=("no",))
    assert network.languages_asked == ["es", "", "en"]


@pytest.mark.parametrize("check", [{}, {"texts": ("One.",), "transcribes": True}], ids=["heard", "checked"])
async def test_a_window_in_many_pieces_lets_others_pass_between_them(check: dict[str, Any]) -> None:
    async with ears() as (engine, network):
        network.pieces["a hostile"] = 6
        hostile = asyncio.create_task(hear(engine, "a hostile", pcm_of(25.0), **check))
        await asyncio.to_thread(network.has_begun.wait)
        note = asyncio.create_task(hear(engine, "b note", pcm_of(1.0)))
        await soon(lambda: "1 waiting" in repr(engine))
        network.may_go.set()
        await asyncio.gather(hostile, note)
    assert network.order == ["a hostile", "b note", *["a hostile"] * 5]


async def test_who_leaves_in_a_window_or_in_the_line_keeps_nobody_waiting() -> None:
    async with ears() as (engine, network):
        first = asyncio.create_task(hear(engine, "a", LONG))
        await asyncio.to_thread(network.has_begun.wait)
        others = [asyncio.create_task(hear(engine, name, LONG)) for name in ("b", "c")]
        await soon(lambda: "2 waiting" in repr(engine))
        for task in (others[0], first, others[1]):
            task.cancel()
        await asyncio.wait([first, *others])
        assert (network.order[0], network.stopped > 0) == ("a", True)
        network.may_go.set()
        assert segments(await hear(engine, "d", pcm_of(1.0)))


async def test_checks_have_their_share_of_the_windows_and_pass_nobody() -> None:
    async with ears() as (engine, network):
        check: dict[str, Any] = {"texts": ("One.",), "transcribes": True, "share": 1 / 3}
        first = asyncio.create_task(hear(engine, "z", pcm_of(1.0)))
        await asyncio.to_thread(network.has_begun.wait)
        # More than there are windows below: an account's next window may come late, and then checks pass.
        calls = [hear(engine, f"a {at}", LONG) for at in range(12)]
        calls += [hear(engine, f"check {at}", pcm_of(25.0), tenant="c", **check) for at in range(40)]
        jobs = [asyncio.create_task(each) for each in calls]
        await soon(lambda: "52 waiting" in repr(engine))
        network.may_go.set()
        await asyncio.gather(first, *jobs)
    whole = "".join(name[0] for name in network.order[1:13])
    assert 2 <= whole.count("c") <= 4, whole


async def test_known_texts_are_found_where_they_begin() -> None:
    async with ears() as (engine, network):
        network.may_go.set()
        found = segments(await hear(engine, "a", LONG, texts=("One.", "Two."), starts_s=(2.0, 50.0)))
        assert [(each.text, each.start_s) for each in found] == [("One.", 2.0), ("Two.", 50.0)]
        assert found[0].end_s == 2.0 + MOST_S
        assert len(segments(await hear(engine, "a", pcm_of(2.0), texts=("One.", "Two.")))) == 2
        with pytest.raises(UnusableSample, match="its beginning"):
            await hear(engine, "a", LONG, texts=("One.", "Two."))


async def test_a_check_knows_the_pauses_of_its_window() -> None:
    """So what its transcript leaves out at the end is heard, too."""
    async with ears() as (engine, network):
        network.may_go.set()
        await hear(engine, "a", pcm_of(2.0, 1.0, 2.5), texts=("One.",), transcribes=True)
        ((first, second),) = network.spans_s
        assert first == pytest.approx((0.0, 2.0), abs=0.04)
        assert second == pytest.approx((3.0, 5.5), abs=0.04)


async def test_who_leaves_while_waiting_holds_nobody_up() -> None:
    """Its task learns of it a turn of the loop later: until then, its place in the line is a dead one."""
    turns, begun = Turns(), list[str]()

    async def take(name: str) -> None:
        async with turns.turn(HearJob(id=name, tenant=name, model="base", estimated_s=5.0), 5.0):
            begun.append(name)

    async with turns.turn(HearJob(id="now", tenant="now", model="base", estimated_s=5.0), 5.0):
        leaving, staying = asyncio.create_task(take("leaving")), asyncio.create_task(take("staying"))
        await asyncio.sleep(0)
        leaving.cancel()
    async with asyncio.timeout(10.0):
        await staying
        await take("later")
    assert begun == ["staying", "later"]
    assert leaving.cancelled()
