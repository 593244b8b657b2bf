"""What the messages of real clients mean for the contexts of a socket."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidRequest
from proxy.features.elevenlabs_api.contexts import (
    MOST_OPEN,
    ContextRefused,
    Contexts,
    OneContext,
)
from proxy.features.elevenlabs_api.messages import ContextMessage, read_message
from tests.tables import each_row

Sent = dict[str, Any]
BLANK: Sent = {"text": " ", "voice_settings": {}, "context_id": "c"}
FLUSH: Sent = {"context_id": "c", "flush": True}
CLOSE: Sent = {"context_id": "c", "close_context": True}
LIVEKIT: list[Sent] = [
    BLANK,
    {"text": "Hello there. ", "context_id": "c", "flush": True},
    {"text": "How are you? ", "context_id": "c", "flush": True},
]
PIPECAT: list[Sent] = [
    BLANK,
    {"text": "Hello there.", "context_id": "c"},
    {"text": "How are you?", "context_id": "c"},
]
LIVEKIT_FLUSH = {"text": "", "context_id": "c", "flush": True}
SAID = ["open c", "say c Hello there. ", "flush c", "say c How are you? ", "flush c"]


def steps_of(contexts: Contexts, *messages: Sent) -> list[str]:
    return [
        " ".join(part for part in (step.action, step.context, step.text) if part)
        for message in messages
        for step in contexts.read_steps(msgspec.convert(message, ContextMessage))
    ]


@each_row(
    ("messages", "expected"),
    [
        (LIVEKIT, SAID),
        ([*LIVEKIT, LIVEKIT_FLUSH, CLOSE], [*SAID, "flush c", "finish c"]),
        ([*LIVEKIT, CLOSE], [*SAID, "stop c"]),
        (PIPECAT, SAID),
        ([*PIPECAT, FLUSH, CLOSE], [*SAID, "flush c", "finish c"]),
        ([*PIPECAT, FLUSH, CLOSE, CLOSE], [*SAID, "flush c", "finish c", "stop c"]),
        ([*PIPECAT, CLOSE], [*SAID, "stop c"]),
        ([*PIPECAT, CLOSE, CLOSE], [*SAID, "stop c"]),
        ([*PIPECAT, FLUSH, {"text": "", "context_id": "c"}, CLOSE], [*SAID, "flush c", "finish c"]),
        ([*PIPECAT, FLUSH, PIPECAT[1], CLOSE], [*SAID, "flush c", *SAID[1:3], "stop c"]),
        ([*PIPECAT, FLUSH | CLOSE], [*SAID, "flush c", "finish c"]),
        ([*PIPECAT, FLUSH, {"close_socket": True}], [*SAID, "flush c", "finish c", "close_socket"]),
        ([*PIPECAT, {"close_socket": True}], [*SAID, "stop c", "close_socket"]),
        ([BLANK, {"text": "Bye.", **CLOSE}], ["open c", "say c Bye. ", "flush c", "finish c"]),
        ([{"text": "Hi. "}, {"text": ""}], ["open default", "say default Hi. ", "flush default"]),
    ],
)
def test_the_turns_of_real_clients(messages: list[Sent], expected: list[str]) -> None:
    assert steps_of(Contexts(is_auto=True), *messages) == expected


@each_row("message", [FLUSH, CLOSE, LIVEKIT_FLUSH, {"text": "", "context_id": "c"}, {"text": ""}, {}])
def test_nothing_is_meant_for_a_context_that_never_opened(message: Sent) -> None:
    contexts = Contexts(is_auto=True)
    assert steps_of(contexts, message) == []
    assert steps_of(contexts, BLANK) == ["open c"]


def test_without_auto_mode_words_come_as_they_are_until_a_flush() -> None:
    words = [{"text": text, "context_id": "c"} for text in ("Hello ", "there ", "my ")]
    steps = steps_of(Contexts(is_auto=False), BLANK, *words, FLUSH, CLOSE)
    assert steps == ["open c", "say c Hello ", "say c there ", "say c my ", "flush c", "finish c"]


def test_a_sixth_open_context_is_refused_and_a_closed_one_does_not_count() -> None:
    contexts = Contexts(is_auto=True)
    opening: list[Sent] = [{"text": "Hi.", "context_id": str(number)} for number in range(MOST_OPEN + 2)]
    steps_of(contexts, *opening[:MOST_OPEN])
    with pytest.raises(ContextRefused) as refused:
        steps_of(contexts, opening[MOST_OPEN])
    assert (refused.value.code, refused.value.context) == ("max_active_conversations", "5")
    # What still comes for it is dropped, until its client closes it.
    assert steps_of(contexts, opening[MOST_OPEN], {"context_id": "5", "close_context": True}) == []
    steps_of(contexts, {"context_id": "2", "flush": True}, {"context_id": "2", "close_context": True})
    assert steps_of(contexts, opening[MOST_OPEN])[0] == "open 5"
    assert contexts.oldest_closed(other_than="") == "2"
    contexts.end_context("2")
    assert contexts.oldest_closed(other_than="") is None


def test_what_comes_for_a_context_that_failed_means_nothing_until_it_is_closed() -> None:
    contexts = Contexts(is_auto=True)
    steps_of(contexts, *PIPECAT)
    contexts.end_context("c", has_failed=True)
    assert steps_of(contexts, *PIPECAT, FLUSH, CLOSE) == []
    assert steps_of(contexts, BLANK) == ["open c"]
    # The memory of those is bounded.
    for number in range(1000):
        steps_of(contexts, {"text": "Hi.", "context_id": str(number)})
        contexts.end_context(str(number), has_failed=True)
    assert steps_of(contexts, {"text": "Hi.", "context_id": "1"})[0] == "open 1"


def test_a_closed_context_takes_no_text() -> None:
    contexts = Contexts(is_auto=True)
    steps_of(contexts, *PIPECAT, FLUSH, CLOSE, FLUSH, {"text": "", "context_id": "c"})
    with pytest.raises(ContextRefused) as refused:
        steps_of(contexts, PIPECAT[1])
    assert (refused.value.code, refused.value.context) == ("context_closed", "c")


@each_row(
    ("messages", "expected"),
    [
        (
            [{"text": " ", "generation_config": {}}, {"text": "Hello, "}, {"text": "friend. "}, {"text": ""}],
            ["open", "say Hello, ", "say friend. ", "finish"],
        ),
        ([{"text": ""}, {"text": "more"}], ["open", "finish"]),
        (
            [{"text": "a", "flush": True}, {"flush": True}, {"close_socket": True}],
            ["open", "say a", "flush", "flush", "finish"],
        ),
        ([{"text": "a "}, {}], ["open", "say a "]),
    ],
)
def test_stream_input_has_one_context_that_ends_with_an_empty_text(
    messages: list[Sent], expected: list[str]
) -> None:
    assert steps_of(OneContext(is_auto=False), *messages) == expected


MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "text": st.sampled_from(["", " ", "Hello. "]),
        "context_id": st.sampled_from(["a", "b", "c", "d", "e", "f", "g"]),
        "flush": st.booleans(),
        "close_context": st.booleans(),
    },
)


@given(st.lists(MESSAGES, max_size=60), st.booleans())
def test_a_context_is_open_when_it_speaks_and_at_most_five_are(messages: list[Sent], is_auto: bool) -> None:
    contexts, is_open, speaking = Contexts(is_auto=is_auto), set[str](), set[str]()
    for message in messages:
        try:
            steps = contexts.read_steps(msgspec.convert(message, ContextMessage))
        except ContextRefused:
            continue
        for step in steps:
            if step.action == "open":
                assert step.context not in speaking
                is_open.add(step.context)
                speaking.add(step.context)
            elif step.action in ("say", "flush", "finish"):
                assert step.context in is_open
            else:
                assert step.context in speaking
            if step.action in ("finish", "stop"):
                is_open.discard(step.context)
            if step.action == "stop":
                speaking.discard(step.context)
        assert len(is_open) <= MOST_OPEN


@each_row(
    ("sent", "field", "code"),
    [
        (b"{}", None, "invalid_json"),
        ("", None, "invalid_json"),
        ("[]", None, "invalid_json"),
        ('{"text": "\\ud800"}', None, "invalid_json"),
        ('{"text": 7}', "text", "invalid_value"),
        ('{"context_id": 7}', "context_id", "invalid_value"),
        ('{"context_id": "%s"}' % ("x" * 257), "context_id", "invalid_value"),
        ('{"flush": "true"}', "flush", "invalid_value"),
        ('{"close_context": 1}', "close_context", "invalid_value"),
        ('{"voice_settings": "x"}', "voice_settings", "invalid_value"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_message_that_cannot_be_read_names_the_field(sent: str | bytes, field: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_message(sent)
    assert (caught.value.param, caught.value.code) == (field, code)


def test_what_has_no_meaning_here_is_taken() -> None:
    sent = '{"text": "Hi.", "xi_api_key": "k", "try_trigger_generation": true, "generation_config": {}}'
    assert read_message(sent) == ContextMessage(text="Hi.")
    assert read_message('{"text": null, "flush": null}') == ContextMessage()
