"""A request that ends by its own fault is charged for what was heard. If we are to blame, it is free."""

from pathlib import Path

from proxy.features.admin.verify import verify
from speech_engine import Encoded, EngineError, Event, Finished, Started, errors
from tests.proxy.api.inside import Inside, inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, sound, spoken
from tests.proxy.speech.test_candidate_stream import mp3
from tests.tables import each_row

CONFIG = """
[engines.one]
[engines.two]
[models]
both = ["one/m", "two/m"]
[voices.ana]
one = "v"
[voices.ben]
two = "v"
[plans.paid]
allowance = 1000
prices.speech = { credits = 1, per = "second" }
"""
CAST = {"model": "both", "voice": {"cast": {"Ana": "ana", "Ben": "ben"}}, "response_format": "pcm"}
TURNS = {**CAST, "input": "[Ana] Hello there. [Ben] Goodbye."}


async def broken_answer(server: Inside, body: object) -> bytes:
    """What is heard of an answer that begins well, and is broken off."""
    sent = await server.raw_speech(body)
    assert sent[0]["status"] == 200
    assert all(message.get("more_body", True) for message in sent)
    return b"".join(message.get("body", b"") for message in sent)


async def is_consistent(server: Inside) -> bool:
    return (await verify(server.worker.store)).is_clean


@each_row(
    ("error", "is_own"),
    [
        (errors.UnsupportedText("x"), True),
        (errors.UnsupportedLanguage("x"), True),
        (errors.ContentRefused("x"), True),
        (errors.VoiceNotFound("x"), True),
        (errors.EngineFailed("x"), False),
        (errors.EngineUnavailable("x"), False),
        (errors.EngineBusy("x"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, EngineError) else "",
)
async def test_a_turn_that_can_not_be_spoken_does_not_make_the_one_before_it_free(
    tmp_path: Path, error: EngineError, is_own: bool
) -> None:
    one, two = Scripted(*spoken(2.0)), Scripted(error)
    async with inside(tmp_path, CONFIG, {"one": one, "two": two}, plan="paid") as server:
        heard = await broken_answer(server, TURNS)
        (row,) = await server.usage()
        assert await is_consistent(server)
    assert row.outcome == "failed"
    seconds = len(heard) / 2 / RATE_HZ
    assert seconds > 1.9
    if is_own:
        assert 0 <= row.credits / 1e6 - seconds <= 0.1
    else:
        assert row.credits == 0


@each_row("format_", ["pcm", "mp3"])
@each_row("stops_by_itself", [True, False])
async def test_sound_up_to_the_cap_is_charged_and_the_answer_is_broken(
    tmp_path: Path, format_: str, stops_by_itself: bool
) -> None:
    seconds = 11 if stops_by_itself else 40
    events: list[Event] = sound(seconds)
    if format_ == "mp3":
        second = mp3(1.0, tags=False)
        events = [Encoded("mp3", second) for _ in range(seconds)]
    engine = Scripted(Started(RATE_HZ), *events, Finished(), formats=(format_,))
    body = {"model": "one/m", "voice": "ana", "input": "Hi.", "response_format": format_}
    async with inside(tmp_path, CONFIG, {"one": engine, "two": Scripted()}, plan="paid") as server:
        assert len(await broken_answer(server, body)) > 1000
        (row,) = await server.usage()
        assert await is_consistent(server)
    assert (row.outcome, row.error) == ("failed", "unsupported_text")
    assert 8.5e6 <= row.credits <= 10e6


async def test_an_answer_that_ends_by_itself_at_the_cap_is_whole(tmp_path: Path) -> None:
    engine = Scripted(Started(RATE_HZ), *sound(10), Finished())
    body = {"model": "one/m", "voice": "ana", "input": "Hi.", "response_format": "pcm"}
    async with inside(tmp_path, CONFIG, {"one": engine, "two": Scripted()}, plan="paid") as server:
        answer = await server.ask("POST", "/v1/audio/speech", body=body)
        (row,) = await server.usage()
    assert (row.outcome, len(answer.content) / 2 / RATE_HZ) == ("finished", 10)
    assert row.credits == 10e6
