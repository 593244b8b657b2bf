"""LiveKit Agents, Pipecat and ElevenLabs' library as they speak with ElevenLabs, on a server of ours."""

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from elevenlabs import ElevenLabs
from elevenlabs.core import ApiError
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from plugins.tone.decode import decode
from tests.clients import sent
from tests.clients.environments import Absent
from tests.clients.runs import AGENTS, Program, Programs, programs_of
from tests.clients.servers import seconds
from tests.docs import pages
from tests.server import MintedKey, Server, live_server
from tests.sound import Heard, decoded
from tests.tables import each_row
from tests.waiting import until

_FAST = (
    "test_what_agents_sent_is_spoken",
    "test_what_agents_sent_of_a_turn_that_fails_has_errors",
    "test_the_library_is_told_of_a_wrong_key",
)
pytestmark = [
    pytest.mark.slow_but(*_FAST),
    # ElevenLabs' library reads `code` of a closed socket.
    pytest.mark.filterwarnings("ignore:ConnectionClosed.code is deprecated:DeprecationWarning"),
]

_SOCKETS = 5
_ALL_SOCKETS = 2 * _SOCKETS - 1
server = live_server(
    f"""
[server]
default_model = "tone"
sockets = {_ALL_SOCKETS}
sockets_per_account = {_SOCKETS}
[engines.tone]
[engines.tardy]
plugin = "tone"
hosted = false
delay_s = 3.5
[models]
"tone" = ["tone/standard"]
"tts-1" = ["tone/standard"]
[voices.alloy]
tone = "tone"
[plans.open]
[plans.narrow]
streams = 1
"""
)
_BLOCKS = pages.blocks(pages.ROOT / "docs" / "agents.md", "python")
SENTENCES = ("The quick brown fox is here.", "It jumps over the lazy dog.", "Then it rests in the sun.")
WORDS = " ".join(SENTENCES).split()
FIRST = "This is sentence number 0."
"""Of a turn that is interrupted a moment later."""
AHEAD_S = 1.5
"""What may be sent beyond what was heard: a second, and what is on its way."""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Programs]:
    with programs_of(tmp_path_factory.mktemp("agents"), server, AGENTS) as running:
        # Their imports take seconds: both at once.
        for client in AGENTS:
            with suppress(Absent):
                running.of(client)
        yield running


@pytest.fixture
def livekit(programs: Programs) -> Program:
    return _of(programs, "livekit")


@pytest.fixture
def pipecat(programs: Programs) -> Program:
    return _of(programs, "pipecat")


def _of(programs: Programs, client: str) -> Program:
    try:
        return programs.of(client)
    except Absent as absent:
        pytest.skip(str(absent))


def see(program: Program, scene: str, *server_and_key: str) -> Any:
    program.begin(scene, *server_and_key)
    return program.end()


def said(turn: dict[str, Any]) -> tuple[str, ...]:
    return decode(*_sound(turn))


def begins_with(turn: dict[str, Any], sentence: str) -> bool:
    samples, rate = _sound(turn)
    return decode(samples[: round(seconds(sentence) * rate)], rate) == (sentence,)


def heard_s(turn: dict[str, Any]) -> float:
    return _sound(turn).seconds


def _sound(turn: dict[str, Any]) -> Heard:
    return decoded(base64.b64decode(turn["pcm"]), "pcm", turn["rate"])


def _expect_interrupted(turn: dict[str, Any]) -> None:
    assert begins_with(turn, FIRST)
    assert seconds(FIRST) < heard_s(turn) < seconds(FIRST) + AHEAD_S


def charged_s(server: Server, key: str) -> float:
    with server.client(key) as client:
        rows = client.get("/v1/usage", params={"limit": 100}).raise_for_status().json()["data"]
    return sum(float(row["audio_ms"]) for row in rows) / 1000


@pytest.mark.parametrize("client", AGENTS)
def test_agents_send_what_is_recorded(programs: Programs, server: Server, client: str) -> None:
    _of(programs, client)
    assert {scene: sent.seen_of(server, programs, client, scene) for scene in sent.SCENES} == (
        sent.recorded()[client]
    )


