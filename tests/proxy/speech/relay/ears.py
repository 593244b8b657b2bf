"""A server of tone engines, some louder than others, and ears that know whose each sentence was."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plugins.tone.decode import decode
from plugins.tone.frames import SYMBOL_S, frame_symbols
from speech_engine.loudness import Meter, lufs
from tests.proxy.speech.relay.voices import PAUSE_S
from tests.server import Server
from tests.sound import decoded

CONFIG = """
[server]
default_model = "all"
[engines.quiet]
plugin = "tone"
voices = ["ana", "malee"]
says_voice = true
level_db = -14
[engines.usual]
plugin = "tone"
voices = ["ben"]
says_voice = true
sample_rate_hz = 16000
[engines.loud]
plugin = "tone"
voices = ["nova", "olga"]
says_voice = true
level_db = 6
sample_rate_hz = 48000
[engines.paced]
plugin = "tone"
voices = ["slow-sam"]
says_voice = true
level_db = -20
pace = 0.8
[engines.failing]
plugin = "tone"
voices = ["eve"]
fail = "EngineFailed"
[engines.breaking]
plugin = "tone"
voices = ["pip"]
fail = "EngineFailed"
fail_at_s = 0.5
[models]
all = [
    "paced/standard", "failing/standard", "breaking/standard",
    "loud/standard", "quiet/standard", "usual/standard"
]
[[routes]]
language = "th"
candidates = ["quiet/standard"]
sentences = true
[[routes]]
language = "ru"
candidates = ["usual/standard"]
sentences = true
voice = "ben"
[[routes]]
language = "el"
candidates = ["usual/standard"]
[voices.world]
loud = "nova"
quiet = "malee"
[voices.ana]
quiet = "ana"
[voices.ben]
usual = "ben"
[voices.olga]
loud = "olga"
[voices.sam]
paced = "slow-sam"
[voices.eve]
failing = "eve"
usual = "ben"
[voices.pip]
breaking = "pip"
usual = "ben"
"""
CAST = {"Ana": "ana", "Ben": "ben", "Olga": "olga"}
DIALOGUE = (
    "[Ana] Good evening, and welcome. Tonight we talk about the sea. "
    "[Olga] Thank you. It is larger than anybody thinks, and it is louder too. "
    "[Ben] Is it? I have only seen a lake, and that was a very quiet one, far from here. "
    "[Ana] Then let us begin with lakes, with rivers, and with all that is wet."
)
SPOKEN = [
    ("ana", "Good evening, and welcome."),
    ("ana", "Tonight we talk about the sea."),
    ("olga", "Thank you."),
    ("olga", "It is larger than anybody thinks, and it is louder too."),
    ("ben", "Is it?"),
    ("ben", "I have only seen a lake, and that was a very quiet one, far from here."),
    ("ana", "Then let us begin with lakes, with rivers, and with all that is wet."),
]
LINES = ["Yes.", "No, I do not think so.", "Olá, tudo bem?", "[sighs] Why?", "สวัสดีครับ", "42!"]
MIXED = (
    "Let me tell you how people greet each other in other parts of the world, and how they go on from there. "
    "สวัสดีครับ ยินดีต้อนรับสู่กรุงเทพ That was Thai, as you will have heard, and it is spoken in Bangkok and far "
    "beyond. Здравствуйте, дорогие друзья, как ваши дела? And that was Russian, with which I come to the end."
)


def ask(server: Server, text: str, **more: object) -> Any:
    body = {"model": "all", "voice": {"cast": CAST}, "input": text, **more}
    with server.client() as client:
        return client.post("/v1/audio/speech", json=body)


def heard(data: bytes, audio_format: str) -> list[tuple[str, str]]:
    """Who said what, sentence by sentence."""
    sound = decoded(data, audio_format)
    frames = decode(sound.samples, sound.sample_rate_hz)
    return [(voice, words) for voice, _, words in (frame.partition(":") for frame in frames)]


def turns(samples: NDArray[np.float32], rate_hz: int) -> list[NDArray[np.float32]]:
    """The sound of each voice's turn, cut where the lengths of its sentences say, and a little more."""
    ends = np.cumsum([len(frame_symbols(f"{voice}:{words}")) * SYMBOL_S for voice, words in SPOKEN])
    cuts = [
        0.0,
        *(ends[at] for at, (one, other) in enumerate(pairwise(SPOKEN)) if one[0] != other[0]),
        ends[-1],
    ]
    return [
        samples[round((a + pause + 0.1) * rate_hz) : round((b + pause - 0.1) * rate_hz)]
        for (a, b), pause in zip(pairwise(cuts), np.arange(len(cuts)) * PAUSE_S, strict=False)
    ]


def loudness(samples: NDArray[np.float32], rate_hz: int) -> float:
    meter = Meter(rate_hz)
    meter.feed(np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    found = lufs(meter.powers)
    assert found is not None
    return found


def server_rows(server: Server, count: int) -> list[dict[str, Any]]:
    with server.client() as client:
        rows: list[dict[str, Any]] = client.get("/v1/usage", params={"limit": count}).json()["data"]
        return rows
