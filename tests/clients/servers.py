"""The servers that the client tests share, and what a client has in hand to talk to one."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from openai import OpenAI

from plugins.tone.decode import decode
from plugins.tone.frames import SYMBOL_S, frame_symbols
from tests.clients.limited import Limited, limited_in
from tests.clients.upstreams import upstreams_in
from tests.server import Server, running
from tests.sound import decoded

AudioFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
FORMATS: tuple[AudioFormat, ...] = get_args(AudioFormat)
ORIGIN = "https://app.example.com"
BUILT_IN = (
    *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable"),
    *("marin", "nova", "onyx", "sage", "shimmer", "verse"),
)

_REPOSITORY = Path(__file__).parent.parent.parent
_MAKE = ("make", "serve", "PORT=0", "VOICES=plain")
_OPEN = f"""
public_catalogue = true
fill_missing = true
cors_origins = ["{ORIGIN}"]
"""
# Every engine here speaks in tones. `tone16k` alone has a voice whose name is unique; `doomed` is there
# to be killed without taking the others along.
_TONES = """
[engines.tone]
hears = true
[engines.tone16k]
plugin = "tone"
sample_rate_hz = 16000
voices = ["tone", "only-here"]
[engines.tone44k]
plugin = "tone"
sample_rate_hz = 44100
[engines.doomed]
plugin = "tone"
"""
_MODELS = """
[models]
"tts-1" = ["tone/standard"]
"tts-1-hd" = ["tone44k/standard"]
"gpt-4o-mini-tts" = ["tone/standard"]
"gpt-4o-mini-tts-2025-12-15" = ["tone16k/standard"]
"org/f5" = ["tone/standard"]
"whisper-1" = ["tone/ears"]
"gpt-4o-mini-transcribe" = ["tone/ears"]
[voices]
"""
# Some clients can ask for nothing but these names, so on one engine three of them are trouble.
_TROUBLE = {"verse": "slow", "sage": "fail-late", "shimmer": "fail"}
_VOICES = "".join(
    f'{name} = {{ tone = "tone", tone16k = "tone", tone44k = "{_TROUBLE.get(name, "tone")}" }}\n'
    for name in BUILT_IN
)


_LIMITED = "".join(f'{name} = {{ tone = "tone" }}\n' for name in BUILT_IN if name != "sage")
_LIMITED += 'sage = { tone = "fail-late" }\n'


class Front(NamedTuple):
    """A server, and the SDK pointed at it; it sends nothing twice unless a test asks for that."""

    server: Server
    sdk: OpenAI


class Servers:
    """`shut` is as shipped. `open` has a public catalogue, defaults for missing fields, and an origin; with
    plans and a count of each minute, it is `limited`.
    """

    def __init__(
        self,
        shut: Front,
        start_limited: Callable[[], Limited],
        start_upstreams: Callable[[], Front],
    ) -> None:
        self.shut = shut
        self._start_limited = start_limited
        self._start_upstreams = start_upstreams

    @property
    def open(self) -> Server:
        return self.limited.server

    @cached_property
    def limited(self) -> Limited:
        """Started by the first row that asks for it, as is the next. It needs a Redis."""
        return self._start_limited()

    @cached_property
    def upstreams(self) -> Front:
        """In front of other people's servers."""
        return self._start_upstreams()


@contextmanager
def servers_in(folder: Path, engines: str = _TONES) -> Iterator[Servers]:
    """Start them with other engines than those that speak in tones, if these have the same names."""
    with ExitStack() as stack:
        shut = stack.enter_context(_front(folder / "shut", engines))
        yield Servers(
            shut,
            lambda: stack.enter_context(limited_in(folder / "limited", _OPEN, _LIMITED)),
            lambda: stack.enter_context(_reached(upstreams_in(folder / "upstreams"))),
        )


def _front(folder: Path, engines: str) -> AbstractContextManager[Front]:
    folder.mkdir(parents=True)
    config = f"[server]{engines}{_MODELS}{_VOICES}"
    return _reached(running(folder, config, command=_MAKE, cwd=_REPOSITORY))


@contextmanager
def _reached(starting: AbstractContextManager[Server]) -> Iterator[Front]:
    with starting as server, _sdk(server) as sdk:
        yield Front(server, sdk)


def _sdk(server: Server) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0)


def texts(data: bytes, audio_format: str, speed: float = 1.0) -> tuple[str, ...]:
    """What the tone engine was asked to say, sentence by sentence, heard in the audio itself."""
    heard = decoded(data, audio_format)
    return decode(heard.samples, heard.sample_rate_hz, speed)


def seconds(*sentences: str) -> float:
    """How long the tone engine speaks these."""
    return sum(len(frame_symbols(sentence)) for sentence in sentences) * SYMBOL_S