@each_row("client", AGENTS)
def test_what_agents_sent_is_spoken(server: Server, client: str) -> None:
    [dial] = sent.recorded()[client]["speaks_once"]
    [answers] = sent.send_again(server, dial).values()
    sound = b"".join(base64.b64decode(answer["audio"] or "") for answer in answers)
    assert decode(*decoded(sound, "pcm", 24_000)) == SENTENCES


@each_row("client, turns", [("livekit", 4), ("pipecat", 3)])
def test_what_agents_sent_of_a_turn_that_fails_has_errors(server: Server, client: str, turns: int) -> None:
    [dial] = sent.recorded()[client]["fails"]
    answers = sent.send_again(server, dial)
    assert len(answers) == turns
    for told in answers.values():
        assert any("error" in answer for answer in told)
        assert not any(answer.get("audio") for answer in told)


def test_livekit_tries_a_failed_turn_again(livekit: Program) -> None:
    seen = see(livekit, "fails")
    assert (seen["error"]["class"], seen["failures"]) == ("APIStatusError", 4)
    assert seen["pcm"] == ""


def test_pipecat_gives_up_after_three_silent_turns(pipecat: Program) -> None:
    seen = see(pipecat, "fails")
    assert [turn["pcm"] for turn in seen["turns"]] == [""] * 3
    assert (seen["dials"], seen["is_usable"], len(seen["errors"])) == (1, False, 3)
    assert "3 consecutive TTS contexts" in seen["errors"][-1]


def test_livekit_speaks_in_each_of_its_ways(livekit: Program) -> None:
    seen = see(livekit, "speaks")
    assert {name: said(turn) for name, turn in seen.items()} == dict.fromkeys(seen, SENTENCES)
    assert [turn["error"] for turn in seen.values()] == [None] * 5
    for name in ("stream pcm", "stream mp3", "stream by word"):
        words, starts, ends = zip(*seen[name]["words"], strict=True)
        assert "".join(words).split() == WORDS
        assert list(starts) == sorted(starts)
        assert ends[-1] <= heard_s(seen[name]) + 0.1


def test_pipecat_speaks_in_each_of_its_ways(pipecat: Program) -> None:
    seen = see(pipecat, "speaks")
    for name, rate in (("sentence", 24_000), ("token", 24_000), ("8 kHz", 8_000)):
        turn = seen[name]
        assert (said(turn), turn["words"], turn["rate"], turn["stops"]) == (SENTENCES, WORDS, rate, 1)
    assert (seen["errors"], seen["is_usable"]) == ([], True)


@pytest.mark.parametrize("client", AGENTS)
def test_a_printed_block_speaks(programs: Programs, server: Server, tmp_path: Path, client: str) -> None:
    program = _of(programs, client)
    (block,) = (each for each in _BLOCKS if each.text.startswith(f"from {client}"))
    text = block.text.replace("127.0.0.1:8000", server.url.removeprefix("http://"))
    file = tmp_path / "block.py"
    file.write_text(text.replace("YOUR_KEY", server.key))
    assert said(see(program, "speaks_as_printed", server.url, str(file))) == SENTENCES


@pytest.mark.parametrize("client", AGENTS)
def test_an_interruption_ends_a_turn_and_the_next_is_whole(
    programs: Programs, server: Server, client: str
) -> None:
    program = _of(programs, client)
    key = server.mint_key(f"interrupted-{client}", plan="open").secret
    seen = see(program, "is_interrupted", server.url, key)
    for moment in ("early", "late"):
        _expect_interrupted(seen[moment]["cut"])
        assert said(seen[moment]["next"]) == SENTENCES
    cut = seen["early"]["cut"], seen["late"]["cut"]
    least = 2 * seconds(*SENTENCES) + sum(heard_s(turn) for turn in cut)
    # LiveKit does not tell that a turn was interrupted whose text had ended.
    rest = seconds(*SENTENCES) if client == "livekit" else 0.0
    assert least - 0.01 <= until(lambda: charged_s(server, key)) <= least + 2 * AHEAD_S + rest


