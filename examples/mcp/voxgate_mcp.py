"""An MCP server over stdio: Claude, Cursor or any other host speaks with the voices of a voxgate server."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import Annotated, Any

import httpx
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import AudioContent, TextContent
from pydantic import Field

MOST_CHARACTERS = 4096
MOST_BYTES = 1024 * 1024
MOST_VOICES = 50
LONG_CHARACTERS = 1500
"""A longer text comes at 32 kbit/s, unless it becomes a file: then four minutes have room in an answer."""
NAME = re.compile(r"\w[\w .-]{0,90}\.mp3")

try:
    voxgate = httpx.AsyncClient(
        base_url=os.environ["VOXGATE_URL"],
        headers={"Authorization": f"Bearer {os.environ['VOXGATE_KEY']}"},
        timeout=httpx.Timeout(60, connect=5),
    )
except KeyError as missing:
    raise SystemExit(f"Set {missing}: VOXGATE_URL is such as http://127.0.0.1:8000/v1.") from None

server = MCPServer("voxgate", instructions="Reads texts aloud.", log_level="WARNING")


async def speak(
    text: Annotated[str, Field(description=f"What to say, up to {MOST_CHARACTERS} characters.")],
    voice: Annotated[str, Field(description="A voice of list_voices.")] = "alloy",
    language: Annotated[str, Field(description="A tag such as pt-BR; if empty, it is guessed.")] = "",
    model: str = "tts-1",
    save_to: Annotated[str, Field(description="Write a new file of this name, such as hello.mp3.")] = "",
) -> list[AudioContent | TextContent]:
    """Say a text. `[pause 0.5s]` in it is silence. The answer is MP3, or the path of the file."""
    if len(text) > MOST_CHARACTERS:
        # The server would say so, too. A host can split the text before it is sent.
        raise ToolError(f"The text has {len(text)} characters. Say it in pieces of up to {MOST_CHARACTERS}.")
    path = new_file(save_to) if save_to else None
    body: dict[str, Any] = {"model": model, "voice": voice, "input": text}
    if language:
        body["language"] = language
    if path is None and len(text) > LONG_CHARACTERS:
        body["bitrate"] = 32
    sound = (await ask("POST", "audio/speech", json=body)).content
    if path is not None:
        try:
            with path.open("xb") as file:
                file.write(sound)
        except OSError as error:
            raise ToolError(f"{path} cannot be written: {error.strerror}.") from None
        return [TextContent(type="text", text=str(path))]
    if len(sound) > MOST_BYTES:
        raise ToolError("The sound is too long for an answer: say less, or give save_to.")
    data = base64.b64encode(sound).decode()
    return [AudioContent(type="audio", data=data, mime_type="audio/mpeg")]


async def list_voices(
    language: Annotated[str, Field(description="Only voices of a language, such as pt-BR.")] = "",
    describe: Annotated[str, Field(description="The best for words such as: warm older woman.")] = "",
) -> str:
    """List voices: their ids, which speak takes, with titles and languages."""
    wanted = {"language": language, "describe": describe}
    answer = await ask("GET", "audio/voices", params={key: each for key, each in wanted.items() if each})
    voices = answer.json()["data"]
    lines = [", ".join(filter(None, map(each.get, ("id", "title", "language")))) for each in voices]
    more = f"{len(lines) - MOST_VOICES} more: ask for a language." if len(lines) > MOST_VOICES else ""
    return "\n".join(filter(None, [*lines[:MOST_VOICES], more])) or "No voice is like that."


async def usage() -> dict[str, Any]:
    """Tell the plan of the account, its limits, and what it has used and has left in this cycle."""
    found: dict[str, Any] = (await ask("GET", "me")).json()
    return found


def new_file(name: str) -> Path:
    """Return the path of a file in the working folder that does not exist yet."""
    if not NAME.fullmatch(name):
        raise ToolError("save_to must be a plain name that ends with .mp3, such as hello.mp3.")
    path = Path.cwd() / name
    if path.exists() or path.is_symlink():
        raise ToolError(f"{name} exists already: choose another name for save_to.")
    return path


async def ask(method: str, path: str, **request: Any) -> httpx.Response:
    """Return the server's answer. Its refusals are written for people, so the host gets their messages."""
    try:
        answer = await voxgate.request(method, path, **request)
    except httpx.TransportError as error:
        raise ToolError(f"The speech server does not answer, or broke off: {error!r}.") from None
    if answer.is_success:
        return answer
    try:
        message = answer.json()["error"]["message"]
    except (ValueError, LookupError, TypeError):
        message = f"The speech server answered {answer.status_code}."
    raise ToolError(message)


if __name__ == "__main__":
    for tool in (speak, list_voices, usage):
        server.add_tool(tool)
    server.run("stdio")
