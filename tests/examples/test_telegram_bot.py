"""The Telegram bot, with python-telegram-bot itself, between a fake Bot API and a real server."""

from __future__ import annotations

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

BOT = ROOT / "examples" / "telegram_bot"
ANN, BEN = 1, 2


@contextmanager
def bot_of(api: BotApi, url: str, key: str, folder: Path) -> Iterator[None]:
    """The bot of the example, with the packages that its environment pins."""
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
        "TELEGRAM_TOKEN": TOKEN,
        "TELEGRAM_API": api.url,
        "CHATS": str(folder / "chats.pickle"),
    }
    with (folder / "bot.log").open("ab") as log:
        process = subprocess.Popen([str(python), str(BOT / "bot.py")], env=environ, stderr=log)
    try:
        yield
    finally:
        stop(process)


def test_a_chat_keeps_its_voice_and_learns_what_fails(tones: Server, tmp_path: Path) -> None:
    key = tones.mint_key("telegram", plan="unlimited")
    with bot_api() as api:
        with bot_of(api, tones.url, key.secret, tmp_path):
            assert _spoken(api, ANN, "Where are you?") == ("Where are you?",)
            assert "nova" in _replied(api, ANN, "/voice nova pt-BR")
            assert _spoken(api, ANN, "Já vou!") == ("Já vou!",)
            assert _spoken(api, BEN, "Here.") == ("Here.",)
            assert "The voice 'no/../models' does not exist." in _replied(api, ANN, "/voice no/../models")
        with bot_of(api, tones.url, key.secret, tmp_path):
            assert _spoken(api, ANN, "After a restart.") == ("After a restart.",)
            assert "/voice nova" in _replied(api, BEN, "/start")
            with tones.client(key.secret) as client:
                rows = client.get("/v1/usage").json()["data"]
            tones.cli("keys", "revoke", key.id)
            assert "API key" in _replied(api, ANN, "And now?")
    heard = [(row["voice"], row["language"]) for row in reversed(rows)]
    assert heard == [("alloy", "en"), ("nova", "pt-BR"), ("alloy", "en"), ("nova", "pt-BR")]


def _spoken(api: BotApi, chat: int, text: str) -> tuple[str, ...]:
    """What is said in the voice note that answers."""
    api.write(chat, text)
    call = api.receive()
    assert (call.method, call.fields) == ("sendVoice", {"chat_id": str(chat)})
    return texts(call.files["voice"], "opus")


def _replied(api: BotApi, chat: int, text: str) -> str:
    """The text that answers."""
    api.write(chat, text)
    call = api.receive()
    assert call.method == "sendMessage"
    assert call.fields["chat_id"] == str(chat)
    return call.fields["text"]