def test_seven_quick_turns_of_livekit_pass_on_a_plan_of_one_stream(livekit: Program, server: Server) -> None:
    key = server.mint_key("quick", plan="narrow").secret
    seen = see(livekit, "seven_quick_turns", server.url, key)
    assert len(seen["cut"]) == 7
    for turn in seen["cut"]:
        _expect_interrupted(turn)
    assert said(seen["next"]) == SENTENCES
    least = seconds(*SENTENCES) + sum(map(heard_s, seen["cut"]))
    assert least - 0.01 <= charged_s(server, key) <= least + 7 * AHEAD_S


@pytest.mark.soak
def test_livekit_waits_for_sound_and_for_text_and_dials_again(livekit: Program) -> None:
    seen = see(livekit, "waits")
    assert {name: said(turn) for name, turn in seen.items()} == dict.fromkeys(seen, SENTENCES)


@pytest.mark.soak
def test_pipecat_loses_a_turn_whose_sound_takes_more_than_three_seconds(pipecat: Program) -> None:
    seen = see(pipecat, "waits")
    assert said(seen["late"]) == said(seen["text"]) == SENTENCES
    assert seen["tardy"]["pcm"] == ""
    # It takes them as said.
    assert " ".join(seen["tardy"]["words"]).split() == WORDS


@pytest.mark.soak
def test_pipecat_is_idle_for_a_minute_on_one_socket(pipecat: Program) -> None:
    seen = see(pipecat, "is_idle")
    assert said(seen["first"]) == said(seen["next"]) == SENTENCES
    assert (seen["dials"], seen["errors"]) == (1, [])


@pytest.mark.soak
def test_agents_do_not_try_a_wrong_key_again(livekit: Program, pipecat: Program, server: Server) -> None:
    livekit.begin("is_patient", server.url, "sk-vg-wrong")
    refused = see(pipecat, "speaks_twice", server.url, "sk-vg-wrong")
    assert (refused["dials"], refused["is_usable"]) == (0, False)
    assert "401" in refused["errors"][0]
    turn = livekit.end()
    assert (turn["error"]["class"], turn["error"]["status"], turn["failures"]) == ("APIStatusError", 401, 1)


@pytest.mark.soak
def test_livekit_tries_again_when_there_are_too_many_sockets(livekit: Program, server: Server) -> None:
    key = server.mint_key("crowded-livekit", plan="open").secret
    with _crowd(server, key) as leave:
        before = logged(server, '"status":429')
        livekit.begin("is_patient", server.url, key)
        until(lambda: logged(server, '"status":429') > before)
        leave()
        seen = livekit.end()
    assert (said(seen), seen["error"]) == (SENTENCES, None)
    assert 1 <= seen["failures"] <= 3


@pytest.mark.soak
def test_pipecat_loses_a_turn_when_there_are_too_many_sockets(pipecat: Program, server: Server) -> None:
    key = server.mint_key("crowded-pipecat", plan="open").secret
    with _crowd(server, key) as leave:
        before = logged(server, '"status":429')
        pipecat.begin("speaks_twice", server.url, key)
        # It dials before there is text, and again with each sentence of a turn.
        until(lambda: logged(server, '"status":429') > before + len(SENTENCES))
        leave()
        seen = pipecat.end()
    assert seen["first"]["pcm"] == ""
    assert said(seen["next"]) == SENTENCES
    assert seen["is_usable"]


@pytest.mark.soak
def test_pipecat_dials_again_when_its_idle_socket_was_closed(pipecat: Program, server: Server) -> None:
    key = server.mint_key("idle-pipecat", plan="open").secret
    other = server.mint_key("idle-others", plan="open").secret
    spoken = logged(server, "utterance.finished")
    pipecat.begin("speaks_twice", server.url, key)
    until(lambda: logged(server, "utterance.finished") > spoken)
    # One more than the worker has: the socket closes that is idle for longest.
    with _crowd(server, key, _SOCKETS - 1), _crowd(server, other):
        seen = pipecat.end()
    assert said(seen["first"]) == said(seen["next"]) == SENTENCES
    assert (seen["dials"], seen["is_usable"]) == (2, True)


