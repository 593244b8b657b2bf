"""One session of the fake: it answers each message, and speaks several responses at once."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from aiohttp import WSMsgType, web

from fakes.realtime import rules
from fakes.realtime.rules import MessageRefusal
from fakes.realtime.script import Script
from fakes.realtime.speaking import Manner, Speech

_HUGE = "x" * (5 * 1024 * 1024)
_STALL_DELTAS = 3


class Session:
    """A session. `frames` are the messages that came, `left` says that the client closed it."""

    def __init__(self, number: int, model: str, script: Script, manner: Manner) -> None:
        self.frames: list[dict[str, Any]] = []
        self.is_open = True
        self.spoken = 0
        self._number = number
        self._script = script
        self._manner = manner
        self._count = 0
        self._speaking: dict[str, asyncio.Task[None]] = {}
        self._uncancellable: set[str] = set()
        self._in_conversation: str | None = None
        self._session: dict[str, Any] = {
            "id": f"sess_{number}",
            "object": "realtime.session",
            "type": "realtime",
            "model": model,
            "expires_at": int(time.time() + manner.expires_s),
            "output_modalities": ["audio"],
            "audio": {
                "output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "alloy", "speed": 1.0}
            },
        }

    def __repr__(self) -> str:
        return f"<Session {self._number}, {len(self._speaking)} under way>"

    async def run(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        self._request, self._socket = request, socket
        misdeed = self._script.for_session()
        if misdeed is None or misdeed.do != "no_session":
            await self._send("session.created", session=self._session)
        if misdeed and misdeed.do == "wrong_session_rate":
            self._session["audio"]["output"]["format"]["rate"] = 22_050
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._answer(json.loads(message.data))
        finally:
            self.is_open = False
            for task in self._speaking.values():
                task.cancel()
            await asyncio.gather(*self._speaking.values(), return_exceptions=True)

    async def hang_up(self) -> None:
        await self._socket.close(code=1001)

    async def _answer(self, frame: dict[str, Any]) -> None:
        self.frames.append(frame)
        try:
            match frame.get("type"):
                case "session.update":
                    await self._update(frame["session"])
                case "response.create":
                    await self._create(frame.get("response", {}))
                case "response.cancel":
                    self._cancel(frame.get("response_id"))
                case _:
                    raise MessageRefusal("invalid_value", "type")
        except MessageRefusal as refusal:
            await self._send("error", error={**refusal.error, "event_id": frame.get("event_id")})

    async def _update(self, session: dict[str, Any]) -> None:
        rules.check_update(session, self._session, has_spoken=self.spoken > 0)
        output = {**self._session["audio"]["output"], **session.get("audio", {}).get("output", {})}
        if self._session["audio"]["output"]["format"]["rate"] != 24_000:
            output["format"] = self._session["audio"]["output"]["format"]
        self._session = {**self._session, **session, "audio": {"output": output}}
        await self._send("session.updated", session=self._session)

    async def _create(self, response: dict[str, Any]) -> None:
        text = rules.check_create(response, self._session, has_spoken=self.spoken > 0)
        self._count += 1
        id_ = f"resp_{self._number}_{self._count}"
        if response.get("conversation", "auto") != "none":
            if self._in_conversation:
                raise MessageRefusal("conversation_already_has_active_response")
            self._in_conversation = id_
        speed = self._session["audio"]["output"].get("speed", 1.0)
        misdeed = self._script.for_text(text, str(self._session["audio"]["output"].get("voice")))
        instructions = response.get("instructions", "")
        speech = Speech(id_, text, instructions, speed, misdeed, self._manner)
        if speech.does("error_open"):
            await self._send("error", error={"type": "server_error", "code": "odd", "message": "An oddity."})
        if speech.does("ignore_cancel"):
            self._uncancellable.add(id_)
        task = asyncio.create_task(self._speak(speech, response.get("metadata", {})))
        self._speaking[id_] = task
        task.add_done_callback(lambda _: self._speaking.pop(id_, None))

    def _cancel(self, id_: str | None) -> None:
        task = self._speaking.get(id_ or self._in_conversation or "")
        if task is None:
            raise MessageRefusal("response_cancel_not_active")
        if id_ not in self._uncancellable:
            task.cancel()

    async def _speak(self, speech: Speech, metadata: dict[str, str]) -> None:
        status: dict[str, Any] = {"status": "completed", "status_details": None}
        try:
            await self._begin(speech, metadata)
            ending = await self._say(speech)
            if ending is None:
                return
            status = ending
        except asyncio.CancelledError:
            details = {"type": "cancelled", "reason": "client_cancelled"}
            status = {"status": "cancelled", "status_details": details}
        except ConnectionError:
            return
        if self._in_conversation == speech.id:
            self._in_conversation = None
        await self._done(speech, metadata, status)

    async def _begin(self, speech: Speech, metadata: dict[str, str]) -> None:
        body: dict[str, Any] = {"id": speech.id, "object": "realtime.response", "status": "in_progress"}
        if not speech.does("no_metadata"):
            body["metadata"] = metadata
        await self._send("response.created", response=body)
        room = 0 if speech.does("no_room") and speech.misdeed else 100
        reset_s = speech.misdeed.reset_s if speech.misdeed and room == 0 else 1.0
        limits = [{"name": "requests", "limit": 100, "remaining": room, "reset_seconds": reset_s}]
        await self._send("rate_limits.updated", rate_limits=limits)
        place = {"response_id": speech.id, "item_id": "item_0", "output_index": 0}
        await self._send("response.output_item.added", item={"type": "message"}, **place)
        await self._send("response.content_part.added", part={"type": "audio"}, content_index=0, **place)
        if speech.does("stall_before"):
            await _for_ever()
        await asyncio.sleep(self._manner.first_s)

    async def _say(self, speech: Speech) -> dict[str, Any] | None:
        misdeed = speech.misdeed
        code = misdeed.code if misdeed else ""
        if speech.does("refuse"):
            return {"status": "incomplete", "status_details": {"reason": "content_filter"}}
        if speech.does("fail"):
            error = {"type": "server_error", "code": code or "server_error", "message": "It failed."}
            return {"status": "failed", "status_details": {"type": "failed", "error": error}}
        count = 0
        async for event in speech.deltas():
            count += 1
            if count == _STALL_DELTAS and await self._misbehave(speech):
                return None
            if speech.does("bad_audio") and event["type"].endswith("audio.delta"):
                event["delta"] = "no Base64"
            if speech.does("unknown_events"):
                await self._send("response.mood.delta", response_id=speech.id, delta={"mood": "fine"})
            await self._send(**event)
            if speech.does("cut_short") and count > _STALL_DELTAS:
                return {"status": "incomplete", "status_details": {"reason": "max_output_tokens"}}
        self.spoken += 1
        if speech.does("no_done"):
            await _for_ever()
        return {"status": "completed", "status_details": None}

    async def _misbehave(self, speech: Speech) -> bool:
        if speech.misdeed is None:
            return False
        match speech.misdeed.do:
            case "stall":
                await _for_ever()
            case "huge":
                await self._send("response.mood.delta", delta=_HUGE)
            case "garbage":
                await self._socket.send_str("{]")
            case "close":
                await self._socket.close(code=speech.misdeed.close)
                return True
            case "drop":
                assert self._request.transport
                self._request.transport.abort()
                return True
            case "expire":
                message = "Your session hit the maximum duration of 60 minutes."
                error = {"type": "invalid_request_error", "code": "session_expired", "message": message}
                await self._send("error", error=error)
                await self._socket.close(code=1001, message=message.encode())
                return True
        return False

    async def _done(self, speech: Speech, metadata: dict[str, str], status: dict[str, Any]) -> None:
        body: dict[str, Any] = {"id": speech.id, "object": "realtime.response", **status}
        if not speech.does("no_metadata"):
            body["metadata"] = metadata
        if not speech.does("no_usage"):
            body["usage"] = speech.usage()
        await self._send("response.done", response=body)

    async def _send(self, type_: str = "", **fields: Any) -> None:
        if self._socket.closed:
            raise ConnectionResetError
        kind = type_ or fields.pop("type")
        event = {"type": kind, "event_id": f"event_{id(fields)}", **fields}
        await self._socket.send_str(json.dumps(event))


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()
