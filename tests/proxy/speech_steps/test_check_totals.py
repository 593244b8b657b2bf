"""The tally of checked parts: a wrong part is free with the silence after it, while there is room."""

from policies.plans import UNLIMITED, build_terms
from policies.routing import Candidate, Model, Voice
from proxy.speech.part import Part
from proxy.speech.planning import SpeechPlan
from proxy.speech_steps.check_totals import CheckTotals, PartVerdict
from speech_engine import EngineVoice, ModelInfo
from tests.tables import each_row

RIGHT, WRONG = PartVerdict("right"), PartVerdict("wrong")
VOICE = Voice(id="ana", name="ana", bindings=())
SPEAKER = Candidate(
    Model("tone", ModelInfo(id="standard", languages=(), sample_rate_hz=24_000)), EngineVoice("v")
)


class Room:
    """What claims may take, second by second."""

    def __init__(self, left_s: float) -> None:
        self.left_s = left_s

    async def claim(self, seconds: float) -> bool:
        if seconds > self.left_s:
            return False
        self.left_s -= seconds
        return True


def plan_of(parts: tuple[Part, ...]) -> SpeechPlan:
    terms = build_terms(UNLIMITED)
    return SpeechPlan(VOICE, VOICE.id, "en", parts, 1.0, terms, frozenset(), frozenset(), check="heard")


async def tally(verdicts: list[PartVerdict], *, pause_s: float, room: Room) -> CheckTotals:
    """The tally of parts of a second each, with one more that is not made."""
    parts = tuple(
        Part(VOICE, "en", (SPEAKER,), number, number + 1, 1.0, 1, pause_s=pause_s)
        for number in range(len(verdicts) + 1)
    )
    totals = CheckTotals(plan_of(parts))
    totals.claim_free = room.claim
    for number, verdict in enumerate(verdicts):
        totals.note_verdict(number, verdict, 1.0)
        if verdict.result == "wrong":
            await totals.free((number,))
    return totals


@each_row(
    ("verdicts", "pause_s", "room_s", "free", "left_s"),
    [
        ([RIGHT, RIGHT], 0.0, 9.0, set(), 9.0),
        ([RIGHT, WRONG], 0.0, 9.0, {1}, 8.0),
        ([WRONG, WRONG, WRONG], 0.0, 2.0, {0, 1}, 0.0),
        ([WRONG, WRONG], 0.0, 0.5, set(), 0.5),
        # A part is free with its silence, or not at all.
        ([WRONG, WRONG, WRONG], 0.5, 3.0, {0, 1}, 0.0),
        ([WRONG], 0.5, 1.25, set(), 1.25),
    ],
)
async def test_a_wrong_part_is_free_while_there_is_room(
    verdicts: list[PartVerdict], pause_s: float, room_s: float, free: set[int], left_s: float
) -> None:
    totals = await tally(verdicts, pause_s=pause_s, room=(room := Room(room_s)))
    assert (totals.free_parts, room.left_s) == (free, left_s)


@each_row(
    ("room_s", "free", "left_s"),
    [
        # The wrong part took its own second and silence before. What is not made takes none.
        (4.5, {0, 1, 2}, 0.0),
        (4.25, {2}, 2.75),
        (1.5, {2}, 0.0),
    ],
)
async def test_an_answer_that_breaks_off_is_free_as_a_whole_or_for_its_wrong_part(
    room_s: float, free: set[int], left_s: float
) -> None:
    totals = await tally([RIGHT, RIGHT, WRONG], pause_s=0.5, room=(room := Room(room_s)))
    await totals.free(range(4))
    assert (totals.free_parts, room.left_s) == (free, left_s)