@pytest.mark.soak
@pytest.mark.parametrize("client", AGENTS)
def test_a_key_that_is_revoked_ends_a_turn_and_the_socket(
    programs: Programs, server: Server, client: str
) -> None:
    program = _of(programs, client)
    kept, revoked = _two_keys(server, f"revoked-{client}")
    program.begin("breaks_off", server.url, revoked.secret)
    until(lambda: charged_s(server, kept.secret))
    _revoke(server, revoked)
    seen = program.end()
    turn = seen if client == "livekit" else seen["turn"]
    assert said(turn) == SENTENCES[:1]
    if client == "livekit":
        # What was heard is not said again.
        assert (turn["error"]["class"], turn["failures"]) == ("APIStatusError", 1)
    else:
        # It dials at once, and is refused.
        assert (seen["next"]["pcm"], seen["dials"], seen["is_usable"]) == ("", 1, False)
        assert any("401" in error for error in seen["errors"])


def test_the_library_is_told_of_a_wrong_key(server: Server) -> None:
    with pytest.raises(InvalidStatus) as caught:
        realtime(server, "sk-vg-wrong", iter(WORDS))
    assert caught.value.response.status_code == 401


@pytest.mark.soak
def test_the_library_is_told_of_too_many_sockets(server: Server) -> None:
    key = server.mint_key("crowded-library", plan="open").secret
    with _crowd(server, key), pytest.raises(InvalidStatus) as caught:
        realtime(server, key, iter(WORDS))
    assert caught.value.response.status_code == 429


@pytest.mark.soak
def test_the_library_is_told_of_a_turn_that_breaks_off(server: Server) -> None:
    kept, revoked = _two_keys(server, "revoked-library")

    def words() -> Iterator[str]:
        yield from (f"{word} " for word in WORDS[:8])
        until(lambda: charged_s(server, kept.secret))
        _revoke(server, revoked)
        yield from (f"{word} " for word in WORDS[8:])

    with pytest.raises(ApiError) as caught:
        realtime(server, revoked.secret, words())
    assert caught.value.status_code == 1008


def realtime(server: Server, key: str, words: Iterator[str]) -> bytes:
    with httpx.Client(trust_env=False) as http:
        client = ElevenLabs(base_url=f"{server.url}/elevenlabs", api_key=key, httpx_client=http)
        speech = client.text_to_speech
        # The library always dials with TLS.
        speech._ws_base_url = f"{_ws(server)}/elevenlabs"
        sound = speech.convert_realtime("alloy", text=words, model_id="tts-1", output_format="pcm_24000")
        return b"".join(sound)


def _ws(server: Server) -> str:
    return server.url.replace("http://", "ws://")


@contextmanager
def _crowd(server: Server, key: str, sockets: int = _SOCKETS) -> Iterator[Callable[[], None]]:
    """All sockets that an account may have. Call what it yields to close them."""
    with ExitStack() as stack:
        for _ in range(sockets):
            url = f"{_ws(server)}/v1/audio/speech/stream"
            headers = {"authorization": f"Bearer {key}"}
            socket = stack.enter_context(connect(url, additional_headers=headers, proxy=None))
            socket.send('{"type": "session.config", "model": "tts-1", "voice": "alloy"}')
        yield stack.close


def logged(server: Server, what: str) -> int:
    return server.log.read_text().count(what)


def _two_keys(server: Server, account: str) -> tuple[MintedKey, MintedKey]:
    return server.mint_key(account, plan="open"), server.mint_key(account)


def _revoke(server: Server, key: MintedKey) -> None:
    with server.control() as control:
        control.delete(f"/admin/keys/{key.id}").raise_for_status()
