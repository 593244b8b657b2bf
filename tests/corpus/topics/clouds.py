"""Engines of the cloud, through the fakes of their providers: what these are asked, and what goes wrong."""

from typing import Any

from tests.corpus.steps import Step, Topic, account, get, speak

_PINNED = (
    "openai/tts-1",
    "openai/gpt-4o-mini-tts",
    "elevenlabs/eleven_multilingual_v2",
    "minimax/speech-2.8-hd",
)
_PROVIDERS = ("openai", "elevenlabs", "minimax")
_SPEECH = {"openai": "/v1/audio/speech", "elevenlabs": "/v1/text-to-speech/", "minimax": "/v1/t2a_v2"}


def _asked(name: str) -> tuple[Step, ...]:
    return tuple(Step(f"{name}: {provider}", kind="asked", path=provider) for provider in _PROVIDERS)


_FORGET = tuple(Step(f"{provider} forgets", kind="forget", path=provider) for provider in _PROVIDERS)


def _by(name: str, text: str = "Hello, world.", /, **fields: Any) -> Step:
    return speak(name, text, step={"key": "cloudy"}, **fields)


def _drizzly(name: str, text: str = "Hello, world.", /, **fields: Any) -> Step:
    return speak(name, text, step={"key": "drizzly"}, **fields)


_speaking = (
    *account("cloudy", "metered"),
    *_FORGET,
    *(
        _by(f"{model} as {name}", model=model, response_format=name)
        for model in _PINNED
        for name in ("pcm", "mp3")
    ),
    *_asked("spoke"),
    *(_by(f"{model} in JSON", model=model, response_format="json", audio_format="pcm") for model in _PINNED),
    _by("events", model="gpt-4o-mini-tts", stream_format="sse"),
    *(_by(f"{model} faster", model=model, speed=1.5) for model in _PINNED),
    *(_by(f"{model} in Portuguese", "Bom dia.", model=model, language="pt-BR") for model in _PINNED),
    _by("instructions", model="gpt-4o-mini-tts", instructions="Be kind."),
    _by("two sentences", "One is here. Two is there.", model="minimax-hd"),
    _by("an alias of another provider", model="eleven", voice="nova"),
    _by("a lexicon", "SQLite is small.", model="all", language="en"),
    _by("IPA", "The logos.", model="eleven", lexicon={"logos": "/ˈlɒɡɒs/"}),
    _by("pinyin", "处理", model="minimax-hd", lexicon={"处理": "(chu3)(li3)"}),
    _by("a pitch", model="minimax-hd", pitch=3),
    _by("an emotion", model="minimax-hd", emotion="happy"),
    _by("an emotion of nobody", model="minimax-hd", emotion="hungry"),
    *_asked("spoke in other ways"),
    _by("a voice that is elsewhere", model="minimax-hd", voice="nova"),
    _by("a voice that the provider lacks", model="eleven", voice="gone"),
    get("usage", "/v1/usage?by=engine", "cloudy"),
)


def _fault(name: str, provider: str, engine: str, fault: str, **more: Any) -> Step:
    """What happens to the next speech that the engine asks for; its lists are fetched in the background."""
    body = [{"name": fault, "path": f"/_at/{engine}{_SPEECH[provider]}", **more}]
    return Step(f"{name}: the provider's part", kind="fault", path=provider, body=body)


_FAILS = "Hello, this is long enough."

_refusing = (
    *account("drizzly", "metered"),
    *account("homely", "at-home"),
    *account("poor", "poor"),
    *_FORGET,
    _fault("the text is refused", "openai", "openai", "5xx", status=400, code="content_policy_violation"),
    _drizzly("refused by OpenAI", model="openai/tts-1"),
    _fault(
        "the text is refused too",
        "elevenlabs",
        "elevenlabs",
        "5xx",
        status=400,
        code="content_against_policy",
    ),
    _drizzly("refused by ElevenLabs", model="eleven"),
    _fault("the text is refused as well", "minimax", "minimax", "error_in_200", code="1026"),
    _drizzly("refused by MiniMax", model="minimax-hd"),
    _drizzly("a key that is wrong", model="wrongkey/tts-1"),
    _drizzly("a key that is wrong, and another speaks", model="locked"),
    _fault("breaks off", "openai", "openai", "error_midstream", after_bytes=20000),
    _drizzly("broke off in the middle", _FAILS, model="openai/tts-1"),
    _fault("breaks off in JSON", "elevenlabs", "elevenlabs", "error_midstream", after_bytes=20000),
    _drizzly("broke off before JSON", _FAILS, model="eleven", response_format="json"),
    _fault("is cut off", "openai", "openai", "truncated", after_bytes=20000),
    _drizzly("was cut off", _FAILS, model="openai/tts-1"),
    _fault("garbage", "openai", "openai", "garbage"),
    _drizzly("not audio", model="openai/tts-1", response_format="wav"),
    _fault("no credits", "openai", "drained", "429", code="insufficient_quota"),
    _drizzly("the provider has no credits for us, and another speaks", model="drained-first"),
    _drizzly("the provider is left alone for a while", model="drained/tts-1"),
    _fault("limits", "elevenlabs", "limited", "429", retry_after="30"),
    _drizzly("the provider limits us, and another speaks", model="limited-first"),
    _fault("is down", "minimax", "down", "5xx", status=503, count=9),
    _drizzly("the provider is down, and another speaks", model="down-first"),
    speak("a plan that stays at home", "Hello.", model="all", step={"key": "homely"}),
    speak("a pin that leaves home", "Hello.", model="openai/tts-1", step={"key": "homely"}),
    speak("a budget of nothing", "Hello.", model="tts-1", step={"key": "poor"}),
    speak("a budget of nothing, and who costs nothing", "Hello.", model="safe", step={"key": "poor"}),
    *_asked("refused"),
    get("who failed", "/v1/usage", "drizzly"),
    get("what it cost", "/admin/usage?account=drizzly&by=engine", "admin"),
)

TOPICS = (Topic("clouds_speaking", "clouds", _speaking), Topic("clouds_refusing", "clouds", _refusing))
