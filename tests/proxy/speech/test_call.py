"""The tally: who spoke which part, what was written of each, and what the ledger is told of it."""

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from policies.plans import UNLIMITED, build_terms
from policies.price import Rate
from policies.routing import Candidate, Model, Voice
from proxy.http.replies import encode_json
from proxy.ledger import SpentAttempt
from proxy.speech.attempt import Attempt
from proxy.speech.call import Totals
from proxy.speech.part import Part
from proxy.speech.planning import SpeechPlan
from proxy.speech.speech_request import Defaults, parse_speech
from speech_engine import EngineVoice, ModelInfo

RATE_HZ = 24_000
VOICE = Voice(id="ana", name="ana", bindings=())
A_CHARACTER = Rate(0.0001, "character")


class Recording(NamedTuple):
    """A recording of so long."""

    seconds: float
    was_read_to_the_end: bool = True


class Output(NamedTuple):
    """What an attempt has come to."""

    seconds: float = 0.0
    units: float | None = None
    has_manifest: bool = False
    original: None = None


def model(engine: str, *, billed_on_submit: bool = False) -> Model:
    info = ModelInfo(id="standard", languages=(), sample_rate_hz=RATE_HZ, billed_on_submit=billed_on_submit)
    return Model(engine, info)


def spoken_by(speaker: Model) -> Candidate:
    return Candidate(speaker, EngineVoice("v"))


def totals(parts: int) -> Totals:
    """Of a text with one letter for each part."""
    text = "abcdefghij"[:parts]
    planned = tuple(
        Part(
            voice=VOICE,
            language="en",
            candidates=(spoken_by(model("first")),),
            start=number,
            end=number + 1,
            estimated_s=1.0,
            characters=1,
        )
        for number in range(parts)
    )
    plan = SpeechPlan(
        VOICE, VOICE.id, "en", planned, float(parts), build_terms(UNLIMITED), frozenset(), frozenset()
    )
    request = parse_speech(encode_json({"model": "m", "voice": "ana", "input": text}), Defaults())
    return Totals(request, plan)


def attempt(of: Model, part: int = 0, *, was_dispatched: bool = True, rate: Rate | None = None) -> Attempt:
    return Attempt(
        part=part, model=of, characters=1, output=Output(), rate=rate, was_dispatched=was_dispatched
    )


def submitted(counted: Totals) -> list[bool]:
    return [part.was_submitted for part in counted.spent().parts]


def test_a_part_was_submitted_once_its_own_engine_has_the_text() -> None:
    dear = model("dear", billed_on_submit=True)
    counted = totals(3)
    for run in counted.parts:
        run.candidate = spoken_by(dear)
    # The third part, by the same model, was not asked for.
    counted.attempts += [attempt(dear, 0, was_dispatched=False), attempt(dear, 1)]
    assert submitted(counted) == [False, True, False]
    counted.parts[1].candidate = spoken_by(model("tone"))
    assert submitted(counted) == [False] * 3, "another engine took it over"


def test_a_model_that_bills_for_sound_submits_nothing() -> None:
    counted = totals(1)
    counted.parts[0].candidate = spoken_by(model("tone"))
    counted.attempts.append(attempt(model("tone")))
    assert submitted(counted) == [False]


def test_the_names_of_engines_are_in_the_order_of_the_parts() -> None:
    counted = totals(4)
    for number, engine in ((0, "flat"), (2, "dear"), (1, "tone"), (3, "flat")):
        counted.parts[number].candidate = spoken_by(model(engine))
    assert (counted.spent().engine, counted.spent().model) == ("flat+tone+dear", "standard")


def test_a_clip_names_those_who_spoke_it() -> None:
    counted = totals(2)
    counted.names = ("tone+dear", "standard")
    assert (counted.spent().engine, counted.spent().model) == ("tone+dear", "standard")


