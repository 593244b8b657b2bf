"""The native socket over a real port: text by words, interruptions, and what is refused."""

import json
from typing import Any

from tests.features.sockets.native import at, refusal
from tests.server import Server
from tests.tables import each_row


def test_an_utterance_with_nothing_to_say_is_empty(plain_server: Server) -> None:
    with at(plain_server) as talker:
        for texts in ((), ("",), ("  ", "\n")):
            end = talker.speak(*texts)
            assert end.types == ["session.done"]
            assert end.end["total_sentences"] == 0
            assert end.end["usage"] == {"characters": 0, "seconds": 0.0}
            assert end.sound == b""
        assert end.end["utterance_index"] == 2
        talker.send({"type": "session.close"})
        assert talker.closing_code() == 1000


_TEXT = json.dumps({"type": "input.text", "text": "Hello."})


@each_row(
    "sent, code, param",
    [
        ("Hello.", "invalid_json", None),
        ('{"type": "input.text", "text": "\\ud800"}', "invalid_json", None),
        (b"\0\0", "invalid_message", None),
        ({"type": "input.speak"}, "invalid_value", "type"),
        ({"type": "input.text", "text": 5}, "invalid_value", "text"),
        ({"type": "input.text", "text": "a" * 20_001}, "string_above_max_length", "text"),
        ({"type": "input.cancel", "played_ms": "1"}, "invalid_value", "played_ms"),
        (
            {"type": "session.config", "model": "tts-1", "voice": "alloy", "speed": 9},
            "invalid_value",
            "speed",
        ),
        ({"type": "session.config", "model": "tts-1", "voice": 5}, "invalid_value", "voice"),
    ],
)
def test_a_wrong_message_is_an_error_and_the_socket_stays_open(
    sent: Any, code: str, param: str | None, plain_server: Server
) -> None:
    with at(plain_server) as talker:
        talker.send(sent)
        error = talker.error()
        assert (error["code"], error["param"]) == (code, param)
        assert error["type"] == "invalid_request_error"
        assert talker.speak().types == ["session.done"]


def test_the_first_message_is_a_config(plain_server: Server) -> None:
    with at(plain_server, config=False) as talker:
        for message in ({"type": "input.done"}, {"type": "input.cancel"}, _TEXT):
            talker.send(message)
            assert talker.error()["code"] == "config_missing"
        talker.config()
        assert talker.speak().types == ["session.done"]


def test_a_session_can_be_closed_before_its_config(plain_server: Server) -> None:
    with at(plain_server, config=False) as talker:
        talker.send({"type": "session.close"})
        talker.read_until()
        assert talker.code == 1000


def test_the_twentieth_error_closes_the_socket(plain_server: Server) -> None:
    with at(plain_server) as talker:
        for _ in range(20):
            talker.send("Hello.")
        seen = talker.read_until()
        assert seen.types == ["error"] * 20
        assert talker.code == 1008


def test_a_cancel_with_nothing_under_way_says_so(plain_server: Server) -> None:
    with at(plain_server) as talker:
        talker.cancel(played_ms=100)
        assert talker.spoken().end == {
            "type": "audio.cancelled",
            "utterance_index": 0,
            "sentence_index": 0,
            "reason": "client_cancel",
            "text_spoken": "",
            "text_remaining": "",
            "sent_ms": 0,
            "usage": {"characters": 0, "seconds": 0.0},
        }


def test_a_handshake_without_a_good_key_is_refused(plain_server: Server) -> None:
    assert refusal(plain_server, "sk-vg-wrong") == (401, "invalid_api_key")
