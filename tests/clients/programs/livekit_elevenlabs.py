"""LiveKit Agents' own ElevenLabs plugin: `livekit_elevenlabs.py URL KEY` does a scene for each line of its
input, which may name another URL and KEY behind it, and prints what it saw. URL is the server's root.
"""

import asyncio
import base64
import json
import logging
import runpy
import sys
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, NamedTuple

import aiohttp
from livekit.agents import APIConnectOptions, APIError
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT
from livekit.plugins.elevenlabs import TTS

_SENTENCES = ("The quick brown fox is here.", "It jumps over the lazy dog.", "Then it rests in the sun.")
_WORDS = [f"{word} " for sentence in _SENTENCES for word in sentence.split()]
_LONG = [f"{word} " for number in range(20) for word in f"This is sentence number {number}.".split()]
_SHORT = ("Hi. ",)
_STALLING = "stalling/gpt-4o-mini-tts"
_SHORT_S = 2.0
"""A little more than the first of them takes."""
_ONE = len(_SENTENCES[0].split()) + 1
"""So many words until a tokenizer knows that the first sentence has ended."""
_PAUSE_S = 6.0

# Its own retries would only hide what the first try saw.
_ONCE = APIConnectOptions(max_retry=0)
_QUICKLY = APIConnectOptions(max_retry=3, retry_interval=0.1)
_PATIENTLY = APIConnectOptions(max_retry=3, retry_interval=1.0)


class Server(NamedTuple):
    url: str
    key: str


class Turns:
    """A TTS, and its turns."""

    def __init__(self, server: Server, http: aiohttp.ClientSession, **settings: Any) -> None:
        given = {"voice_id": "alloy", "encoding": "pcm_24000", "api_key": server.key, **settings}
        self.use(TTS(base_url=f"{server.url}/elevenlabs/v1", http_session=http, **given))

    def use(self, tts: Any) -> None:
        self.tts = tts
        self.failures = 0
        self.tts.on("error", self._note)

    def _note(self, _error: Any) -> None:
        self.failures += 1

    async def turn(
        self,
        words: Iterable[str] = _WORDS,
        *,
        enough_s: float = 0.0,
        ends: bool = True,
        pause_after: int = 0,
        trying: APIConnectOptions = _ONCE,
    ) -> dict[str, Any]:
        """Says the words. With `enough_s` it is interrupted after so much sound; without `ends`, while its
        text may still go on."""
        heard = _Heard()
        stream = self.tts.stream(conn_options=trying)
        try:
            for number, word in enumerate(words, 1):
                stream.push_text(word)
                if number == pause_after:
                    await asyncio.sleep(_PAUSE_S)
            if ends:
                stream.end_input()
            async for audio in stream:
                heard.add(audio.frame)
                if 0 < enough_s <= heard.seconds:
                    break
        except APIError as error:
            heard.error = _error(error)
        finally:
            await stream.aclose()
        return {**heard.seen(), "failures": self.failures}

    async def whole(self, text: str) -> dict[str, Any]:
        heard = _Heard()
        async with self.tts.synthesize(text, conn_options=_ONCE) as stream:
            try:
                async for audio in stream:
                    heard.add(audio.frame)
            except APIError as error:
                heard.error = _error(error)
        return heard.seen()


class _Heard:
    def __init__(self) -> None:
        self.error: dict[str, Any] | None = None
        self.seconds = 0.0
        self._pcm = b""
        self._rate = 0
        self._words: list[Any] = []

    def add(self, frame: Any) -> None:
        self._pcm += bytes(frame.data)
        self._rate = frame.sample_rate
        self.seconds += frame.duration
        for word in frame.userdata.get(USERDATA_TIMED_TRANSCRIPT, ()):
            self._words.append([str(word), word.start_time, word.end_time])

    def seen(self) -> dict[str, Any]:
        pcm = base64.b64encode(self._pcm).decode()
        return {"pcm": pcm, "rate": self._rate, "words": self._words, "error": self.error}


def _error(error: Any) -> dict[str, Any]:
    status = getattr(error, "status_code", None)
    return {"class": type(error).__name__, "status": status, "message": error.message}


