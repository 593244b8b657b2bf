"""The model in the host's batch loop: what many hear at once, and in how many steps."""

import asyncio
from contextlib import aclosing

import pytest

from plugins.f5tts.durations import spoken_s
from plugins.f5tts.model import FIRST_S, LONGEST_S, STEP_S, F5Model, F5Row, pcm_of
from plugins.f5tts.model_format import MOST_S, RATE_HZ
from plugins.f5tts.plugin import F5Settings
from plugins.f5tts.voices import F5Voice, make_voice
from speech_engine import Audio, Context, EngineVoice, Segment, SpeechJob
from speech_engine.errors import UnsupportedText
from speech_engine.host.batch_loop import BatchLoop
from speech_engine.host.batch_model import Order, RowSpec, WeighsRows
from speech_engine.host.log import HostLogger
from tests.plugins.f5tts.in_environment.rig import TEXTS, WORDS, recording, rig

# isort: split
import numpy as np
import torch

MOST_LSB = 2
MOST_STEPS = 1.2
LISTENERS = 6
STEPS = {"mine": 16, "mine-turbo": 7, "mine-hd": 32}
LONG = "One sentence, and another one. " * 12

Batch = BatchLoop[F5Voice, F5Row]


def model() -> F5Model:
    tiny = rig()
    return F5Model(tiny.checkpoint, tiny.reader, tiny.flow(), STEPS)


def job(number: int, *texts: str, name: str = "mine-turbo") -> SpeechJob:
    return SpeechJob(
        id=f"job-{number}",
        tenant="acc_1",
        model=name,
        voice=EngineVoice("any"),
        segments=tuple(Segment(text, 0, len(text)) for text in texts),
        language="en",
        seed=number,
        estimated_s=sum(map(len, texts)) * 0.06,
    )


async def heard(batch: Batch, spoken: SpeechJob, voice: F5Voice) -> bytes:
    async with aclosing(batch.speak(spoken, voice)) as events:
        return b"".join([event.pcm async for event in events if isinstance(event, Audio)])


async def together(jobs: list[SpeechJob], order: Order = "slack") -> tuple[list[bytes], float]:
    """Return the sound of each, and the steps that all took. A step has room for all."""
    settings = F5Settings(slots=LISTENERS, rows=2 * LISTENERS, width=400, order=order)
    async with BatchLoop(model(), settings, Context(HostLogger("f5tts")), STEP_S) as batch:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(heard(batch, each, rig().voices[int(each.id[4:]) % 4])) for each in jobs
            ]
        return [task.result() for task in tasks], batch.figures()["steps"]


def difference(one: bytes, other: bytes) -> int:
    left, right = (np.frombuffer(each, "<i2").astype(np.int32) for each in (one, other))
    assert left.shape == right.shape
    return int(np.abs(left - right).max())


def test_what_a_raised_recording_speaks_is_as_quiet_as_it_was() -> None:
    voice = rig().voices[1]._replace(raised=1.0)
    asked = job(1, TEXTS[0])

    async def said(voice: F5Voice) -> bytes:
        settings = F5Settings(slots=1, rows=2, width=400)
        async with BatchLoop(model(), settings, Context(HostLogger("f5tts")), STEP_S) as batch:
            return await heard(batch, asked, voice)

    loud = np.frombuffer(asyncio.run(said(voice)), "<i2").astype(np.float64)
    quiet = np.frombuffer(asyncio.run(said(voice._replace(raised=4.0))), "<i2").astype(np.float64)
    assert np.abs(loud).max() > 400
    # What was clipped is not: of that, only the rest is compared.
    assert np.abs(quiet - loud / 4)[np.abs(loud) < 32_000].max() <= 2


def test_many_at_once_sound_as_each_alone_in_the_steps_of_the_longest() -> None:
    names = list(STEPS)
    jobs = [job(number, TEXTS[number % 4], name=names[number % 3]) for number in range(LISTENERS)]
    alone, steps = zip(*(asyncio.run(together([each])) for each in jobs), strict=True)
    sounds, took = asyncio.run(together(jobs))
    for one, (other,) in zip(sounds, alone, strict=True):
        assert difference(one, other) <= MOST_LSB
    print(f"{LISTENERS} at once: {took:.0f} steps; alone: {[int(each) for each in steps]}")
    assert took <= MOST_STEPS * max(steps)


def test_twelve_segments_of_one_job_take_hardly_more_steps_than_one() -> None:
    # By slack, later segments wait for as long as a step takes on this machine.
    (one,), took_one = asyncio.run(together([job(1, TEXTS[0])], "fifo"))
    (twelve,), took_twelve = asyncio.run(together([job(1, *[TEXTS[0]] * 12)], "fifo"))
    print(f"one segment: {took_one:.0f} steps; twelve: {took_twelve:.0f}")
    assert len(twelve) == 12 * len(one)
    assert took_twelve <= 2 * took_one


@pytest.mark.parametrize("seconds", [3.0, 12.0, 20.0])
def test_segments_are_cut_so_that_they_fit_behind_the_recording(seconds: float) -> None:
    voice = make_voice(recording(0, seconds), WORDS)
    cut = model().cut(job(1, LONG, TEXTS[1]), voice)
    assert [number for number, _ in cut] == sorted(number for number, _ in cut)
    assert {number for number, _ in cut} == {0, 1}
    lengths = [spoken_s(piece.spoken, voice.pace) for _, piece in cut]
    assert lengths[0] <= FIRST_S
    assert max(lengths) <= min(LONGEST_S, MOST_S - voice.seconds)
    spoken = " ".join(piece.spoken for number, piece in cut if number == 0)
    assert spoken == " ".join(LONG.split())


def test_what_the_gate_expects_is_what_joins() -> None:
    tiny, ours = rig(), model()
    assert isinstance(ours, WeighsRows)
    voice = tiny.voices[1]
    pieces = [piece for _, piece in ours.cut(job(1, LONG, TEXTS[1]), voice)]
    asked = job(1, *(piece.spoken for piece in pieces), name="mine-hd")
    expected = ours.expected(asked, voice)
    assert len(expected) == len(pieces)
    for number, work in enumerate(expected):
        row = ours.join(RowSpec(asked, number, pieces[number].spoken, 7, voice))
        found = ours.work(row)
        assert (found.seconds, found.weight) == pytest.approx((work.seconds, work.weight), abs=0.02)
        assert found.steps == work.steps == 32
        ours.leave(row)
    unknown = ours.expected(job(1, LONG), None)
    assert sum(each.seconds for each in unknown) == pytest.approx(spoken_s(LONG, 1.0))
    assert max(each.seconds for each in unknown) <= LONGEST_S


def test_a_bad_text_is_refused_before_the_first_is_spoken() -> None:
    with pytest.raises(UnsupportedText):
        model().judge(job(1, TEXTS[0], "Нет."))


def test_a_piece_begins_and_ends_softly() -> None:
    pcm = np.frombuffer(pcm_of(torch.ones(RATE_HZ)), "<i2")
    assert (pcm[0], pcm[-1], pcm[RATE_HZ // 2]) == (0, 0, 32767)
    assert np.all(np.diff(pcm[:100].astype(int)) >= 0)


def test_the_warm_up_has_rows_of_the_weight_that_it_was_asked_for() -> None:
    ours = model()
    rows = ours.warm_up_rows(64, 1)
    assert sum(ours.work(row).weight for row in rows) == pytest.approx(64, rel=0.15)
    assert {ours.work(row).steps for row in rows} == {32}
