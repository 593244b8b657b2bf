"""Speech that is refused, or that goes wrong before or after the first audio."""

from collections.abc import Mapping
from typing import Any

from tests.corpus.steps import Step, Topic, account, speak


def _raw(name: str, raw: str, headers: Mapping[str, str] | None = None) -> Step:
    return Step(name, "POST", "/v1/audio/speech", raw=raw, headers=headers or {})


def _wrong(name: str, **fields: Any) -> Step:
    return speak(name, "Hello.", **fields)


_bodies = (
    _raw("no JSON", "{"),
    _raw("nothing", ""),
    _raw("a list", "[]"),
    _raw("a number", "3"),
    _raw("null", "null"),
    _raw("not UTF-8 escapes", '{"model": "\\ud800"}'),
    _raw("a key twice", '{"model":"tts-1","model":"nope","voice":"alloy","input":"Hi."}'),
    _raw("a multipart body", "--x--", {"content-type": "multipart/form-data; boundary=x"}),
    _raw("a body above the limit", '{"input":"' + "a" * 262_200 + '"}'),
    _wrong("no model", model=None),
    _wrong("no voice", voice=None),
    Step("no input", "POST", "/v1/audio/speech", body={"model": "tts-1", "voice": "alloy"}),
    _raw("an input of null", '{"model":"tts-1","voice":"alloy","input":null}'),
    _wrong("a model of the wrong type", model=3),
    _wrong("an empty model", model=""),
    _wrong("an unknown model", model="tts-9"),
    _wrong("an unknown model of an engine", model="tone/best"),
    _wrong("an unknown engine", model="nobody/standard"),
    _wrong("a model too long", model="m" * 300),
    _wrong("an input of the wrong type", input=3),
    speak("an empty input", ""),
    speak("only blanks", " \n\t "),
    speak("nothing to be spoken", "...", model="small"),
    speak("an input of 4096", "a" * 4096, model="tone", voice="silent", speed=4, response_format="opus"),
    speak("an input of 4097", "a" * 4097),
    speak("a NUL", "Hello\u0000world."),
    _wrong("an unknown voice", voice="nobody"),
    _wrong("a voice of the wrong type", voice=3),
    _wrong("an empty voice", voice=""),
    _wrong("a voice that is not unique", voice="slow-and-not-there"),
    _wrong("a name on two engines", voice="refuse", model="tone"),
    _wrong("a voice of another engine", voice="only-spare"),
    _wrong("an object without id", voice={"name": "alloy"}),
    _wrong("an object with an id of the wrong type", voice={"id": 3}),
    _wrong("a voice as a list", voice=["alloy"]),
    _wrong("instructions too long", instructions="a" * 4097),
    _wrong("instructions of the wrong type", instructions=3),
    _wrong("an unknown format", response_format="ogg"),
    _wrong("a format of the wrong type", response_format=1),
    _wrong("an unknown audio format", response_format="json", audio_format="json"),
    _wrong("an audio format without JSON", audio_format="nope"),
    _wrong("too slow", speed=0.2),
    _wrong("too fast", speed=4.1),
    _wrong("a speed as a text", speed="1"),
    _wrong("a speed as a truth", speed=True),
    _raw("a speed of no number", '{"model":"tts-1","voice":"alloy","input":"Hi.","speed":NaN}'),
    _wrong("an unknown stream format", stream_format="ws"),
    _wrong("a language that is no tag", language="english please"),
    _wrong("a language of the wrong type", language=3),
    _wrong("an empty language", language=""),
    _wrong("a pitch too high", pitch=13),
    _wrong("a pitch that tone has not", pitch=3),
    _wrong("an emotion that nobody has", emotion="happy"),
    speak("a pause too long", "Hello. [pause 11s] You."),
    speak("a text of pauses", "[pause 1s] [pause:0.5s]"),
    _wrong("an unknown type of input", input_type="html"),
    _wrong("SSML without a root", input_type="ssml"),
    speak("an unknown element of SSML", "<speak><voice>Hi</voice></speak>", input_type="ssml"),
    _wrong("an emotion of the wrong type", emotion=1),
    _wrong("a seed of the wrong type", seed="a"),
    _wrong("a seed out of bounds", seed=2**70),
    _wrong("a cache of the wrong type", cache="yes"),
    _wrong("a lexicon that is not there", lexicon="nothing"),
    _wrong("a lexicon of the wrong type", lexicon=3),
    _wrong("a lexicon with a wrong word", lexicon={"": "x"}),
    _wrong("a lexicon with a wrong saying", lexicon={"a": 3}),
    _wrong("a lexicon too large", lexicon={f"word{number}": "x" for number in range(101)}),
)

