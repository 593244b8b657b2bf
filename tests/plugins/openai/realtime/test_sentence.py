"""One sentence and its responses, without a provider: what is heard, asked for again, and paid for."""

import asyncio
import base64
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from plugins.openai.realtime.messages import ResponseBody, TokenUsage, TranscriptDelta
from plugins.openai.realtime.response import Response
from plugins.openai.realtime.sentence import Check, Sentence, SentenceTerms, TextReworded
from plugins.openai.realtime.session import Session, SessionEnded
from speech_engine import ContentRefused, EngineError, EngineFailed, EngineTimeout
from speech_engine.text.said import TranscriptJudge
from tests.tables import each_row

TEXT = "Hello there, world."
SOUND = base64.b64encode(bytes(100)).decode()


def words(text: str, part: int = 0, *, item: int = 0) -> TranscriptDelta:
    return TranscriptDelta(response_id="r", delta=text, output_index=item, content_index=part)


def body(status: str = "completed", **more: Any) -> ResponseBody:
    return msgspec.convert({"id": "r", "status": status, **more}, ResponseBody)


class Asked:
    """A session that gives these responses one after the other, and notes which are left."""

    def __init__(self, *scripts: Callable[[Response], object]) -> None:
        self.left: list[Response] = []
        self.within_s: list[float] = []
        self._scripts = list(scripts)

    async def request_sentence(self, text: str, instructions: str) -> Response:
        del instructions
        response = Response(1, text, 1.0)
        self._scripts.pop(0)(response)
        return response

    def leave(self, response: Response) -> None:
        self.left.append(response)


def sentence(
    asked: Asked,
    check: Check = "strict",
    *,
    flag: Callable[[], None] | None = None,
    silence_s: float = 30.0,
    deadline: float | None = None,
) -> Sentence:
    async def session(within_s: float) -> Session:
        asked.within_s.append(within_s)
        return asked  # type: ignore[return-value]  # all that a sentence needs of one

    terms = SentenceTerms(TranscriptJudge("en"), check, "Read.", session, flag, silence_s)
    return Sentence(TEXT, 0, terms, deadline)


async def heard(made: Sentence) -> bytes:
    await made.begin()
    found = b""
    while audio := await made.next_audio():
        found += audio
    return found


def right(response: Response) -> None:
    response.add_words(words(TEXT))
    response.add_audio(SOUND)
    response.finish(body())


def other_words(response: Response) -> None:
    response.add_words(words("I cannot do that."))
    response.add_audio(SOUND)


def endless(response: Response) -> None:
    response.add_audio(base64.b64encode(bytes(4_000_000)).decode())


async def test_other_words_are_cancelled_and_asked_for_once_more() -> None:
    asked = Asked(other_words, right)
    made = sentence(asked)
    assert await heard(made) == bytes(100)
    assert asked.left == made.responses[:1]
    with pytest.raises(TextReworded):
        await heard(sentence(Asked(other_words, other_words)))


@pytest.mark.parametrize("check", ["strict", "fast"])
async def test_words_that_ran_out_of_room_are_no_whole_answer_whatever_they_are(check: Check) -> None:
    def cut(response: Response) -> None:
        response.add_words(words(TEXT))
        response.add_audio(SOUND)
        response.finish(body("incomplete", status_details={"reason": "max_output_tokens"}))

    asked = Asked(cut, right)
    assert await heard(sentence(asked, check)) == bytes(100)
    assert len(asked.left) == 1


async def test_strict_hears_nothing_before_the_end_and_fast_at_once() -> None:
    def begun(response: Response) -> None:
        response.add_words(words("Hello there"))
        response.add_audio(SOUND)

    fast, strict = sentence(Asked(begun), "fast"), sentence(Asked(begun), "strict", silence_s=0.01)
    await fast.begin()
    assert await fast.next_audio() == bytes(100)
    await strict.begin()
    with pytest.raises(EngineTimeout):
        await strict.next_audio()


async def test_the_deadline_is_for_the_first_sound_alone() -> None:
    asked = Asked(lambda response: response.add_audio(SOUND), lambda _response: None)
    made = sentence(asked, "off", deadline=time.monotonic() - 1.0)
    await made.begin()
    assert await made.next_audio() == bytes(100)
    asyncio.get_running_loop().call_later(0.02, made.responses[0].add_audio, SOUND)
    assert await made.next_audio() == bytes(100)
    late = sentence(asked, "off", deadline=time.monotonic() - 1.0)
    await late.begin()
    with pytest.raises(EngineTimeout):
        await late.next_audio()
    # Who may wait for a session no longer is told so.
    assert asked.within_s == [0.0, 0.0]


