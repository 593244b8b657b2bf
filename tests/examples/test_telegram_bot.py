"""The Telegram bot, with python-telegram-bot itself, between a fake Bot API and a real server."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients import environments
from tests.clients.environments import Absent
from tests.clients.servers import texts
from tests.examples.conftest import ROOT
from tests.examples.telegram_api import TOKEN, BotApi, bot_api
from tests.server import Server, stop
from tests.suite.ci import is_ci

pytestmark = pytest.mark.slow

BOT = ROOT / "examples" / "telegram_bot"
ANN, BEN = 1, 2


def started(
    url: str, key: str, folder: Path, *, token: str = TOKEN, telegram: str
) -> subprocess.Popen[bytes]:
    """The bot of the example, with the packages that its environment pins. It writes bot.log."""
    try:
        python = environments.python("telegram")
    except Absent as absent:
        if is_ci():
            raise
        pytest.skip(str(absent))
    environ = {
        **os.environ,
        "VOXGATE_URL": f"{url}/v1",
        "VOXGATE_KEY": key,
        "TELEGRAM_TOKEN": token,
        "TELEGRAM_API": telegram,
        "CHATS": str(folder / "chats.pickle"),
    }
    with (folder / "bot.log").open("ab") as log:
        return subprocess.Popen([str(python), str(BOT / "bot.py")], env=environ, stdout=log, stderr=log)


@contextmanager
def bot_of(api: BotApi, url: str, key: str, folder: Path) -> Iterator[None]:
    process = started(url, key, folder, telegram=api.url)
    try:
        yield
    finally:
        stop(process)


def test_a_chat_keeps_its_voice_and_learns_what_fails(tones: Server, tmp_path: Path) -> None:
    key = tones.mint_key("telegram", plan="unlimited")
    with bot_api() as api:
        with bot_of(api, tones.url, key.secret, tmp_path):
            assert _spoken(api, ANN, "Where are you?") == ("Where are you?",)
            assert "nova and the language pt-BR" in _replied(api, ANN, "/voice nova pt-BR")
            assert _spoken(api, ANN, "Já vou!") == ("Já vou!",)
            assert _spoken(api, BEN, "Here.") == ("Here.",)
            assert "The voice 'no/../models' does not exist." in _replied(api, ANN, "/voice no/../models")
            api.send_note(ANN, api.sounds["said"])
            assert api.receive().fields["text"] == "Here."
            api.send_note(ANN, b"no sound")
            assert "Invalid file format" in api.receive().fields["text"]
        with bot_of(api, tones.url, key.secret, tmp_path):
            assert _spoken(api, ANN, "After a restart.") == ("After a restart.",)
            assert "/voice nova" in _replied(api, BEN, "/start")
            assert "/voice nova" in _replied(api, BEN, "/voices")
            with tones.client(key.secret) as client:
                rows = client.get("/v1/usage").json()["data"]
            tones.cli("keys", "revoke", key.id)
            assert "API key" in _replied(api, ANN, "And now?")
    assert (tmp_path / "bot.log").read_text().splitlines() == 2 * ["@reader_bot listens. Ctrl-C stops it."]
    heard = [(row["voice"], row["language"]) for row in reversed(rows) if row["operation"] == "speech"]
    assert heard == [("alloy", "en"), ("nova", "pt-BR"), ("alloy", "en"), ("nova", "pt-BR")]


@pytest.mark.parametrize("fault", ["token", "network"])
def test_a_start_that_fails_says_so_in_one_line(tmp_path: Path, fault: str) -> None:
    with bot_api() as api:
        far, token = (api.url, "123456:old") if fault == "token" else ("http://127.0.0.1:1", TOKEN)
        process = started("http://127.0.0.1:1", "sk-vg-none", tmp_path, token=token, telegram=far)
        assert process.wait(30) == 1
    (line,) = (tmp_path / "bot.log").read_text().splitlines()
    assert line.startswith(
        {"token": "Telegram refuses TELEGRAM_TOKEN", "network": "Telegram cannot be reached"}[fault]
    )


def _spoken(api: BotApi, chat: int, text: str) -> tuple[str, ...]:
    """What is said in the voice note that answers."""
    api.write(chat, text)
    call = api.receive()
    assert (call.method, call.fields) == ("sendVoice", {"chat_id": str(chat)})
    api.sounds["said"] = call.files["voice"]
    return texts(call.files["voice"], "opus")


def _replied(api: BotApi, chat: int, text: str) -> str:
    """The text that answers."""
    api.write(chat, text)
    call = api.receive()
    assert call.method == "sendMessage"
    assert call.fields["chat_id"] == str(chat)
    return call.fields["text"]