def test_an_attempt_has_a_rate_only_once_it_was_dispatched() -> None:
    counted = totals(1)
    counted.attempts += [
        attempt(model("refused"), was_dispatched=False, rate=A_CHARACTER),
        attempt(model("theirs"), rate=A_CHARACTER),
    ]
    assert [(each.engine, each.rate) for each in counted.spent().attempts] == [
        ("refused", None),
        ("theirs", A_CHARACTER),
    ]


def test_the_output_of_an_attempt_is_what_it_is_when_it_is_settled() -> None:
    class Growing:
        seconds = 0.0
        units: float | None = None
        has_manifest = False
        original = None

    growing, counted = Growing(), totals(1)
    counted.attempts.append(
        Attempt(part=0, model=model("one"), characters=1, output=growing, was_dispatched=True)
    )
    growing.seconds = 60.0
    spent = counted.spent()
    growing.seconds = 999.0
    assert spent.attempts == (SpentAttempt(engine="one", model="standard", characters=1, seconds=60.0),)


def test_a_recording_that_was_submitted_costs_its_length_however_little_came_of_it() -> None:
    counted = totals(1)
    dear = model("dear", billed_on_submit=True)
    counted.attempts += [
        Attempt(
            part=0,
            model=of,
            characters=0,
            output=Output(),
            given_sound=Recording(60.0),
            was_dispatched=is_dispatched,
        )
        for of, is_dispatched in ((dear, True), (dear, False), (model("tone"), True))
    ]
    assert [each.seconds for each in counted.spent().attempts] == [60.0, Output().seconds, Output().seconds]


def test_units_that_no_provider_told_follow_from_the_length_of_what_it_heard() -> None:
    info = ModelInfo(
        id="sts", languages=(), sample_rate_hz=RATE_HZ, billed_on_submit=True, units_a_minute=1000.0
    )
    given_sound, counted = Recording(90.0), totals(1)
    counted.attempts += [
        Attempt(
            part=0,
            model=Model("dear", info),
            characters=0,
            output=output,
            given_sound=of,
            was_dispatched=True,
        )
        for output, of in ((Output(), given_sound), (Output(units=7.0), given_sound), (Output(), None))
    ]
    assert [each.units for each in counted.spent().attempts] == [1500.0, 7.0, None]


def test_who_hears_all_of_a_sound_first_has_submitted_nothing_before_its_end() -> None:
    info = ModelInfo(
        id="sts",
        languages=(),
        sample_rate_hz=RATE_HZ,
        billed_on_submit=True,
        hears_all_first=True,
        units_a_minute=1000.0,
    )
    attempts = [
        Attempt(
            part=0,
            model=Model("dear", info),
            characters=0,
            output=Output(0.0),
            rate=A_CHARACTER,
            given_sound=Recording(90.0, was_read_to_the_end),
            was_dispatched=True,
        )
        for was_read_to_the_end in (False, True)
    ]
    assert [each.spent().was_submitted for each in attempts] == [False, True]
    assert [(each.spent().seconds, each.spent().units) for each in attempts] == [(0.0, None), (90.0, 1500.0)]
    assert [each.spent().rate for each in attempts] == [None, A_CHARACTER]


def test_the_part_whose_turn_it_is_is_the_last_that_has_begun() -> None:
    counted = totals(3)
    assert counted.current_part is counted.parts[0]
    counted.parts[1].begins = 100
    assert counted.current_part is counted.parts[1]


starts = st.lists(st.integers(0, 1000), max_size=5).map(lambda found: [0, *sorted(found)])


@given(starts, st.integers(0, 1200), st.integers(0, 4))
def test_the_shares_of_the_parts_are_all_that_was_written(
    begins: list[int], samples: int, waiting: int
) -> None:
    # Of a client that left, fewer samples count than were given out, so its last parts began after them.
    counted = totals(len(begins) + waiting)
    for run, begin in zip(counted.parts, begins, strict=False):
        run.begins = begin
    counted.samples = samples
    shares = [part.samples for part in counted.spent().parts]
    assert sum(shares) == samples
    assert all(share >= 0 for share in shares)
    for number, begin in enumerate(begins):
        assert sum(shares[:number]) == min(begin, samples)
