"""Telegram's Bot API as a bot meets it: updates are fetched by long polls, and answers are calls."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, Queue
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

TOKEN = "123456:test-token"
_POLL_S = 0.2
_BOT = {"id": 123456, "is_bot": True, "first_name": "Reader", "username": "reader_bot"}


class Call(NamedTuple):
    """What the bot asked Telegram to do: text fields and files of the form."""

    method: str
    fields: dict[str, str]
    files: dict[str, bytes]


class BotApi:
    """The far side of one bot. What people write goes into `write`, what they get comes out of `receive`."""

    def __init__(self) -> None:
        self._updates: Queue[dict[str, Any]] = Queue()
        self._calls: Queue[Call] = Queue()
        self._written = 0
        self.url = ""
        self.sounds: dict[str, bytes] = {}
        """The files that the bot can fetch, by their ids."""

    def write(self, chat: int, text: str) -> None:
        self._written += 1
        entities = []
        if text.startswith("/"):
            entities = [{"type": "bot_command", "offset": 0, "length": len(text.split()[0])}]
        message = {**_message(chat, self._written), "text": text, "entities": entities}
        self._updates.put({"update_id": self._written, "message": message})

    def send_note(self, chat: int, sound: bytes) -> None:
        self._written += 1
        self.sounds[f"note-{self._written}"] = sound
        voice = {"file_id": f"note-{self._written}", "file_unique_id": f"{self._written}", "duration": 1}
        message = {**_message(chat, self._written), "voice": voice}
        self._updates.put({"update_id": self._written, "message": message})

    def receive(self, within_s: float = 30.0) -> Call:
        """The next message of the bot to a chat."""
        return self._calls.get(timeout=within_s)

    def answer(self, call: Call) -> Any:
        match call.method:
            case "getMe":
                return _BOT
            case "getUpdates":
                return self._next()
            case "getFile":
                id_ = call.fields["file_id"]
                return {"file_id": id_, "file_unique_id": id_, "file_path": f"voice/{id_}"}
            case "deleteWebhook" | "sendChatAction":
                return True
        self._calls.put(call)
        return {**_message(int(call.fields["chat_id"]), 1), "text": call.fields.get("text", "")}

    def _next(self) -> list[dict[str, Any]]:
        try:
            return [self._updates.get(timeout=_POLL_S)]
        except Empty:
            return []


def _message(chat: int, number: int) -> dict[str, Any]:
    people = {"id": chat, "first_name": "Ann", "type": "private", "is_bot": False}
    return {"message_id": number, "date": 1_780_000_000, "chat": people, "from": people}


@contextmanager
def bot_api() -> Iterator[BotApi]:
    api = BotApi()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"] or 0))
            method, is_known = self.path.removeprefix(f"/bot{TOKEN}/"), self.path.startswith(f"/bot{TOKEN}/")
            result: dict[str, Any] = {"ok": False, "error_code": 404, "description": "Not Found"}
            if is_known:
                result = {"ok": True, "result": api.answer(_read(method, self.headers["content-type"], body))}
            data = json.dumps(result).encode()
            self.send_response(200 if is_known else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            try:
                self.wfile.write(data)
            except ConnectionError:
                pass  # a bot that ends does not wait for its last poll

        def do_GET(self) -> None:
            assert unquote(self.path).startswith(f"/file/bot{TOKEN}/voice/")
            data = api.sounds[self.path.rpartition("/")[2]]
            self.send_response(200)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: polls are many."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield api
        finally:
            server.shutdown()


def _read(method: str, content_type: str | None, body: bytes) -> Call:
    """A call's fields come as a form, or in parts if there are files among them."""
    form = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    parts = form.get_payload() if form.is_multipart() else None
    if not isinstance(parts, list):
        return Call(method, dict(parse_qsl(body.decode())), {})
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for part in parts:
        assert isinstance(part, Message)
        name, content = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        assert isinstance(content, bytes)
        if part.get_filename():
            files[str(name)] = content
        else:
            fields[str(name)] = content.decode()
    return Call(method, fields, files)