_JSON: dict[str, Any] = {"response_format": "json"}
_SSE: dict[str, Any] = {"model": "tone/standard", "stream_format": "sse"}
_OF: dict[str, Any] = {"step": {"key": "failures"}}

_failures = (
    *account("failures", "metered"),
    speak("fails before the first audio", "Hello.", voice="breaks", **_OF),
    speak("fails, and another speaks", "Hello.", voice="breaks", model="with-spare", **_OF),
    speak("is away", "Hello.", voice="is-away", **_OF),
    speak("is away, and another speaks", "Hello.", voice="is-away", model="with-spare", **_OF),
    speak("is busy", "Hello.", voice="is-busy", **_OF),
    speak("takes too long", "Hello.", voice="times-out", **_OF),
    speak("refuses the text", "Hello.", voice="refuses", **_OF),
    speak("refuses the text, and nobody else is asked", "Hello.", voice="refuses", model="with-spare", **_OF),
    speak("does not speak the language", "Hello.", voice="no-language", **_OF),
    speak("cannot speak the text", "Hello.", voice="no-text", **_OF),
    speak("ends without an end", "Hello, this is long enough.", voice="no-finish", **_OF),
    speak("has a bug", "Hello.", voice="has-a-bug", **_OF),
    speak("fails late, in audio", "Hello, this is long enough.", voice="breaks-late", **_OF),
    speak("fails late, in JSON", "Hello, this is long enough.", voice="breaks-late", **_JSON, **_OF),
    speak("fails late, in events", "Hello, this is long enough.", voice="breaks-late", **_SSE, **_OF),
    speak(
        "fails late, in a whole WAV",
        "Hello, this is long enough.",
        voice="breaks-late",
        response_format="wav",
        **_OF,
    ),
    speak("fails in JSON before any audio", "Hello.", voice="breaks", **_JSON, **_OF),
    speak("fails in events before any audio", "Hello.", voice="breaks", **_SSE, **_OF),
    speak("speaks again", "Hello.", **_OF),
)

_CAST = {"cast": {"Ana": "nova", "Ben": "onyx"}}
_BY: dict[str, Any] = {"step": {"key": "casts"}}

_casts = (
    *account("casts", "metered"),
    speak("a dialogue", "[Ana] Is it far? [Ben] Not at all.", voice=_CAST, model="tone", **_BY),
    speak("a saved dialogue", "[Ana] Is it far? [Ben] No.", voice="pair", model="tone", **_JSON, **_BY),
    speak("a dialogue through routes", "[Ana] Is it far? [Ben] Bom dia.", voice=_CAST, step={"key": "admin"}),
    speak("before the first name", "Hear this. [ben] Yes.", voice=_CAST, model="tone"),
    speak("other brackets", "[laughs] Ha. [Ana] Ho.", voice=_CAST, model="tone"),
    speak("one alone", "[Ben] Alone.", voice=_CAST, model="tone", response_format="wav"),
    speak("a dialogue in events", "[Ana] Hi. [Ben] Ho.", voice=_CAST, **_SSE),
    speak("nobody says anything", "[Ana] [Ben]", voice=_CAST),
    speak("a member that is not there", "[Ana] Hi.", voice={"cast": {"Ana": "nova", "Eve": "nobody"}}),
    speak("a member that is a cast", "[Ana] Hi.", voice={"cast": {"Ana": "pair"}}),
    speak("a cast of nobody", "Hi.", voice={"cast": {}}),
    speak("a cast too large", "Hi.", voice={"cast": {f"M{number}": "nova" for number in range(17)}}),
    speak("a name too long", "Hi.", voice={"cast": {"A" * 65: "nova"}}),
    speak("a cast of the wrong type", "Hi.", voice={"cast": "nova"}),
    speak("a cast and an id", "[Ana] Hi.", voice={"id": "alloy", **_CAST}),
    speak("too many turns", "[Ana] a. [Ben] b. " * 129, voice=_CAST, model="tone"),
    speak(
        "a turn that nobody can speak",
        "[Ana] Is it far? [Ben] Not at all.",
        voice={"cast": {"Ana": "nova", "Ben": "breaks"}},
        model="tone",
        **_BY,
    ),
    speak(
        "a turn that another speaks",
        "[Ana] Is it far? [Ben] Not at all.",
        voice={"cast": {"Ana": "alloy", "Ben": "breaks"}},
        model="with-spare",
        **_JSON,
        **_BY,
    ),
)

TOPICS = (
    Topic("speech_bodies", "house", _bodies),
    Topic("speech_failures", "house", _failures),
    Topic("speech_casts", "house", _casts),
)
