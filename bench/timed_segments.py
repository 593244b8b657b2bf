"""A model for simulations whose rows are heard as a whole, as those of F5-TTS are.

A row has a recording and a segment. Each of its steps takes both, and all rows of a step are as long as the
longest: so a step takes time by rows times frames. Nobody has measured a full-size model on a card yet. So
the times are chosen: the 700 calls of a step take 20 ms, and each frame, with its twin that has no text, is a
thousand million operations, which take 2 µs.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.listeners import SHARES, Visit
from bench.timed_model import CHARACTER_S, Clocked, spoken
from speech_engine import Segment, SpeechJob
from speech_engine.host.batch_model import BatchSettings, RowSpec, RowStep, RowWork

RATE_HZ = 24_000
FRAMES_S = 93.75
STEP_FLOOR_S, STEP_FRAME_S, JOIN_S, SOUND_S = 0.020, 2e-6, 0.002, 0.001
STEPS = 16
WIDTH = 64
"""The seconds of recordings and segments in a step."""
STEP_S = 0.5 / STEPS
RECORDINGS_S = dict(
    zip((f"account {number}" for number in range(len(SHARES))), (4.0, 6.0, 8.0, 10.0, 12.0), strict=True)
)
USUAL_RECORDING_S = 8.0
FIRST_S, LONGEST_S = 2.5, 30.0
LENGTHS_S = (2.0, 5.0, 12.0, 30.0)

SETTINGS = BatchSettings(slots=48, rows=64, width=WIDTH, joins_per_step=16, first_audio_s=0.6)


class Row:
    def __init__(self, recording_s: float, seconds: float, steps: int = STEPS) -> None:
        self.work = RowWork(seconds, recording_s + seconds, steps)
        self.steps = 0


class SegmentsModel(Clocked):
    """A model whose work takes time on a clock that the simulation moves on."""

    rate_hz = RATE_HZ
    step_s = STEP_S

    def segments(self, length_s: float) -> tuple[Segment, ...]:
        """Cut an answer: the first piece is short, and no other is too long beside any recording."""
        lengths_s = [min(FIRST_S, length_s)]
        if (left_s := length_s - lengths_s[0]) > 0.0:
            count = int(-(-left_s // (LONGEST_S - max(RECORDINGS_S.values()))))
            lengths_s += [left_s / count] * count
        return spoken(lengths_s)

    def voice_of(self, job: SpeechJob) -> float:
        return RECORDINGS_S.get(job.tenant, USUAL_RECORDING_S)

    def expected(self, job: SpeechJob, voice: float | None) -> Sequence[RowWork]:
        recording_s = USUAL_RECORDING_S if voice is None else voice
        return [Row(recording_s, len(each.spoken) * CHARACTER_S).work for each in job.segments]

    def work(self, row: Row) -> RowWork:
        return row.work

    def join(self, spec: RowSpec[float]) -> Row:
        self.took_s += JOIN_S
        return Row(spec.voice, len(spec.spoken) * CHARACTER_S)

    def warm_up_rows(self, weight: int) -> list[Row]:
        return [Row(USUAL_RECORDING_S, 8.0) for _ in range(weight // 16)]

    def step(self, rows: Sequence[Row]) -> list[RowStep]:
        self.took_s += step_takes_s([row.work.weight for row in rows])
        for row in rows:
            row.steps += 1
        return [RowStep(False, row.steps == row.work.steps) for row in rows]

    def sound(self, row: Row, is_last: bool) -> bytes:
        assert is_last
        self.took_s += SOUND_S
        return bytes(2 * round(row.work.seconds * RATE_HZ))

    def leave(self, row: Row) -> None:
        pass


def step_takes_s(weights: Sequence[float]) -> float:
    return STEP_FLOOR_S + STEP_FRAME_S * FRAMES_S * len(weights) * max(weights)


def capacity(drawn: Sequence[Visit]) -> float:
    """The seconds of sound a second that the model makes of these: in full steps, of rows as they come."""
    model = SegmentsModel()
    group: list[float] = []
    made_s = took_s = 0.0
    for visit in drawn:
        recording_s = RECORDINGS_S[f"account {visit.account}"]
        for segment in model.segments(visit.length_s) * visit.parts:
            seconds = len(segment.spoken) * CHARACTER_S
            if sum(group) + recording_s + seconds > WIDTH:
                took_s += STEPS * step_takes_s(group)
                group.clear()
            group.append(recording_s + seconds)
            made_s += seconds
            took_s += JOIN_S + SOUND_S
    return made_s / took_s
