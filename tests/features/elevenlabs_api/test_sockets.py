"""The sockets as LiveKit, Pipecat and ElevenLabs' library speak with them, over a real port."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.features.elevenlabs_api.talker import FIRST, SECOND, WHOLE, address, closing_code, said, talking
from tests.server import ALONE, Server, live_server, running
from tests.tables import each_row

pytestmark = pytest.mark.slow

server = live_server(
    f"""{ALONE}
[engines.inside]
plugin = "tone"
hosted = false
[plans.one]
streams = 1
[plans.two]
streams = 2
[plans.poor]
allowance = 0
prices.speech = {{ credits = 1, per = "second" }}
[plans.nearly]
allowance = 1
prices.speech = {{ credits = 1, per = "second" }}
"""
)
LONG = "This takes a while to say. "


def usage(server: Server) -> list[dict[str, Any]]:
    with server.client() as client:
        rows: list[dict[str, Any]] = client.get("/v1/usage").json()["data"]
    return rows


@each_row("format_", ["pcm_24000", "mp3_22050_32", "opus_48000_64"])
def test_a_turn_of_livekit_is_one_stream_with_times_that_run_on(server: Server, format_: str) -> None:
    with talking(server, output_format=format_, sync_alignment="true") as talker:
        talker.livekit("c1", FIRST, SECOND)
        talker.livekit_end("c1")
        turn = talker.turn("c1")
    assert said(turn.sound, format_.partition("_")[0]) == WHOLE.strip()
    assert turn.characters == WHOLE
    assert turn.starts_ms == sorted(turn.starts_ms)
    assert not turn.errors


def test_a_turn_of_pipecat_has_times_that_restart_and_words_that_are_apart(server: Server) -> None:
    with talking(server) as talker:
        talker.pipecat("u1", FIRST.strip(), SECOND.strip())
        talker.send("")
        talker.pipecat_end("u1")
        turn = talker.turn("u1")
    assert said(turn.sound) == WHOLE.strip()
    assert turn.characters == WHOLE
    assert len(turn.alignments) > 1
    assert all(each["charStartTimesMs"][0] < 500 for each in turn.alignments)
    summed = turn.summed_ms
    assert summed == sorted(summed)
    assert summed[WHOLE.index("How")] > summed[WHOLE.index("friend")]
    assert summed[-1] <= len(turn.sound) / 48


def test_words_without_a_flush_are_spoken_sentence_by_sentence(server: Server) -> None:
    with talking(server, auto_mode="false") as talker:
        talker.send(" ", "t", generation_config={"chunk_length_schedule": [50]})
        for word in WHOLE.split():
            talker.send(f"{word} ", "t")
        talker.hear(0.5, "t")
        talker.pipecat_end("t")
        assert said(talker.turn("t").sound) == WHOLE.strip()


def test_an_interruption_stops_one_context_and_the_socket_stays(server: Server) -> None:
    with talking(server) as talker:
        talker.livekit("a", *[LONG] * 8)
        talker.hear(0.5, "a")
        began = time.monotonic()
        talker.close("a")
        turn = talker.turn("a")
        assert time.monotonic() - began < 1.0
        assert len(turn.sound) < 3 * 48_000
        talker.livekit("b", FIRST)
        talker.livekit_end("b")
        assert said(talker.turn("b").sound) == FIRST.strip()
    # What was sent of the first one is paid.
    rows = usage(server)
    assert all(row["outcome"] != "failed" for row in rows[:3])


def test_a_repeated_close_stops_what_would_have_been_said(server: Server) -> None:
    with talking(server) as talker:
        talker.pipecat("a", *[LONG] * 8)
        talker.pipecat_end("a")
        talker.hear(0.5, "a")
        talker.close("a")
        assert len(talker.turn("a").sound) < 3 * 48_000


def test_contexts_speak_at_the_same_time(server: Server) -> None:
    with talking(server) as talker:
        for name in ("a", "b", "c"):
            talker.livekit(name, f"This is {name}. ")
        for name in ("a", "b", "c"):
            talker.livekit_end(name)
        for name in ("a", "b", "c"):
            assert said(talker.turn(name).sound) == f"This is {name}."


def test_seven_quick_turns_on_a_plan_of_one_stream_end_the_ones_before(server: Server) -> None:
    key = server.mint_key("one", plan="one").secret
    with talking(server, key=key) as talker:
        for number in range(7):
            talker.livekit(str(number), f"Turn {number}. ", LONG)
            talker.livekit_end(str(number))
        last = talker.turn("6")
        assert said(last.sound) == f"Turn 6. {LONG}".strip()
        assert all(talker.turn(str(number)).is_final for number in range(7))
        assert not any(turn.errors for turn in talker.turns.values())


def test_a_stream_of_another_socket_counts_for_the_plan_too(server: Server) -> None:
    key = server.mint_key("two", plan="two").secret
    with talking(server, key=key) as other, talking(server, key=key) as talker:
        other.livekit("x", *[LONG] * 4)
        other.hear(0.2, "x")
        talker.livekit("a", *[LONG] * 4)
        talker.livekit_end("a")
        talker.hear(0.2, "a")
        talker.livekit("b", FIRST)
        talker.livekit_end("b")
        assert said(talker.turn("b").sound) == FIRST.strip()
        assert talker.turn("a").is_final
        assert not talker.turns["a"].errors + talker.turns["b"].errors


def test_a_context_that_finds_no_stream_gets_its_error_before_its_end(server: Server) -> None:
    key = server.mint_key("full", plan="one").secret
    with talking(server, key=key) as talker:
        talker.livekit("a", *[LONG] * 4)
        talker.hear(0.2, "a")
        talker.send(FIRST, "b", flush=True, close_context=True)
        while not talker.turns.get("b"):
            talker.next()
        assert [each["error"] for each in talker.turns["b"].errors] == ["rate_limit_exceeded"]
        assert not talker.turns["b"].is_final
        assert talker.turn("b").messages == 2


def test_a_sixth_open_context_is_an_error_and_the_others_go_on(server: Server) -> None:
    with talking(server) as talker:
        for number in range(6):
            talker.send(" ", str(number))
        refused = talker.turn("5")
        assert refused.errors[0]["error"] == "max_active_conversations"
        talker.send(FIRST, "4", flush=True)
        talker.livekit_end("4")
        assert said(talker.turn("4").sound) == FIRST.strip()


def test_a_context_without_words_ends_without_sound(server: Server) -> None:
    with talking(server) as talker:
        talker.pipecat("a", "...")
        talker.pipecat_end("a")
        assert talker.turn("a").sound == b""
        talker.pipecat("b")
        talker.pipecat_end("b")
        assert talker.turn("b").sound == b""


@each_row("voice", ["tone/fail", "tone/fail-late"])
def test_a_failed_context_says_so_and_ends_and_the_socket_stays(server: Server, voice: str) -> None:
    with talking(server, voice=voice) as talker:
        for name in ("a", "b"):
            talker.livekit(name, FIRST)
            talker.livekit_end(name)
            turn = talker.turn(name)
            (error,) = turn.errors
            assert (error["error"], error["contextId"]) == ("engine_unavailable", name)
            assert error["message"]


def test_credits_that_run_out_fail_a_context(server: Server) -> None:
    key = server.mint_key("nearly", plan="nearly").secret
    with talking(server, key=key) as talker:
        talker.livekit("a", LONG * 4)
        talker.livekit_end("a")
        assert talker.turn("a").errors[0]["error"] == "quota_exceeded"


def test_used_up_credits_refuse_a_handshake(server: Server) -> None:
    key = server.mint_key("poor of sockets", plan="poor").secret
    with pytest.raises(InvalidStatus) as refused, talking(server, key=key):
        pass
    answer = refused.value.response
    assert (answer.status_code, json.loads(answer.body or b"")["detail"]["code"]) == (401, "quota_exceeded")


def test_close_socket_says_what_was_flushed_and_closes(server: Server) -> None:
    with talking(server) as talker:
        talker.pipecat("a", FIRST.strip())
        talker.send(context="a", flush=True)
        talker.pipecat("b", *[LONG] * 8)
        talker.send(close_socket=True)
        assert said(talker.turn("a").sound) == FIRST.strip()
        assert len(talker.turn("b").sound) < 3 * 48_000
        assert closing_code(talker) == 1000


def test_bad_messages_leave_the_socket_open_until_the_twentieth(server: Server) -> None:
    bad: list[str | bytes] = [
        "",
        "{",
        "[]",
        '{"text": 7}',
        '{"context_id": ["a"]}',
        '{"flush": "yes"}',
        b"\x00",
        '"\\ud800"',
    ]
    with talking(server) as talker:
        for message in bad:
            talker.socket.send(message)
            assert talker.next()["error"] in ("invalid_json", "invalid_value")
        talker.send("x" * 30_000, "a")
        error = talker.turn("a").errors[0]
        assert error["contextId"] == "a"
        for _ in range(19 - len(bad)):
            talker.socket.send("{")
            talker.next()
        talker.livekit("b", FIRST)
        talker.livekit_end("b")
        assert said(talker.turn("b").sound) == FIRST.strip()
        talker.socket.send("{")
        talker.next()
        assert closing_code(talker) == 1008


def test_a_silent_socket_closes_after_the_time_that_it_asked_for(server: Server) -> None:
    with talking(server, inactivity_timeout=1) as talker:
        talker.livekit("a", FIRST, SECOND)
        talker.livekit_end("a")
        assert said(talker.turn("a").sound) == WHOLE.strip()
        assert closing_code(talker) == 1000


def test_a_context_that_waits_for_text_does_not_hold_its_stream_for_ever(server: Server) -> None:
    key = server.mint_key("waiting", plan="one").secret
    with talking(server, key=key, inactivity_timeout=1) as talker:
        talker.livekit("a", FIRST)
        assert closing_code(talker) == 1000
        assert talker.turns["a"].is_final
    with talking(server, key=key) as talker:
        talker.livekit("b", FIRST)
        talker.livekit_end("b")
        assert said(talker.turn("b").sound) == FIRST.strip()


def test_a_key_that_is_revoked_closes_its_socket_at_once(server: Server) -> None:
    key = server.mint_key()
    with talking(server, key=key.secret) as talker, talking(server, key=key.secret) as silent:
        talker.livekit("a", FIRST)
        talker.hear(0.2, "a")
        server.cli("keys", "revoke", key.id)
        assert closing_code(talker) == closing_code(silent) == 1008
        assert not talker.turns["a"].is_final


def test_a_server_that_stops_lets_a_turn_end(tmp_path: Path) -> None:
    with running(tmp_path) as stopping, talking(stopping) as talker, talking(stopping) as silent:
        talker.livekit("a", FIRST, SECOND)
        talker.hear(0.2, "a")
        os.kill(stopping.process.pid, signal.SIGTERM)
        assert closing_code(silent) == 1001
        talker.livekit_end("a")
        assert closing_code(talker) == 1001
        assert said(talker.turns["a"].sound) == WHOLE.strip()
        assert talker.turns["a"].is_final


def test_a_turn_that_is_longer_than_the_drain_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    with (
        running(tmp_path, environ={"VOXGATE_SERVER__DRAIN_S": "1"}) as stopping,
        talking(stopping) as talker,
    ):
        talker.livekit("a", FIRST, LONG * 8)
        talker.livekit_end("a")
        talker.hear(0.2, "a")
        os.kill(stopping.process.pid, signal.SIGTERM)
        assert closing_code(talker) == 1001
        turn = talker.turns["a"]
    assert [(error["error"], error["contextId"]) for error in turn.errors] == [("server_busy", "a")]
    assert turn.is_final


@each_row(
    ("query", "status", "code", "param"),
    [
        ({"voice": "nobody"}, 400, "voice_not_found", "voice_id"),
        ({"model_id": "none"}, 404, "model_not_found", "model_id"),
        ({"output_format": "pcm_32000"}, 422, "unsupported_output_format", "output_format"),
        ({"output_format": "wav_24000"}, 400, "invalid_value", "output_format"),
        ({"language_code": "no language"}, 400, "invalid_value", "language_code"),
        ({"inactivity_timeout": "181"}, 400, "invalid_value", "inactivity_timeout"),
        ({"inactivity_timeout": "x"}, 400, "invalid_value", "inactivity_timeout"),
        ({"path": "nothing"}, 405, "method_not_allowed", None),
    ],
)
def test_a_handshake_is_refused_for_what_is_wrong_in_it(
    server: Server, query: dict[str, str], status: int, code: str, param: str | None
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        with talking(server, **query):
            pass
    answer = refused.value.response
    detail = json.loads(answer.body or b"")["detail"]
    assert (answer.status_code, detail["code"], detail["param"]) == (status, code, param)


@each_row(
    "headers", [{}, {"xi-api-key": "wrong"}, {"authorization": "Bearer KEY"}, {"x-api-key": "KEY"}], ids=str
)
def test_a_handshake_needs_the_key_in_its_header(server: Server, headers: dict[str, str]) -> None:
    sent = {name: value.replace("KEY", server.key) for name, value in headers.items()}
    with pytest.raises(InvalidStatus) as refused:
        with connect(address(server), additional_headers=sent, proxy=None):
            pass
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body or b"")["detail"]["status"] == "invalid_api_key"


def test_a_plain_request_is_told_to_upgrade(server: Server) -> None:
    url = address(server).replace("ws://", "http://")
    answer = httpx2.get(url, headers={"xi-api-key": server.key})
    assert (answer.status_code, answer.json()["detail"]["code"]) == (426, "upgrade_required")


def test_speed_counts_for_one_context_and_a_language_that_is_not_spoken_is_ignored(server: Server) -> None:
    with talking(server, language_code="xx", model_id="eleven_flash_v2_5") as talker:
        seconds = {}
        for name, settings in (("a", {}), ("b", {"speed": 2.0}), ("c", {"speed": 9})):
            talker.send(" ", name, voice_settings=settings)
            talker.send(FIRST, name)
            talker.livekit_end(name)
            seconds[name] = len(talker.turn(name).sound) / 48_000
    assert seconds["b"] == pytest.approx(seconds["a"] / 2, rel=0.1)
    assert talker.turns["c"].errors[0]["error"] == "invalid_value"