async def speaks(server: Server, http: aiohttp.ClientSession) -> Any:
    pcm, mp3 = Turns(server, http), Turns(server, http, encoding="mp3_22050_32")
    by_word = Turns(server, http, chunk_length_schedule=[50])
    text = " ".join(_SENTENCES)
    names = ("stream pcm", "stream mp3", "stream by word", "whole pcm", "whole mp3")
    turns = (pcm.turn(), mp3.turn(), by_word.turn(), pcm.whole(text), mp3.whole(text))
    return dict(zip(names, await asyncio.gather(*turns), strict=True))


async def speaks_once(server: Server, http: aiohttp.ClientSession) -> Any:
    return await Turns(server, http).turn()


async def is_interrupted(server: Server, http: aiohttp.ClientSession) -> Any:
    """After its text has ended, the plugin sends nothing at an interruption."""
    early, late = Turns(server, http), Turns(server, http)
    names = ("early", "late")
    cut = (early.turn(_LONG, enough_s=_SHORT_S, ends=False), late.turn(_LONG, enough_s=_SHORT_S))
    seen = await asyncio.gather(*cut)
    then = await asyncio.gather(early.turn(), late.turn())
    return {name: {"cut": a, "next": b} for name, a, b in zip(names, seen, then, strict=True)}


async def seven_quick_turns(server: Server, http: aiohttp.ClientSession) -> Any:
    turns = Turns(server, http)
    cut = [await turns.turn(_LONG, enough_s=_SHORT_S) for _ in range(7)]
    return {"cut": cut, "next": await turns.turn()}


async def is_patient(server: Server, http: aiohttp.ClientSession) -> Any:
    return await Turns(server, http).turn(trying=_PATIENTLY)


async def fails(server: Server, http: aiohttp.ClientSession) -> Any:
    turns = Turns(server, http, model="tone/standard", voice_id="tone/fail")
    return await turns.turn(trying=_QUICKLY)


async def breaks_off(server: Server, http: aiohttp.ClientSession) -> Any:
    """Its key is revoked in the pause."""
    return await Turns(server, http).turn(pause_after=_ONE, trying=_QUICKLY)


async def waits(server: Server, http: aiohttp.ClientSession) -> Any:
    """For the first sound, for more text, and between two turns, when the server closes the socket."""
    tardy = Turns(server, http, model="tardy/standard", voice_id="tardy/tone")
    paused, idle = Turns(server, http), Turns(server, http, inactivity_timeout=1)
    names = ("sound", "text", "turn")
    turns = (tardy.turn(), paused.turn(pause_after=_ONE), idle.turn())
    seen = dict(zip(names, await asyncio.gather(*turns), strict=True))
    connection, *_ = await idle.tts._current_connection()
    await asyncio.wait({connection._recv_task})
    return {**seen, "next turn": await idle.turn()}


async def stalls(server: Server, http: aiohttp.ClientSession) -> Any:
    """Its sound stops in the middle for seconds, again and again."""
    return await Turns(server, http, model=_STALLING, voice_id="ada").turn(_SHORT)


async def speaks_as_printed(server: Server, http: aiohttp.ClientSession) -> Any:
    """In place of a key it is given a file that makes a TTS."""
    turns = Turns(server, http)
    turns.use(runpy.run_path(server.key)["tts"])
    # A job of an agent would have one.
    turns.tts._session = http
    return await turns.turn()


_SCENES: tuple[Callable[[Server, aiohttp.ClientSession], Coroutine[Any, Any, Any]], ...] = (
    *(speaks, speaks_once, is_interrupted, seven_quick_turns, is_patient, fails, breaks_off, waits, stalls),
    speaks_as_printed,
)


async def _see(name: str, server: Server) -> Any:
    scenes = {scene.__name__: scene for scene in _SCENES}
    async with aiohttp.ClientSession() as http:
        return await scenes[name](server, http)


def main() -> None:
    logging.disable()
    url, key, *scenes = sys.argv[1:]
    for line in scenes or sys.stdin:
        scene, *other = line.split()
        print(json.dumps(asyncio.run(_see(scene, Server(*(other or (url, key)))))), flush=True)


if __name__ == "__main__":
    main()
