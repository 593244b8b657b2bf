"""The check of a made part: what is right, unsure and wrong, the places of its words, and what is unheard."""

import asyncio
from typing import Any

import pytest

from policies.routing import PLAIN
from proxy.catalogue.recognition import LocalRecognition
from proxy.features.heard import check
from proxy.features.heard.section import CheckSection
from proxy.speech_steps.check_totals import PartVerdict
from speech_engine import EngineFailed, EngineUnavailable, Rewritten, Segment
from tests.features.heard.listeners import Listener, candidate, checking, part
from tests.sound import tone
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row

TEXT = "The boat leaves the harbour at noon."


async def judged(ears: Listener, text: str = TEXT, **more: Any) -> PartVerdict:
    async with checking(ears) as checker:
        return await checker.verdict_on(part(text, **more))


def named(text: str, found: PartVerdict) -> list[tuple[str, str]]:
    """The words of the user's text that are not right, and what was heard instead."""
    return [(text[each.start : each.end], each.transcribed) for each in found.words]


@each_row(
    ("text", "heard", "result", "words"),
    [
        (TEXT, "the boat leaves the harbor, at noon", "right", []),
        (TEXT, "The boat lives the harbour at noon.", "wrong", [("leaves", "lives")]),
        (TEXT, "The boat leaves harbour at noon.", "wrong", [("the", "")]),
        (TEXT, "The boat leaves the the harbour at noon.", "wrong", [("", "the")]),
        (TEXT, "The boat leaves the harbour at noon. Thank you.", "wrong", [("", "thank you")]),
        (TEXT, "", "wrong", [(TEXT, "")]),
        ("It costs $5 at 4:05 AM.", "It costs five dollars at 4.05 am.", "right", []),
        ("It leaves at four oh five AM.", "It leaves at 4.05 am.", "right", []),
        ("The bus leaves at 3:10.", "The bus leaves at 310.", "right", []),
        ("It costs $5 today.", "It costs six dollars today.", "wrong", [("$5", "six")]),
        ("It costs $5 today.", "It costs $6 today.", "wrong", [("$5", "six")]),
        ("Well — turn left.", "Well, turn right.", "wrong", [("left.", "right")]),
    ],
)
async def test_what_was_heard_is_compared_with_the_text(
    text: str, heard: str, result: str, words: list[tuple[str, str]]
) -> None:
    found = await judged(Listener(heard), text)
    assert (found.result, named(text, found)) == (result, words)


@each_row(
    ("first", "second", "likely", "result", "asked"),
    [
        ("The boat lives the harbour at noon.", TEXT, 0.01, "right", 2),
        (TEXT, "Nothing.", 0.01, "right", 1),
        ("The boat lives the harbour at noon.", "The boat the harbour noon.", 0.01, "wrong", 2),
        ("The boat lives the harbour at noon.", EngineFailed("x"), 0.01, "unsure", 2),
        ("The boat lives the harbour at noon.", "Nothing.", 0.5, "unsure", 1),
    ],
)
async def test_what_is_wrong_is_heard_again_in_a_full_window_and_the_milder_verdict_counts(
    first: str, second: str | Exception, likely: float, result: str, asked: int
) -> None:
    ears = Listener(first, second, likely=likely)
    found = await judged(ears)
    assert found.result == result
    assert [full for _, full in ears.asked] == [False, True][:asked]
    if result in ("unsure", "wrong"):
        assert named(TEXT, found) == [("leaves", "lives")]


async def test_words_too_many_have_their_place_between_others() -> None:
    for heard, place in ((f"{TEXT} Thank you.", len(TEXT)), (f"Well, {TEXT}", 0)):
        (word,) = (await judged(Listener(heard))).words
        assert (word.start, word.end, word.wanted) == (place, place, "")


async def test_a_part_of_several_windows_is_at_most_unsure() -> None:
    ears = Listener("Nothing.")
    found = await judged(ears, seconds=29.0)
    assert (found.result, len(ears.asked)) == ("unsure", 1)


async def test_rare_words_count_by_their_sounds() -> None:
    ears = Listener("Ask she oh mara today.", rare=("Xiomara",))
    ears.known = {"xiomara": "siomaɾa", "she oh mara": "ʃiomaɾa"}
    assert (await judged(ears, "Ask Xiomara today.")).result == "right"
    ears.known = None
    found = await judged(ears, "Ask Xiomara today.")
    assert (found.result, named("Ask Xiomara today.", found)) == ("unsure", [("Xiomara", "she oh mara")])


