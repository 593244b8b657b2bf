"""LiveKit Agents' own ElevenLabs plugin: `livekit_elevenlabs.py URL KEY` does a scene for each line of its
input, which may name another URL and KEY behind it, and prints what it saw. URL is the server's root.
"""

import asyncio
import base64
import json
import logging
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
_SHORT_S = 0.4
_PAUSE_S = 4.0

# Its own retries would only hide what the first try saw.
_ONCE = APIConnectOptions(max_retry=0)
_QUICKLY = APIConnectOptions(max_retry=3, retry_interval=0.1)


class Server(NamedTuple):
    url: str
    key: str


class Turns:
    """A TTS, its turns, and how often it dialled."""

    def __init__(self, server: Server, http: aiohttp.ClientSession, **settings: Any) -> None:
        given = {"voice_id": "alloy", "encoding": "pcm_24000", "api_key": server.key, **settings}
        self.tts = TTS(base_url=f"{server.url}/elevenlabs/v1", http_session=http, **given)
        self.tries = 0
        self.tts.on("error", self._note)

    def _note(self, _error: Any) -> None:
        self.tries += 1

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
        return heard.seen()

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
    pcm = Turns(server, http)
    mp3 = Turns(server, http, encoding="mp3_22050_32")
    words = Turns(server, http, chunk_length_schedule=[50])
    seen = {
        "pcm": await pcm.turn(),
        "mp3": await mp3.turn(),
        "by word": await words.turn(),
        "whole": await pcm.whole(" ".join(_SENTENCES)),
        "whole mp3": await mp3.whole(" ".join(_SENTENCES)),
    }
    for turns in (pcm, mp3, words):
        await turns.tts.aclose()
    return seen


async def interrupted_early(server: Server, http: aiohttp.ClientSession) -> Any:
    turns = Turns(server, http)
    cut = await turns.turn(_LONG, enough_s=_SHORT_S, ends=False)
    return {"cut": cut, "next": await _last(turns)}


async def interrupted_late(server: Server, http: aiohttp.ClientSession) -> Any:
    """Its text has ended, so the plugin sends nothing at the interruption."""
    turns = Turns(server, http)
    cut = await turns.turn(_LONG, enough_s=_SHORT_S)
    return {"cut": cut, "next": await _last(turns)}


async def seven_quick_turns(server: Server, http: aiohttp.ClientSession) -> Any:
    turns = Turns(server, http)
    cut = [await turns.turn(_LONG, enough_s=_SHORT_S) for _ in range(7)]
    return {"cut": cut, "next": await _last(turns)}


async def retries(server: Server, http: aiohttp.ClientSession) -> Any:
    turns = Turns(server, http)
    seen = await turns.turn(trying=_QUICKLY)
    await turns.tts.aclose()
    return {**seen, "tries": turns.tries}


async def fails(server: Server, http: aiohttp.ClientSession) -> Any:
    turns = Turns(server, http, voice_id="tone/fail")
    seen = await turns.turn(trying=_QUICKLY)
    await turns.tts.aclose()
    return {**seen, "tries": turns.tries}


async def breaks_off(server: Server, http: aiohttp.ClientSession) -> Any:
    turns = Turns(server, http)
    seen = await turns.turn(_LONG, trying=_QUICKLY)
    await turns.tts.aclose()
    return {**seen, "tries": turns.tries}


async def waits_for_sound(server: Server, http: aiohttp.ClientSession) -> Any:
    turns = Turns(server, http, model="tardy/standard", voice_id="tardy/tone")
    return {"next": await _last(turns)}


async def waits_for_text(server: Server, http: aiohttp.ClientSession) -> Any:
    turns = Turns(server, http)
    seen = await turns.turn(pause_after=len(_SENTENCES[0].split()) + 1)
    await turns.tts.aclose()
    return seen


async def is_idle(server: Server, http: aiohttp.ClientSession) -> Any:
    """Its server closes a socket that is silent, which it must not notice."""
    turns = Turns(server, http, inactivity_timeout=1)
    first = await turns.turn()
    await asyncio.sleep(2.0)
    return {"first": first, "next": await _last(turns)}


_SCENES: tuple[Callable[[Server, aiohttp.ClientSession], Coroutine[Any, Any, Any]], ...] = (
    *(speaks, interrupted_early, interrupted_late, seven_quick_turns),
    *(retries, fails, breaks_off, waits_for_sound, waits_for_text, is_idle),
)


async def _last(turns: Turns) -> dict[str, Any]:
    seen = await turns.turn()
    await turns.tts.aclose()
    return seen


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
