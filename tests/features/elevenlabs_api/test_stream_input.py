"""Texts with elements of SSML on the sockets, and `stream-input`, whose only context is its socket."""

import pytest

from tests.features.elevenlabs_api.talker import FIRST, WHOLE, closing_code, said, talking
from tests.server import ALONE, Server, live_server

pytestmark = pytest.mark.slow

server = live_server(ALONE)


def test_elements_of_ssml_are_read_if_the_query_says_so(server: Server) -> None:
    with talking(server, enable_ssml_parsing="true") as talker:
        sound = '<phoneme alphabet="ipa" ph="naʊ">now</phoneme>'
        talker.livekit("a", f'R&B <break time="100ms"/> is <loud>{sound}</loud>. ')
        talker.livekit_end("a")
        assert said(talker.turn("a").sound) == "R&B is now."
        talker.livekit("b", "a </loud> b")
        assert talker.turn("b").errors[0]["error"] == "invalid_ssml"


def test_elements_of_ssml_may_go_over_several_messages(server: Server) -> None:
    words = [
        "One ",
        "<sub ",
        'alias="two">',
        "2",
        "</sub> ",
        "three.",
        ' <break time="100ms"',
        "/>",
        " Four.",
    ]
    with talking(server, auto_mode="false", enable_ssml_parsing="true") as talker:
        talker.send(" ", "a")
        for word in words:
            talker.send(word, "a")
        talker.pipecat_end("a")
        assert said(talker.turn("a").sound) == "One two three. Four."
        talker.send("One <sub alias='two'>", "b")
        talker.pipecat_end("b")
        assert talker.turn("b").errors[0]["error"] == "invalid_ssml"


def test_stream_input_says_the_rest_before_it_closes_for_want_of_messages(server: Server) -> None:
    with talking(server, "stream-input", auto_mode="false", inactivity_timeout=1) as talker:
        talker.send(f"{FIRST}And this has no end")
        turn = talker.turn()
        assert closing_code(talker) == 1000
    assert said(turn.sound) == f"{FIRST}And this has no end"
    assert turn.is_final


def test_stream_input_ends_with_an_empty_text(server: Server) -> None:
    with talking(server, "stream-input", auto_mode="false") as talker:
        talker.send(" ", generation_config={"chunk_length_schedule": [50]})
        for word in WHOLE.split():
            talker.send(f"{word} ", try_trigger_generation=True)
        talker.send("")
        turn = talker.turn()
        assert closing_code(talker) == 1000
    assert said(turn.sound) == WHOLE.strip()


def test_stream_input_that_fails_closes_with_another_code(server: Server) -> None:
    with talking(server, "stream-input", voice="tone/fail") as talker:
        talker.send(FIRST)
        talker.send("")
        assert talker.next()["error"] == "engine_unavailable"
        assert closing_code(talker) == 1011