HOLE = tone(440, 1.0) + bytes(2 * 24_000 * 4 // 10) + tone(440, 2.6)


@each_row(
    ("text", "pcm", "result"),
    [
        (TEXT, HOLE, "unsure"),
        ("The boat, it leaves.", HOLE, "unsure"),
        (TEXT, tone(440, 1.0) + bytes(2 * 24_000 // 4) + tone(440, 2.0), "right"),  # too short
        (TEXT, bytes(40_000) + tone(440, 3.0) + bytes(40_000), "right"),  # before and behind
    ],
)
async def test_a_silence_in_the_middle_makes_right_words_unsure(text: str, pcm: bytes, result: str) -> None:
    assert await judged(Listener(text), text, pcm=pcm) == PartVerdict(result)  # type: ignore[arg-type]


async def test_a_voice_has_its_own_lengths() -> None:
    ears = Listener("")
    async with checking(ears) as checker:

        async def result(words: int, a_letter_s: float, **more: Any) -> str:
            text = " ".join(["boat"] * words) + "."
            ears.script = [text]
            return (await checker.verdict_on(part(text, seconds=a_letter_s * len(text), **more))).result

        for words in range(3, 12):
            assert await result(words, 0.1) == "right"
        assert await result(6, 0.13) == await result(6, 0.07) == "unsure"
        other = candidate(model="other")
        assert await result(6, 0.2, by=other) == "right", "another voice is not known yet"


@each_row(
    ("text", "more", "why"),
    [
        (TEXT, {"seconds": 0.39}, "short"),
        ("...", {"segments": (Segment("...", 0, 3),)}, "no_words"),
        ("[laughs]", {"by": candidate(is_local=False)}, "no_words"),
        (TEXT, {"language": "hi"}, "language"),
        (TEXT, {"by": candidate(is_speech=False)}, "model"),
        (TEXT, {"within_s": 0.05}, "late"),
    ],
)
async def test_what_cannot_be_heard_is_not_asked_for(text: str, more: dict[str, Any], why: str) -> None:
    ears = Listener(TEXT)
    assert await judged(ears, text, **more) == PartVerdict("unchecked", (), why)
    assert ears.asked == []


async def test_a_plan_learns_what_stands_against_a_check() -> None:
    async with checking(Listener(TEXT)) as checker:
        assert checker.obstacle(candidate(), "en-GB") == "language"
        assert checker.obstacle(candidate(), "en") == ""
        assert checker.obstacle(candidate(is_speech=False), "en") == "model"
        checker.use_section(CheckSection(jobs=True, paid_again=True, share=0.5))
        assert (checker.checks_jobs, checker.is_paid_again) == (True, True)
    async with checking(LocalRecognition()) as checker:
        assert checker.obstacle(candidate(), "hi") == "no_ears"


async def test_a_model_that_reads_numbers_is_compared_as_its_language_writes_them() -> None:
    text = "Call 12 men now."
    segments = (Segment(text, 0, len(text)),)
    by = candidate()
    by = type(by)(by.model, by.voice, front_end=PLAIN)
    found = await judged(Listener("Call twenty men now."), text, segments=segments, by=by)
    assert (found.result, named(text, found)) == ("wrong", [("12", "twenty")])
    text = "Llama a 12 hombres."
    segments = (Segment(text, 0, len(text)),)
    spanish: dict[str, Any] = {"segments": segments, "by": by, "language": "es"}
    assert (await judged(Listener("Llama a doce hombres."), text, **spanish)).result == "right"
    found = await judged(Listener("Llama a diez hombres."), text, **spanish)
    assert named(text, found) == [("12", "diez")]


async def test_only_models_of_providers_follow_tags() -> None:
    text = "Turn [laughs] left."
    segments = (Segment(text, 0, len(text)),)
    provider = candidate(is_local=False)
    assert (await judged(Listener("Turn left."), text, segments=segments, by=provider)).result == "right"
    found = await judged(Listener("Turn right."), text, segments=segments, by=provider)
    assert named(text, found) == [("left.", "right")]
    assert (await judged(Listener("Turn laughs left."), text, segments=segments)).result == "right"


async def test_a_word_of_a_lexicon_is_compared_by_its_replacement() -> None:
    text = "Ask SQL today."
    segment = Segment("Ask sequel today.", 0, len(text), (Rewritten(4, 10, 4, 7),))
    assert (await judged(Listener("ask sequel today"), text, segments=(segment,))).result == "right"
    found = await judged(Listener("ask equal today"), text, segments=(segment,))
    assert named(text, found) == [("SQL", "equal")]


async def test_a_model_that_is_often_called_wrong_is_only_unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "OFTEN_CALLED_WRONG", frozenset({("e/m", "en")}))
    assert (await judged(Listener("Nothing."))).result == "unsure"
    assert (await judged(Listener("Nada."), "Hola a todos.", language="es")).result == "wrong"


async def test_ears_of_nonsense_do_no_harm() -> None:
    for nonsense in ("la " * 20_000, "\ud800\0", "一" * 70_000, "₹" * 500):
        found = await judged(Listener(nonsense))
        assert found.result in ("wrong", "unsure")
        assert all(0 <= each.start <= each.end <= len(TEXT) for each in found.words)


@simulated
async def test_ears_that_fail_or_are_late_leave_a_part_unchecked() -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    loop = asyncio.get_running_loop()
    failing = Listener(EngineUnavailable("away"))
    assert await judged(failing) == PartVerdict("unchecked", (), "failed")
    began = loop.time()
    assert await judged(Listener(never), within_s=3.0) == PartVerdict("unchecked", (), "late")
    assert loop.time() - began == pytest.approx(3.0)
    # A second hearing that never ends leaves time for the verdict of the first.
    found = await judged(Listener("Nothing.", never), within_s=3.0)
    assert found.result == "unsure"


@simulated
async def test_stopped_ears_cost_one_part_every_ten_seconds_its_time() -> None:
    loop, goes_on = asyncio.get_running_loop(), asyncio.Event()

    async def once_it_goes_on() -> str:
        await goes_on.wait()
        return TEXT

    ears = Listener(once_it_goes_on)
    waited: list[float] = []
    async with checking(ears) as checker:

        async def results(count: int) -> list[PartVerdict]:
            found = []
            for _ in range(count):
                began = loop.time()
                found.append(await checker.verdict_on(part(TEXT, within_s=4.0)))
                waited.append(loop.time() - began)
            return found

        assert {each.why for each in await results(20)} == {"late"}
        assert sum(waited) == pytest.approx(4.0), "one part alone has waited"
        await asyncio.sleep(11.0)
        assert {each.why for each in await results(5)} == {"late"}
        assert sum(waited) == pytest.approx(8.0)
        patient = asyncio.create_task(checker.verdict_on(part(TEXT, within_s=60.0, goes_whole=True)))
        await asyncio.sleep(30.0)
        assert not patient.done(), "an answer in one piece waits, whatever was late for listeners"
        goes_on.set()
        assert (await patient).result == "right"
        await asyncio.sleep(11.0)
        assert {each.result for each in await results(5)} == {"right"}


@simulated
async def test_too_many_parts_at_once_are_refused_and_take_turns() -> None:
    at_once, most, loop = 0, 0, asyncio.get_running_loop()

    async def in_a_moment() -> str:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(1.0)
        at_once -= 1
        return TEXT

    ears = Listener(in_a_moment)
    async with checking(ears) as checker:

        async def learn() -> None:
            for _ in range(8):
                await checker.verdict_on(part(TEXT, within_s=9.0))

        await learn()
        began = loop.time()
        parts = [part(TEXT, within_s=3.1) for _ in range(40)]
        found = [each.why for each in await asyncio.gather(*map(checker.verdict_on, parts))]
        assert loop.time() - began <= 3.1
        assert most == 2, "a quarter of eight slots"
        assert 3 <= found.count("") <= 6
        assert set(found) == {"", "late"}
        await learn()
        asked, hasty = len(ears.asked), part(TEXT, within_s=0.8)
        assert [(await checker.verdict_on(hasty)).why, len(ears.asked) - asked] == ["late", 0]
        await asyncio.sleep(11.0)
        assert [(await checker.verdict_on(hasty)).why, len(ears.asked) - asked] == ["late", 1], "once again"


@simulated
async def test_live_parts_of_all_kinds_share_the_slots_and_steps_have_one_of_their_own() -> None:
    at_once = dict.fromkeys((True, False), 0)
    most = dict(at_once)
    ears = Listener(TEXT)

    async def in_a_moment() -> str:
        is_idle = ears.made[-1].is_idle
        at_once[is_idle] += 1
        most[is_idle] = max(most[is_idle], at_once[is_idle])
        await asyncio.sleep(1.0)
        at_once[is_idle] -= 1
        return TEXT

    ears.script = [in_a_moment]
    async with checking(ears) as checker:
        parts = [part(TEXT, within_s=60.0, goes_whole=at % 2 == 0) for at in range(12)]
        parts += [part(TEXT, within_s=60.0, is_idle=True)] * 3
        found = [each.why for each in await asyncio.gather(*map(checker.verdict_on, parts))]
    assert set(found) == {""}
    assert most == {False: 2, True: 1}, "a quarter of eight slots, and one"
