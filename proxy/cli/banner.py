"""What `voxgate serve` prints when it serves: with a key at hand, lines that work as they stand."""

from __future__ import annotations

_SERVING = "voxgate serves on {base}/v1"

_TRY = """\
voxgate serves on {base}/v1
key: {key}

Try it with curl:

curl -s {base}/v1/audio/speech -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \
-d '{{"model": "tts-1", "voice": "alloy", "input": "Hello from voxgate."}}' > hello.mp3

or with OpenAI's Python SDK:

from openai import OpenAI
client = OpenAI(base_url="{base}/v1", api_key="{key}")
client.audio.speech.create(model="tts-1", voice="alloy", input="Hello!").write_to_file("hello.mp3")

Ctrl-C stops it."""


def text(base: str, key: str | None) -> str:
    reachable = base.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    return (_SERVING if key is None else _TRY).format(base=reachable, key=key)
