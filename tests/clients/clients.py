"""Every client of the table: how its column is headed, and why it leaves the rows empty that it does."""

from typing import NamedTuple


class Client(NamedTuple):
    """`title` heads its section of docs/clients.md; `rest` is why most of its cells are empty, where so."""

    title: str
    rest: str = ""


_APP = "replayed: an app that sends these requests and no others"

CLIENTS: dict[str, Client] = {
    "py3": Client("OpenAI SDK for Python, 3.x"),
    "py1": Client("OpenAI SDK for Python, 1.x"),
    "js7": Client("OpenAI SDK for Node, 7.x"),
    "js6": Client("OpenAI SDK for Node, 6.x"),
    "vercel": Client("Vercel AI SDK", "it asks for whole speeches, and reads no list"),
    "livekit": Client("LiveKit Agents", "its other plugin speaks with sockets: see test_agents.py"),
    "pipecat": Client("Pipecat", "its other service speaks with sockets: see test_agents.py"),
    "openwebui": Client("Open WebUI", _APP),
    "homeassistant": Client("Home Assistant", _APP),
    "n8n": Client("n8n", _APP),
    "librechat": Client("LibreChat", _APP),
    "sillytavern": Client("SillyTavern", _APP),
    "telegram": Client("Telegram bots", "a bot fetches voice notes with an SDK, which has its own column"),
    "mcp": Client("MCP hosts", "its bridge asks for mp3 files; tests/examples/test_mcp.py has a real host"),
    "raw": Client("curl and browsers", "requests by hand, for what no library lets through"),
}
