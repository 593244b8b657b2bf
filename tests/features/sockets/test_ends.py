"""What ends an utterance or a socket from outside: a key, an account, a reload, a drain, a lost client."""

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.processes import usage_rows
from tests.features.cluster.gateways import new_voice
from tests.features.sockets.native import Talker, at
from tests.features.sockets.test_speaking import by_words, said
from tests.server import ALONE, Server, live_server, running, stop
from tests.waiting import until

pytestmark = pytest.mark.slow_but(
    "test_a_revoked_key_ends_the_utterance_and_the_socket",
    "test_a_server_that_ends_finishes_what_is_spoken_and_interrupts_what_is_too_long",
    "test_a_client_that_is_lost_pays_for_what_was_sent",
)

SLOW = "tone/slow"
FIRST, REST = "This is the first sentence. And ", "this is the second one. Here is a third."

own = live_server(ALONE)


def _begin(talker: Talker) -> str:
    """The first piece speaks, and the next one has no end yet. Returns the id of the first."""
    talker.texts(*by_words(FIRST))
    (began,) = talker.read_until("audio.start").messages
    return str(began["request_id"])


def _go_on(talker: Talker) -> None:
    talker.texts(REST)
    talker.done()


def _was_charged_as_left(own: Server, request: str) -> None:
    """The client pays for what was sent."""
    until(lambda: request in usage_rows(own))
    assert usage_rows(own)[request].outcome == "left"
    assert usage_rows(own)[request].samples


def test_a_revoked_key_ends_the_utterance_and_the_socket(own: Server) -> None:
    made = own.mint_key()
    with at(own, made.secret, voice=SLOW) as talker:
        request = _begin(talker)
        own.cli("keys", "revoke", made.id)
        ended = talker.read_until()
    assert (talker.code, talker.reason) == (1008, "invalid_api_key")
    assert not ended.having("audio.done"), "it does not wait for the end of its sentence"
    _was_charged_as_left(own, request)


def test_a_suspended_account_ends_the_utterance_and_the_socket(own: Server) -> None:
    own.cli("accounts", "create", "late")
    made = own.mint_key("late")
    with at(own, made.secret, voice=SLOW) as talker:
        request = _begin(talker)
        own.cli("accounts", "suspend", "late", "--reason", "unpaid")
        talker.read_until()
    assert (talker.code, talker.reason) == (1008, "account_suspended")
    _was_charged_as_left(own, request)
    assert usage_rows(own)[request].credits, "its plan has a price"


def test_a_reload_cuts_nothing_and_the_next_utterance_has_the_new_voices(own: Server) -> None:
    with at(own, voice=SLOW) as talker:
        _begin(talker)
        own.config.write_text(own.config.read_text() + '[voices.newest]\ntone = "tone"\n')
        own.cli("reload")
        _go_on(talker)
        spoken = talker.spoken()
        assert spoken.end["type"] == "session.done"
        talker.config(voice="newest")
        assert said(talker.speak("Two is here.")) == "Two is here."


def test_an_erased_voice_breaks_the_piece_off_and_the_socket_speaks_on(own: Server) -> None:
    with own.client() as client:
        voice = new_voice(client)
        with at(own, voice=voice) as talker:
            talker.texts(*by_words("One word after another, and on and on. " * 5))
            talker.done()
            began = talker.read_until("audio.start")
            assert client.delete(f"/v1/audio/voices/{voice}").is_success
            ended = talker.spoken()
            assert [each["error"]["code"] for each in ended.having("error")] == ["voice_not_found"]
            assert ended.end["type"] == "session.done"
            talker.config()
            assert said(talker.speak("Go on.")) == "Go on."
    row = usage_rows(own)[began.requests[0]]
    assert (row.outcome, row.error) == ("failed", "voice_not_found")


def test_a_server_that_ends_finishes_what_is_spoken_and_interrupts_what_is_too_long(tmp_path: Path) -> None:
    with (
        running(tmp_path, environ={"VOXGATE_SERVER__DRAIN_S": "4"}) as server,
        at(server) as silent,
        at(server, voice=SLOW) as speaking,
        at(server, voice=SLOW) as endless,
    ):
        assert silent.speak("Hi.").end["type"] == "session.done"
        first, cut = _begin(speaking), _begin(endless)
        server.process.send_signal(signal.SIGTERM)
        assert silent.closing_code() == 1001
        _go_on(speaking)
        endless.texts(REST)
        spoken = speaking.spoken()
        assert spoken.end["type"] == "session.done"
        assert speaking.closing_code() == 1001
        ended = endless.read_until()
        assert endless.code == 1001
        assert stop(server.process) == 0
    spent = usage_rows(server)
    assert {spent[each].outcome for each in (first, *spoken.requests)} == {"finished"}
    assert (ended.end["type"], ended.end["reason"]) == ("audio.cancelled", "server_shutdown")
    assert ended.end["text_spoken"] + ended.end["text_remaining"] == FIRST + REST
    rows = [row for id_, row in spent.items() if id_.startswith(cut.rpartition("-")[0])]
    assert {row.outcome for row in rows} <= {"finished", "left"}
    assert sum(row.samples for row in rows) == round(ended.end["usage"]["seconds"] * 24_000)


def _leave(server: Server) -> str:
    """Cut the connection in the middle of a piece. Returns the request of that piece."""
    with at(server, voice=SLOW) as talker:
        request = _begin(talker)
        assert isinstance(talker.next(), bytes)
        talker.socket.socket.shutdown(2)
        return request


def test_a_client_that_is_lost_pays_for_what_was_sent(own: Server) -> None:
    request = _leave(own)
    until(lambda: request in usage_rows(own))
    row = usage_rows(own)[request]
    assert row.outcome == "left"
    assert row.samples > 0


@pytest.mark.soak
def test_of_two_hundred_clients_that_cut_the_connection_none_is_free(own: Server) -> None:
    with ThreadPoolExecutor(8) as threads:
        requests = [*threads.map(lambda _: _leave(own), range(200))]
    until(lambda: {*requests} <= usage_rows(own).keys())
    spent = usage_rows(own)
    assert {spent[each].outcome for each in requests} == {"left"}