@pytest.mark.parametrize("ends", [1, 2])
async def test_a_session_that_ends_before_any_sound_is_replaced_once(ends: int) -> None:
    scripts = [lambda response: response.fail(SessionEnded("ended"))] * ends
    made = sentence(Asked(*scripts, right, right))
    if ends == 1:
        assert await heard(made) == bytes(100)
    else:
        with pytest.raises(SessionEnded):
            await heard(made)
    assert len(made.responses) == 2


async def test_what_was_heard_is_not_asked_for_again_when_its_session_ends() -> None:
    made = sentence(Asked(lambda response: response.add_audio(SOUND), right), "off")
    await made.begin()
    assert await made.next_audio() == bytes(100)
    made.responses[0].fail(SessionEnded("ended"))
    with pytest.raises(SessionEnded):
        await made.next_audio()
    assert len(made.responses) == 1


async def test_a_failure_that_is_no_end_of_a_session_is_told_at_once() -> None:
    made = sentence(Asked(lambda response: response.fail(EngineFailed("broken")), right))
    with pytest.raises(EngineFailed):
        await heard(made)
    assert len(made.responses) == 1


async def test_other_words_may_be_flagged_but_never_without_an_end() -> None:
    flagged: list[None] = []

    def other_words_to_the_end(response: Response) -> None:
        other_words(response)
        response.finish(body())

    asked = Asked(other_words_to_the_end, other_words_to_the_end)
    assert await heard(sentence(asked, "fast", flag=lambda: flagged.append(None))) == bytes(100)
    assert flagged == [None]
    with pytest.raises(TextReworded):
        await heard(sentence(Asked(endless, endless), "fast", flag=lambda: flagged.append(None)))
    assert flagged == [None]


def test_what_nobody_hears_is_not_kept() -> None:
    response = Response(1, TEXT, 1.0)
    response.add_audio(SOUND)
    response.abandon()
    response.add_audio(SOUND)
    response.add_words(words(TEXT))
    assert (response.take_audio(), response.transcript, response.pcm_bytes) == (b"", "", 200)


def test_words_and_sound_without_end_are_too_much() -> None:
    talking, writing = Response(1, TEXT, 1.0), Response(2, TEXT, 1.0)
    assert not talking.is_too_long
    endless(talking)
    assert (talking.is_too_long, talking.take_audio()) == (True, b"")
    writing.add_words(words("x" * 60_000))
    assert not writing.is_too_long
    writing.add_words(words("x" * 6_000, part=1))
    assert writing.is_too_long


def test_the_parts_of_an_answer_are_read_in_their_order() -> None:
    response = Response(1, TEXT, 1.0)
    response.add_words(words("world.", item=1))
    response.add_words(words("Hello"))
    response.add_words(words("there,", part=1))
    assert response.transcript == "Hello there, world."


def test_the_first_end_of_a_response_is_the_one_that_counts() -> None:
    response = Response(1, TEXT, 1.0)
    response.finish(body())
    response.fail(SessionEnded("later"))
    assert (response.is_complete, response.failure) == (True, None)


@each_row(
    ("status", "details", "cls"),
    [
        ("completed", None, None),
        ("incomplete", {"reason": "content_filter"}, ContentRefused),
        ("incomplete", {"reason": "max_output_tokens"}, None),
        ("incomplete", None, None),
        ("failed", None, EngineFailed),
        ("cancelled", {"reason": "turn_detected"}, EngineFailed),
        (None, None, EngineFailed),
    ],
)
def test_a_status_says_why_there_is_no_answer(
    status: Any, details: object, cls: type[EngineError] | None
) -> None:
    response = Response(1, TEXT, 1.0)
    response.finish(body(status, status_details=details))
    assert response.is_complete is (status == "completed")
    assert response.failure is None if cls is None else isinstance(response.failure, cls)


def test_each_kind_of_token_is_paid_for_once() -> None:
    counted = {
        "input_token_details": {"text_tokens": 100, "audio_tokens": 10, "cached_tokens": 50},
        "output_token_details": {"text_tokens": 8, "audio_tokens": 40},
    }
    usage = msgspec.convert(counted, TokenUsage)
    weights = {"text_in": 0.5, "cached_in": 0.1, "text_out": 0.25}
    assert usage.weighted_tokens(weights) == pytest.approx(60 * 0.5 + 50 * 0.1 + 8 * 0.25 + 40)
    assert usage.weighted_tokens({}) == 40
    # More from memory than was read: a provider's slip is no discount.
    slip = msgspec.convert({"input_token_details": {"text_tokens": 1, "cached_tokens": 50}}, TokenUsage)
    assert slip.weighted_tokens({"text_in": 1.0}) == 0
